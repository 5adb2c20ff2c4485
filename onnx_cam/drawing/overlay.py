"""A map drawn over its image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.drawing.canvas import Pixels
from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.names import COLORMAPS

__all__ = ["check_drawing", "draw_overlay", "encode_png"]

_OUTSIDE = 0.45  # brightness outside the crop


def draw_overlay(
    image: Pixels,
    heat: NDArray[np.float32],
    crop: tuple[int, int, int, int],
    *,
    alpha: float = 0.5,
    colormap: str = "turbo",
    empty: bool = False,
) -> Pixels:
    """Draw a map over an image.

    Outside the crop, which the network does not see, the image is grey and dark. An empty map adds no colour; the
    picture says "empty map" instead.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8, RGB
        The image as given.
    heat : ndarray of shape (H, W), float32, in [0, 1]
        The map, in the image's geometry.
    crop : tuple of int
        ``(x0, y0, x1, y1)``, the part of the image that the network sees; x1 and y1 are exclusive.
    alpha : float
        Opacity of the map's colours, in [0, 1].
    colormap : str
        One of `onnx_cam.names.COLORMAPS`.
    empty : bool
        Whether the map is zero everywhere.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Raises
    ------
    SettingError
        `alpha` is out of range, or `colormap` is unknown.

    Examples
    --------
    >>> image = np.full((4, 6, 3), 128, np.uint8)
    >>> heat = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    >>> overlay = draw_overlay(image, heat, (1, 0, 5, 4))
    >>> overlay.shape
    (4, 6, 3)
    >>> overlay[0, 0]  # outside the crop: grey, and darker than the image
    array([57, 57, 57], dtype=uint8)
    """
    import cv2

    check_drawing(alpha, colormap)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    overlay = (grey * _OUTSIDE).astype(np.uint8)
    x0, y0, x1, y1 = crop
    inside = image[y0:y1, x0:x1]
    if not empty:
        levels = np.rint(heat[y0:y1, x0:x1] * 255).astype(np.uint8)
        colours = cv2.applyColorMap(levels, getattr(cv2, f"COLORMAP_{colormap.upper()}"))[..., ::-1]
        inside = np.rint(inside * (1 - alpha) + colours * alpha).astype(np.uint8)
    overlay[y0:y1, x0:x1] = inside
    return _write_empty(overlay) if empty else overlay


def check_drawing(alpha: float, colormap: str) -> None:
    """Check the settings of an overlay.

    Raises
    ------
    SettingError
        `alpha` is out of range, or `colormap` is unknown.

    Examples
    --------
    >>> check_drawing(0.5, "turbo")
    >>> check_drawing(2, "turbo")
    Traceback (most recent call last):
    onnx_cam.errors.SettingError: alpha=2; expected a number from 0 to 1
    """
    if not 0 <= alpha <= 1:
        raise SettingError(f"alpha={alpha}; expected a number from 0 to 1")
    if colormap not in COLORMAPS:
        hint = did_you_mean(colormap, COLORMAPS)
        raise SettingError(f"unknown colormap {colormap!r}{hint} Expected one of {', '.join(COLORMAPS)}")


def _write_empty(overlay: Pixels) -> Pixels:
    """Write "empty map" into the upper left corner, white on a black outline."""
    import cv2

    marked = np.ascontiguousarray(overlay)
    scale = max(0.3, overlay.shape[1] / 400)
    corner = (int(8 * scale), int(24 * scale))
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        width = max(1, int(thickness * scale))
        cv2.putText(marked, "empty map", corner, cv2.FONT_HERSHEY_SIMPLEX, scale * 0.7, colour, width)
    return marked


def encode_png(image: Pixels) -> bytes:
    """Return an RGB image, ``(H, W, 3)`` uint8, as the bytes of a PNG file.

    Examples
    --------
    >>> encode_png(np.zeros((4, 6, 3), np.uint8))[1:4]
    b'PNG'
    """
    import cv2

    _, encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    return bytes(encoded)
