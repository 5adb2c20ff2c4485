"""From an image to the network's input: resize, crop, scale and normalise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError, PreprocessingError
from onnx_cam.image.files import MAX_PIXELS
from onnx_cam.image.geometry import Geometry

__all__ = ["PRESETS", "Preprocessing"]

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input: resize, centre crop, ``(pixel · scale − mean) / std``.

    Attributes
    ----------
    name : str
        A preset's name, or ``custom``.
    resize : {"cover", "stretch"}
        Scale the image until it covers the input divided by `crop_pct`, then cut out the centre; or stretch it to the
        input, whatever its proportions.
    crop_pct : float
        The input's share of the resized image's shorter side.
    interpolation : {"linear", "cubic", "lanczos", "nearest", "area"}
        cv2's; an image that shrinks more than twice is resized by area, whatever this says, save for "nearest".
    channels : {"RGB", "BGR"}
        The order; an input of one channel takes the luma, and the means of the constants.
    scale : float
        A pixel's factor.
    mean, std : tuple of float
        In the order of `channels`, after `scale`.
    size : tuple of int or None
        ``(H, W)`` for a network whose input size is free.
    source : str
        Where this was found.
    """

    name: str
    resize: Literal["cover", "stretch"] = "cover"
    crop_pct: float = 0.875
    interpolation: Literal["linear", "cubic", "lanczos", "nearest", "area"] = "linear"
    channels: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    size: tuple[int, int] | None = None
    source: str = ""

    @property
    def normalises(self) -> bool:
        """Whether it changes the pixel values at all."""
        return self.scale != 1 or any(self.mean) or any(value != 1 for value in self.std)

    def describe(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; ``Preprocessing`` reads them back from a file."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def apply(self, image: Pixels, size: tuple[int, int], channels: int = 3) -> tuple[Floats, Geometry]:
        """Return the network's input and its geometry.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3), uint8, RGB
        size : tuple of int
            ``(H, W)`` of the network's input.
        channels : {1, 3}
            C.

        Returns
        -------
        ndarray of shape (C, H, W), float32
        Geometry

        Raises
        ------
        ImageError
            The image is so narrow that the resized one would be too large.
        PreprocessingError
            There is no way from an image file to that many channels.
        """
        resized, geometry = self._resize_and_crop(image, size)
        return self.normalise(resized, channels), geometry

    def pixel(self, value: float, channels: int = 3) -> Floats:
        """Return what a pixel value becomes in network-input space, shape (C, 1, 1)."""
        mean, std = self._constants(channels)
        return (np.float32(value) * np.float32(self.scale) - mean) / std

    def _resize_and_crop(self, image: Pixels, size: tuple[int, int]) -> tuple[Pixels, Geometry]:
        height, width = image.shape[:2]
        if self.resize == "stretch":
            return self._resized(image, size), Geometry(height, width, (0, 0, width, height))
        tall, wide = self._covering(height, width, size)
        if tall * wide > MAX_PIXELS:
            raise ImageError(f"an image of {width}×{height} pixels would be resized to {wide}×{tall}; crop it first")
        top, left = (tall - size[0]) // 2, (wide - size[1]) // 2
        resized = self._resized(image, (tall, wide))[top : top + size[0], left : left + size[1]]
        rows = _back(top, size[0], height / tall, height)
        columns = _back(left, size[1], width / wide, width)
        return resized, Geometry(height, width, (columns[0], rows[0], columns[1], rows[1]))

    def _covering(self, height: int, width: int, size: tuple[int, int]) -> tuple[int, int]:
        """Return the resized image's height and width: it covers ``size / crop_pct``."""
        box = round(size[0] / self.crop_pct), round(size[1] / self.crop_pct)
        if box[0] / height >= box[1] / width:
            return box[0], max(box[1], round(width * box[0] / height))
        return max(box[0], round(height * box[1] / width)), box[1]

    def _resized(self, image: Pixels, size: tuple[int, int]) -> Pixels:
        import cv2

        flags = {
            "linear": cv2.INTER_LINEAR,
            "cubic": cv2.INTER_CUBIC,
            "lanczos": cv2.INTER_LANCZOS4,
            "nearest": cv2.INTER_NEAREST,
            "area": cv2.INTER_AREA,
        }
        shrinks = max(image.shape[0] / size[0], image.shape[1] / size[1]) > 2
        name = "area" if shrinks and self.interpolation != "nearest" else self.interpolation
        return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=flags[name]), np.uint8)

    def normalise(self, image: Pixels, channels: int) -> Floats:
        """Return ``(pixel · scale − mean) / std`` of an image (H, W, 3), as (C, H, W) float32."""
        import cv2

        mean, std = self._constants(channels)
        if channels == 1:
            pixels = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)[None]
        else:
            pixels = np.moveaxis(image if self.channels == "RGB" else image[..., ::-1], -1, 0)  # (C, H, W)
        with np.errstate(over="ignore", invalid="ignore"):
            normalised: Floats = (pixels.astype(np.float32) * np.float32(self.scale) - mean) / std
        if not np.isfinite(normalised).all():
            raise PreprocessingError(
                f"preprocessing {self.name!r} makes infinite numbers of pixels; mend its constants"
            )
        return np.ascontiguousarray(normalised)

    def _constants(self, channels: int) -> tuple[Floats, Floats]:
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        if channels == 1:
            mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
        elif channels != 3:
            raise PreprocessingError(
                f"the model takes {channels} channels, an image file has 3; "
                "give the network's input itself: --preprocess none with a .npy file"
            )
        return mean[:, None, None], std[:, None, None]


def _back(start: int, length: int, factor: float, limit: int) -> tuple[int, int]:
    """Return a stretch of the resized image in pixels of the image: at least one of them."""
    low = min(round(start * factor), limit - 1)
    return low, max(low + 1, min(round((start + length) * factor), limit))


_UNIT = Preprocessing("unit", scale=1 / 255, source="preset unit")

PRESETS: dict[str, Preprocessing] = {
    "imagenet": replace(
        _UNIT, name="imagenet", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), source="preset imagenet"
    ),
    "tf": Preprocessing("tf", scale=1 / 127.5, mean=(1.0, 1.0, 1.0), source="preset tf"),
    "caffe": Preprocessing("caffe", channels="BGR", mean=(103.939, 116.779, 123.68), source="preset caffe"),
    "unit": _UNIT,
    "raw": Preprocessing("raw", source="preset raw"),
}
"""The presets by name: the resize rule is the same for all of them."""
