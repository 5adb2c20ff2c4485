"""What the tools make of an image, step by step with Pillow or OpenCV, as their own code does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from tests import tiny

Floats = NDArray[np.float32]

BILINEAR, BICUBIC, LANCZOS = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


def photo(height: int = 61, width: int = 83) -> Image.Image:
    """Return smooth noise: every wrong step shows, and half a pixel does not."""
    coarse = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), BICUBIC)


def planes(image: Image.Image | NDArray[Any]) -> Floats:
    """Return an image's pixels, (C, H, W)."""
    return np.moveaxis(np.asarray(image, np.float32), -1, 0)


def shorter_side(image: Image.Image, side: int, how: Image.Resampling) -> Image.Image:
    factor = side / min(image.size)
    width, height = (side if length == min(image.size) else int(length * factor) for length in image.size)
    return image.resize((width, height), how)


def centre(image: Image.Image, side: int) -> Image.Image:
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))  # what is beyond the image is black


def normalised(x: NDArray[Any], mean: tuple[float, ...], std: tuple[float, ...]) -> Floats:
    constants = (np.array(values, np.float32)[:, None, None] for values in (mean, std))
    mean_planes, std_planes = constants
    return np.asarray((x - mean_planes) / std_planes, np.float32)


def load(folder: Path, size: int | str = 32, metadata: dict[str, str] | None = None, **files: Any) -> Classifier:
    """Load the tiny model beside files, whose names are written with _ for their last dot."""
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(content if isinstance(content, str) else json.dumps(content))
    return onnx_cam.load(tiny.save(tiny.model(size=size, metadata=metadata), folder), device="cpu")


def check(model: Classifier, expected: NDArray[Any], *, within: float = 0.005) -> None:
    """Compare what the network is given for the photo, in standard deviations."""
    network_input = model.network_input(photo())
    assert network_input.shape == expected.shape
    assert float(np.abs(network_input - expected).mean() / expected.std()) < within
