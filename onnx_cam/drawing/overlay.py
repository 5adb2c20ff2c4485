"""Maps as pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.names import COLORMAPS

__all__ = ["check_drawing", "draw_overlay", "encode_png"]

Pixels = NDArray[np.uint8]

_OUTSIDE = 0.45  # brightness of what the network did not see


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

    Outside the crop the image is grey and dark: nothing is known there. An empty map leaves the image uncoloured, and
    says so in the picture.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8, RGB
    heat : ndarray of shape (H, W), float32, in [0, 1]
    crop : tuple of int
        ``(x0, y0, x1, y1)``, what the network saw.
    alpha : float
        Opacity of the colours, in [0, 1].
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
        `alpha` or `colormap` is out of range.
    """
    import cv2

    check_drawing(alpha, colormap)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    drawn = (grey * _OUTSIDE).astype(np.uint8)
    x0, y0, x1, y1 = crop
    inside = image[y0:y1, x0:x1]
    if not empty:
        levels = np.rint(heat[y0:y1, x0:x1] * 255).astype(np.uint8)
        colours = cv2.applyColorMap(levels, getattr(cv2, f"COLORMAP_{colormap.upper()}"))[..., ::-1]
        inside = np.rint(inside * (1 - alpha) + colours * alpha).astype(np.uint8)
    drawn[y0:y1, x0:x1] = inside
    return _write_empty(drawn) if empty else drawn


def check_drawing(alpha: float, colormap: str) -> None:
    """Check the settings of a drawing.

    Raises
    ------
    SettingError
    """
    if not 0 <= alpha <= 1:
        raise SettingError(f"alpha={alpha}; expected a number from 0 to 1")
    if colormap not in COLORMAPS:
        hint = did_you_mean(colormap, COLORMAPS)
        raise SettingError(f"unknown colormap {colormap!r}{hint} Expected one of {', '.join(COLORMAPS)}")


def _write_empty(drawn: Pixels) -> Pixels:
    import cv2

    marked = np.ascontiguousarray(drawn)
    scale = max(0.3, drawn.shape[1] / 400)
    place = (int(8 * scale), int(24 * scale))
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(
            marked, "empty map", place, cv2.FONT_HERSHEY_SIMPLEX, scale * 0.7, colour, max(1, int(thickness * scale))
        )
    return marked


def encode_png(image: Pixels) -> bytes:
    """Return an RGB image as the bytes of a PNG file."""
    import cv2

    _, encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    return bytes(encoded)
