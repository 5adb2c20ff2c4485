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
    """Return the small copy of an image that the run stored.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Raises
    ------
    OutputError
        The copy is damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from onnx_cam.evaluation.results.records import ImageFacts
    >>> facts = ImageFacts(None, None, 1, "cat", 0.62, width=48, height=36, crop=(6, 0, 42, 36))
    >>> draw_image(SeenImage("ab12", "cat.jpg", "cat.jpg", facts, Path("cat.jpg").read_bytes())).shape
    (36, 48, 3)
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image.picture)) as picture:
            return np.array(picture.convert("RGB"))
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise OutputError(
            f"cannot read the run's copy of {image.name} ({type(error).__name__}); "
            "run onnx-cam evaluate again, into a new folder"
        ) from error


def draw_maps(
    image: SeenImage, pixels: Pixels, cams: Mapping[str, NDArray[np.float32]]
) -> list[tuple[bytes, tuple[str, ...]]] | None:
    """Return the maps of an image as JPEG files, each with the methods whose maps look like it.

    Two maps look the same if they differ by no more than one of the 256 colours at any pixel.

    Parameters
    ----------
    image : SeenImage
    pixels : ndarray of shape (H, W, 3), uint8, RGB
        The image to draw on.
    cams : mapping of str to ndarray of shape (h, w), float32
        L, the map of each method at the layer's resolution.

    Returns
    -------
    list of (bytes, tuple of str), or None
        None where a method's map is empty, which would show which method it is.

    Examples
    --------
    >>> from pathlib import Path
    >>> from onnx_cam.evaluation.results.records import ImageFacts
    >>> facts = ImageFacts(None, None, 1, "cat", 0.62, width=48, height=36, crop=(6, 0, 42, 36))
    >>> image = SeenImage("ab12", "cat.jpg", "cat.jpg", facts, Path("cat.jpg").read_bytes())
    >>> cam = np.eye(3, dtype=np.float32)
    >>> cams = {"cam": cam, "gradcam": 2 * cam, "equal": cam[::-1]}
    >>> [methods for _, methods in draw_maps(image, draw_image(image), cams)]
    [('cam', 'gradcam'), ('equal',)]
    """
    geometry = image.facts.geometry.scaled(*pixels.shape[:2])
    groups: list[tuple[NDArray[np.float32], list[str]]] = []
    for method, cam in cams.items():
        heat = geometry.place(cam)
        if not heat.any():
            return None
        group = next((names for first, names in groups if np.abs(first - heat).max() <= _INVISIBLE), None)
        if group is None:
            groups.append((heat, [method]))
        else:
            group.append(method)
    return [(as_jpeg(draw_overlay(pixels, heat, geometry.crop)), tuple(names)) for heat, names in groups]


def as_jpeg(pixels: Pixels) -> bytes:
    r"""Return an RGB image (H, W, 3), uint8, as the bytes of a JPEG file without metadata.

    Examples
    --------
    >>> as_jpeg(np.zeros((8, 8, 3), np.uint8))[:3]
    b'\xff\xd8\xff'
    """
    import cv2

    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(encoded)
