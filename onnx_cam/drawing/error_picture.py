"""A map beside its error: where the map is certain, and where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onnx_cam.drawing.canvas import BACKGROUND, FAINT, TEXT, Pixels, fit_line, load_font, resize
from onnx_cam.drawing.overlay import draw_overlay

__all__ = ["draw_error"]

Floats = NDArray[np.float32]
Crop = tuple[int, int, int, int]

_NARROWEST, _WIDEST = 320, 1600  # of a panel, in pixels
_GAP = 12
_BELOW = 0.4  # brightness of what lies below the average
_OUTSIDE = 0.8  # proportion of white outside the crop
_COLORMAPS = ("viridis", "inferno")  # of the error; the first that the map does not use
_STRIPES = 12  # width of a pair of stripes, in pixels, in a panel of the narrowest width


def draw_error(
    image: Pixels,
    overlay: Pixels,
    deviation: Floats,
    above_average: Floats,
    *,
    crop: Crop,
    titles: Sequence[tuple[str, str]],
    doubt: float,
    alpha: float = 0.5,
    colormap: str = "turbo",
) -> Pixels:
    """Return three panels side by side: the map, its standard deviation, and where it is above its average.

    The third panel is bright where the map lies above its average, dark where it lies below, and striped where the
    interval does not tell.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8, RGB
        The image as given.
    overlay : ndarray of shape (H, W, 3), uint8, RGB
        The map drawn over the image.
    deviation : ndarray of shape (H, W), float32
        The map's standard deviation, in the image's geometry.
    above_average : ndarray of shape (H, W), float32, in [0, 1]
        The probability that the map lies above its own average, in the image's geometry.
    crop : tuple of int
        ``(x0, y0, x1, y1)``, the part of the image that the network sees.
    titles : sequence of (str, str)
        A title and a line of detail for each of the three panels.
    doubt : float
        The probability that the interval leaves out at either end, e.g. 0.05 for 90 %.
    alpha, colormap
        As for :func:`onnx_cam.drawing.overlay.draw_overlay`; the deviation is drawn in another colour map.

    Returns
    -------
    ndarray of shape (h, w, 3), uint8, RGB
        Three panels of `image`'s aspect ratio, 320 to 1,600 pixels wide each, with their titles below.

    Examples
    --------
    >>> image = np.full((40, 60, 3), 128, np.uint8)
    >>> above_average = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (40, 1))
    >>> titles = [("map", ""), ("standard deviation", "at most 12 %"), ("above the average", "striped: open")]
    >>> draw_error(
    ...     image, image, above_average / 8, above_average, crop=(0, 0, 60, 40), titles=titles, doubt=0.05
    ... ).shape
    (259, 984, 3)
    """
    from PIL import Image, ImageDraw

    # The panels, each as large as the image: (H, W, 3).
    error_colormap = next(name for name in _COLORMAPS if name != colormap)
    pictures = (
        overlay,
        draw_overlay(image, _heat(deviation), crop, alpha=alpha, colormap=error_colormap),
        _draw_settled(image, above_average, crop, doubt),
    )

    # The same at a width at which the titles can be read, (h, w, 3), and two lines of text below each.
    panels = [_scale_panel(picture) for picture in pictures]
    height, width = panels[0].shape[:2]
    text_size = max(11, width // 26)
    font, line = load_font(text_size), round(text_size * 1.4)
    canvas = Image.new("RGB", (3 * width + 2 * _GAP, height + 2 * line + _GAP), BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    for i, (panel, (title, detail)) in enumerate(zip(panels, titles, strict=True)):
        x, y = i * (width + _GAP), height + _GAP // 2
        canvas.paste(Image.fromarray(panel), (x, 0))
        pen.text((x, y), fit_line(title, "", font, width), TEXT, font=font)
        pen.text((x, y + line), fit_line(detail, "", font, width), FAINT, font=font)
    return np.asarray(canvas)


def _heat(deviation: Floats) -> Floats:
    """Return the deviation divided by its own maximum, for the colour map."""
    return np.asarray(np.clip(deviation / max(float(deviation.max()), 1e-30), 0, 1), np.float32)


def _draw_settled(image: Pixels, above_average: Floats, crop: Crop, doubt: float) -> Pixels:
    """Return the image, bright where the map is above its average, dark where below, striped where that is open."""
    y, x = np.mgrid[: above_average.shape[0], : above_average.shape[1]]  # (H, W) each
    period = max(4, round(_STRIPES * above_average.shape[1] / _NARROWEST))
    stripes = (x + y) % period < period // 2
    is_open = (above_average > doubt) & (above_average < 1 - doubt)
    is_bright = np.where(is_open, stripes, above_average >= 1 - doubt)

    x0, y0, x1, y1 = crop
    is_inside = np.zeros(above_average.shape, bool)
    is_inside[y0:y1, x0:x1] = True
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)  # (H, W, 3)
    inside = np.where(is_bright[..., None], image, grey * _BELOW)
    outside = 255 * _OUTSIDE + (1 - _OUTSIDE) * grey
    return np.where(is_inside[..., None], inside, outside).astype(np.uint8)


def _scale_panel(picture: Pixels) -> Pixels:
    """Return a picture at a width at which its titles can be read."""
    height, width = picture.shape[:2]
    panel_width = min(max(width, _NARROWEST), _WIDEST)
    return resize(picture, max(1, round(height * panel_width / width)), panel_width)
