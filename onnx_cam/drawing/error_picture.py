"""A map beside its error: where it is sure, and where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.drawing.overlay import draw_overlay

__all__ = ["draw_error"]

Pixels = NDArray[np.uint8]

_SMALLEST, _LARGEST = 320, 1600  # of a panel's width
_GAP = 12
_TEXT, _FAINT, _BACKGROUND = (17, 24, 39), (85, 92, 104), (255, 255, 255)
_BELOW = 0.4  # brightness of what lies below the average
_OUTSIDE = 0.8  # share of white outside the crop
_COLORMAPS = ("viridis", "inferno")  # of the error: not the map's own
_STRIPE = 12  # pixels, at a width of 320


def draw_error(
    image: Pixels,
    overlay: Pixels,
    deviation: NDArray[np.float32],
    above_average: NDArray[np.float32],
    *,
    crop: tuple[int, int, int, int],
    titles: Sequence[tuple[str, str]],
    doubt: float,
    alpha: float = 0.5,
    colormap: str = "turbo",
) -> Pixels:
    """Return three panels side by side: the map, its standard deviation, and where it is settled.

    The third panel is bright where the map lies above its average, dark where it lies below, and striped where the
    interval leaves that open.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8, RGB
        The image as given.
    overlay : ndarray of shape (H, W, 3), uint8, RGB
        The map drawn over it.
    deviation : ndarray of shape (H, W), float32
        The map's standard deviation, in the image's geometry.
    above_average : ndarray of shape (H, W), float32, in [0, 1]
        The probability that the map lies above its own average, in the image's geometry.
    crop : tuple of int
        ``(x0, y0, x1, y1)``, the part of the image that the network saw.
    titles : sequence of (str, str)
        A title and a line of detail for each of the three panels.
    doubt : float
        What the interval leaves out at either end, e.g. 0.05 for 90 %.
    alpha, colormap
        As for :func:`onnx_cam.drawing.overlay.draw_overlay`; the deviation gets a colour map of its own.

    Returns
    -------
    ndarray of shape (h, w, 3), uint8, RGB
    """
    from PIL import Image, ImageDraw, ImageFont

    heat = _heat(deviation)
    own = next(name for name in _COLORMAPS if name != colormap)
    drawn = (
        overlay,
        draw_overlay(image, heat, crop, alpha=alpha, colormap=own),
        _settled(image, above_average, crop, doubt),
    )
    panels = [_fitted(panel) for panel in drawn]
    height, width = panels[0].shape[:2]
    size = max(11, width // 26)
    font, line = ImageFont.load_default(size), round(size * 1.4)
    canvas = Image.new("RGB", (3 * width + 2 * _GAP, height + 2 * line + _GAP), _BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    for i, (panel, (title, detail)) in enumerate(zip(panels, titles, strict=True)):
        left = i * (width + _GAP)
        canvas.paste(Image.fromarray(panel), (left, 0))
        pen.text((left, height + _GAP // 2), title, _TEXT, font=font)
        pen.text((left, height + _GAP // 2 + line), detail, _FAINT, font=font)
    return np.asarray(canvas)


def _heat(deviation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the deviation as a share of its own maximum, for the colour map."""
    return np.asarray(np.clip(deviation / max(float(deviation.max()), 1e-30), 0, 1), np.float32)


def _settled(
    image: Pixels, above_average: NDArray[np.float32], crop: tuple[int, int, int, int], doubt: float
) -> Pixels:
    y, x = np.mgrid[: above_average.shape[0], : above_average.shape[1]]
    width = max(4, round(_STRIPE * above_average.shape[1] / _SMALLEST))
    stripes = (x + y) % width < width // 2
    is_open = (above_average > doubt) & (above_average < 1 - doubt)
    bright = np.where(is_open, stripes, above_average >= 1 - doubt)
    x0, y0, x1, y1 = crop
    inside = np.zeros(above_average.shape, bool)
    inside[y0:y1, x0:x1] = True
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    shown = np.where(bright[..., None], image, grey * _BELOW)
    return np.where(inside[..., None], shown, 255 * _OUTSIDE + (1 - _OUTSIDE) * grey).astype(np.uint8)


def _fitted(panel: Pixels) -> Any:
    """Return a picture of a width in which its caption can be read."""
    import cv2

    height, width = panel.shape[:2]
    wanted = min(max(width, _SMALLEST), _LARGEST)
    if wanted == width:
        return panel
    size = (wanted, max(1, round(height * wanted / width)))
    return cv2.resize(panel, size, interpolation=cv2.INTER_AREA if wanted < width else cv2.INTER_LINEAR)
