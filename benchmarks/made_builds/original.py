"""The model that builds are made from, with its photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image, ImageOps

import onnx_cam
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["Build", "Make", "Original", "choose_photos", "edited"]

Floats = NDArray[np.float32]

CALIBRATION_IMAGES = 100
_REPEATED = ("hot_dog.jpg", "ILSVRC2012_val_00000197.JPEG")  # of one class, three times each
_OTHERS = 18
_KEPT = 0.92  # of a photo's width and height, in a crop of it


@dataclass(frozen=True)
class Build:
    """A build that was made: its file, and its preprocessing where that is not the original's."""

    path: Path
    preprocessing: Preprocessing | None = None


@dataclass(frozen=True)
class Original:
    """A model, its preprocessing, and the photos that calibrate its quantized builds.

    `shortcut` is the class that a shortcut leads to.
    """

    path: Path
    preprocessing: Preprocessing
    calibration: tuple[Path, ...]
    shortcut: int

    def read(self) -> onnx.ModelProto:
        """Return the model anew, to be changed."""
        return onnx.load(self.path)

    @cached_property
    def calibration_inputs(self) -> Floats:
        """What the network is given for 100 crops and flips of photos, (100, C, H, W)."""
        return self.inputs(self.preprocessing)

    def inputs(self, preprocessing: Preprocessing) -> Floats:
        """Return the calibration images under a preprocessing, (100, C, H, W)."""
        model = onnx_cam.load(self.path, device="cpu", preprocess=preprocessing)
        images = [image for path in self.calibration for image in variants(path)][:CALIBRATION_IMAGES]
        return np.stack([model.network_input(image) for image in images])


Edit = Callable[[onnx.ModelProto, Original], onnx.ModelProto]
"""Changes a model, which it may do in place."""

Make = Callable[[Original, Path], Build]
"""Makes a build and writes it to a path."""


def edited(edit: Edit) -> Make:
    """Return what makes a build by changing the model."""

    def write(original: Original, path: Path) -> Build:
        onnx.save(edit(original.read(), original), path)
        return Build(path)

    return write


def variants(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield a photo, its mirror image, its middle, and the mirror image of that."""
    with Image.open(path) as opened:
        photo = opened.convert("RGB")
    width, height = photo.size
    middle = ImageOps.fit(photo, (round(width * _KEPT), round(height * _KEPT)), bleed=(1 - _KEPT) / 2)
    for image in (photo, middle):
        yield np.asarray(image)
        yield np.asarray(ImageOps.mirror(image))


def choose_photos(images: Path, folder: Path) -> tuple[list[Path], tuple[Path, ...]]:
    """Return 24 photos, 6 of them of one class, and the others, which calibrate.

    Parameters
    ----------
    images : Path
        The folder of all photos.
    folder : Path
        Where to write those that are made of another one.
    """
    photos = [path for path in sorted(images.iterdir()) if path.suffix.lower() in (".jpeg", ".jpg", ".bmp")]
    repeated = [path for path in photos if path.name in _REPEATED]
    others = [path for path in photos if path not in repeated]
    tested, calibration = others[: 2 * _OTHERS : 2], others[1 : 2 * _OTHERS : 2] + others[2 * _OTHERS :]
    for path in repeated:
        for number, image in enumerate(list(variants(path))[1:3]):
            made = folder / f"{path.stem}_{number}.png"
            Image.fromarray(image).save(made)
            tested.append(made)
    return tested + repeated, tuple(calibration)
