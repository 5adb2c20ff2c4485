"""Resize an image, and round sizes and crops, as the library does that a model was trained with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["INTERPOLATIONS", "LIBRARIES", "RESIZES", "Interpolation", "Library", "LibraryName", "Resize", "Size"]

Pixels = NDArray[np.uint8]
Size = tuple[int, int]
"""(H, W) in pixels."""

Interpolation = Literal["linear", "cubic", "lanczos", "nearest", "area", "hamming"]
Resize = Literal["cover", "shorter-side", "stretch", "stretch-crop", "fit", "crop", "crop-first"]
LibraryName = Literal["onnx-cam", "opencv", "pillow", "torchvision"]

INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)

_AREA_ABOVE = 2  # how much an image may be reduced before its pixels are averaged


@dataclass(frozen=True)
class Library:
    """How a library resizes and crops.

    Attributes
    ----------
    resize : callable
        Returns an image (h, w, C) uint8, given an image (H, W, C) uint8, ``(h, w)`` and an interpolation; C is 3, or 4
        with alpha, which OpenCV resizes as it does a colour. Pillow weighs the colours by it.
    longer_side : callable
        Rounds the longer side of an image that is resized by its shorter side ("shorter-side").
    crop_start : callable
        Returns where a centre crop begins, given how many pixels longer than the crop the image is; both are negative
        where it is shorter.

    Examples
    --------
    >>> image = np.zeros((8, 8, 3), np.uint8)
    >>> LIBRARIES["pillow"].resize(image, (4, 6), "cubic").shape
    (4, 6, 3)
    >>> [library.longer_side(299.9) for library in LIBRARIES.values()]
    [300, 300, 299, 299]
    >>> [library.crop_start(7) for library in LIBRARIES.values()]
    [3, 3, 3, 4]
    """

    resize: Callable[[Pixels, Size, Interpolation], Pixels]
    longer_side: Callable[[float], int]
    crop_start: Callable[[int], int]


def _with_opencv(image: Pixels, size: Size, interpolation: Interpolation) -> Pixels:
    """Resize as cv2 does: at each new pixel, a few of the nearest old ones count, however much the image shrinks."""
    import cv2

    numbers = {
        "linear": cv2.INTER_LINEAR,
        "cubic": cv2.INTER_CUBIC,
        "lanczos": cv2.INTER_LANCZOS4,
        "nearest": cv2.INTER_NEAREST,
        "area": cv2.INTER_AREA,
        "hamming": cv2.INTER_LINEAR,  # the nearest that OpenCV has
    }
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=numbers[interpolation]), np.uint8)


def _with_opencv_or_area(image: Pixels, size: Size, interpolation: Interpolation) -> Pixels:
    """Resize as cv2 does, but average the pixels of an image that shrinks a lot."""
    reduction = max(image.shape[0] / size[0], image.shape[1] / size[1])
    by_area = reduction > _AREA_ABOVE and interpolation != "nearest"
    return _with_opencv(image, size, "area" if by_area else interpolation)


def _with_pillow(image: Pixels, size: Size, interpolation: Interpolation) -> Pixels:
    """Resize as Pillow does: where the image shrinks, the filter widens, so that every old pixel counts."""
    from PIL import Image

    filters = {
        "linear": Image.Resampling.BILINEAR,
        "cubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
        "nearest": Image.Resampling.NEAREST,
        "area": Image.Resampling.BOX,
        "hamming": Image.Resampling.HAMMING,
    }
    resized = Image.fromarray(image).resize((size[1], size[0]), filters[interpolation])
    return np.asarray(resized, np.uint8)


def _half_down(difference: int) -> int:
    return difference // 2


def _half_to_even(difference: int) -> int:
    return round(difference / 2) if difference >= 0 else -(-difference // 2)


LIBRARIES: dict[LibraryName, Library] = {
    "onnx-cam": Library(_with_opencv_or_area, round, _half_down),
    "opencv": Library(_with_opencv, round, _half_down),
    "pillow": Library(_with_pillow, int, _half_down),
    "torchvision": Library(_with_pillow, int, _half_to_even),
}
"""Name to library; torchvision resizes with Pillow, and only rounds where a crop starts in its own way."""


def _cover(image: Size, _: Size, enlarged: Size, library: Library) -> Size:
    (height, width), (least_height, least_width) = image, enlarged
    if least_height / height >= least_width / width:
        return least_height, max(least_width, round(width * least_height / height))
    return max(least_height, round(height * least_width / width)), least_width


def _shorter_side(image: Size, _: Size, enlarged: Size, library: Library) -> Size:
    (height, width), side = image, min(enlarged)
    if height <= width:
        return side, max(side, library.longer_side(side * width / height))
    return max(side, library.longer_side(side * height / width)), side


def _fit(image: Size, _: Size, enlarged: Size, library: Library) -> Size:
    reduction = max(image[0] / enlarged[0], image[1] / enlarged[1])
    return max(round(image[0] / reduction), 1), max(round(image[1] / reduction), 1)


RESIZES: dict[Resize, Callable[[Size, Size, Size, Library], Size]] = {
    "cover": _cover,
    "shorter-side": _shorter_side,
    "stretch": lambda image, size, enlarged, library: size,
    "stretch-crop": lambda image, size, enlarged, library: enlarged,
    "fit": _fit,
    "crop": lambda image, size, enlarged, library: image,
    "crop-first": lambda image, size, enlarged, library: size,
}
"""Kind of resizing to a function of four things: the size of the image, that of the network, the latter divided by
``crop_pct``, and the library. It returns the size that the image is resized to before it is cropped or padded. What the
kinds mean: :class:`.preprocessing.Preprocessing`."""
