"""The pictures of a survey: an image, and each method's map over it, all in one size and format."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from onnx_cam.drawing.overlay import draw_overlay
from onnx_cam.errors import OutputError
from onnx_cam.evaluation.results.records import SeenImage

__all__ = ["as_jpeg", "draw_image", "draw_maps"]

Pixels = NDArray[np.uint8]

_QUALITY = 90
_INVISIBLE = 1 / 255


def draw_image(image: SeenImage) -> Pixels:
    """Return the small copy of an image that the run kept, (H, W, 3) uint8, RGB.

    Raises
    ------
    OutputError
        It is damaged.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image.picture)) as picture:
            return np.array(picture.convert("RGB"))
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise OutputError(
            f"the run's copy of {image.name} cannot be read ({type(error).__name__}); "
            "expected what onnx-cam evaluate kept: evaluate into a new folder"
        ) from error


def draw_maps(
    image: SeenImage, pixels: Pixels, cams: Mapping[str, NDArray[np.float32]]
) -> list[tuple[bytes, tuple[str, ...]]] | None:
    """Return the maps of an image as JPEG files, each with the methods whose maps look like that.

    Two maps look the same where no pixel is further apart than one of the 256 colours.

    Parameters
    ----------
    image : SeenImage
    pixels : ndarray of shape (H, W, 3), uint8, RGB
        What to draw on.
    cams : mapping of str to ndarray of shape (h, w), float32
        L of each method.

    Returns
    -------
    list of (bytes, tuple of str), or None
        None where a method's map says nothing: it would show which one it is.
    """
    geometry = image.facts.geometry.scaled(*pixels.shape[:2])
    groups: list[tuple[NDArray[np.float32], list[str]]] = []
    for method, cam in cams.items():
        heat = geometry.place(cam)
        if not heat.any():
            return None
        same = (names for first, names in groups if np.abs(first - heat).max() <= _INVISIBLE)
        alike = next(same, None)
        if alike is None:
            groups.append((heat, [method]))
        else:
            alike.append(method)
    return [(as_jpeg(draw_overlay(pixels, heat, geometry.crop)), tuple(names)) for heat, names in groups]


def as_jpeg(pixels: Pixels) -> bytes:
    """Return an RGB image as the bytes of a JPEG file, without metadata."""
    import cv2

    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(encoded)
