"""A map beside its error: where it is sure, and where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.render import draw_overlay

if TYPE_CHECKING:
    from onnx_cam.explanation import Explanation

__all__ = ["draw_error"]

Pixels = NDArray[np.uint8]

_SMALLEST, _LARGEST = 320, 1600  # of a panel's width
_GAP = 12
_TEXT, _FAINT, _BACKGROUND = (17, 24, 39), (85, 92, 104), (255, 255, 255)
_BELOW = 0.4  # brightness of what lies below the average
_OUTSIDE = 0.8  # share of white outside the crop
_COLORMAPS = ("viridis", "inferno")  # of the error: not the map's own
_STRIPE = 12  # pixels, at a width of 320


def draw_error(explanation: Explanation, *, alpha: float = 0.5, colormap: str = "turbo") -> Pixels:
    """Return three pictures side by side: the map, its error, and what is settled of it.

    The third is bright where the map lies above its average, dark where it lies below, and striped where that is open
    at 90 %.

    Parameters
    ----------
    explanation : Explanation
        With an error.
    alpha, colormap
        As for an overlay.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB
    """
    from PIL import Image, ImageDraw, ImageFont

    assert explanation.error is not None
    drawn = explanation.overlay(alpha, colormap), _error(explanation, alpha, colormap), _settled(explanation)
    panels = [_fitted(panel) for panel in drawn]
    height, width = panels[0].shape[:2]
    size = max(11, width // 26)
    font, line = ImageFont.load_default(size), round(size * 1.4)
    canvas = Image.new("RGB", (3 * width + 2 * _GAP, height + 2 * line + _GAP), _BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    for i, (panel, (title, detail)) in enumerate(zip(panels, _titles(explanation), strict=True)):
        left = i * (width + _GAP)
        canvas.paste(Image.fromarray(panel), (left, 0))
        pen.text((left, height + _GAP // 2), title, _TEXT, font=font)
        pen.text((left, height + _GAP // 2 + line), detail, _FAINT, font=font)
    return np.asarray(canvas)


def _titles(explanation: Explanation) -> list[tuple[str, str]]:
    highest, error = float(explanation.cam.max()), explanation.error
    assert error is not None
    share = 100 * float(error.max()) / highest if highest > 0 else np.nan
    largest = "unknown" if np.isnan(share) else f"at most {share:.2g} % of the highest value"
    return [
        (f"{explanation.method} {explanation.variant}", explanation.precision),
        (f"standard deviation ({explanation.error_of})", largest),
        ("above the map's average", "bright: yes, dark: no, striped: open, pale: not seen"),
    ]


def _error(explanation: Explanation, alpha: float, colormap: str) -> Pixels:
    error = explanation.geometry.upsample(np.nan_to_num(_of(explanation.error)))
    heat = np.clip(error / max(float(error.max()), 1e-30), 0, 1).astype(np.float32)
    own = next(name for name in _COLORMAPS if name != colormap)
    return draw_overlay(explanation.pixels, heat, explanation.crop, alpha=alpha, colormap=own)


def _settled(explanation: Explanation) -> Pixels:
    above = explanation.geometry.upsample(_of(explanation.above_average), blocks=True)
    doubt = explanation.doubt
    y, x = np.mgrid[: above.shape[0], : above.shape[1]]
    width = max(4, round(_STRIPE * above.shape[1] / _SMALLEST))
    stripes = (x + y) % width < width // 2
    bright = np.where((above > doubt) & (above < 1 - doubt), stripes, above >= 1 - doubt)
    x0, y0, x1, y1 = explanation.crop
    inside = np.zeros(above.shape, bool)
    inside[y0:y1, x0:x1] = True
    grey = np.repeat(explanation.pixels.mean(axis=2, keepdims=True), 3, axis=2)
    shown = np.where(bright[..., None], explanation.pixels, grey * _BELOW)
    return np.where(inside[..., None], shown, 255 * _OUTSIDE + (1 - _OUTSIDE) * grey).astype(np.uint8)


def _of(values: NDArray[np.float32] | None) -> NDArray[np.float32]:
    assert values is not None
    return values


def _fitted(panel: Pixels) -> Any:
    """Return a picture of a width in which its caption can be read."""
    import cv2

    height, width = panel.shape[:2]
    wanted = min(max(width, _SMALLEST), _LARGEST)
    if wanted == width:
        return panel
    size = (wanted, max(1, round(height * wanted / width)))
    return cv2.resize(panel, size, interpolation=cv2.INTER_AREA if wanted < width else cv2.INTER_LINEAR)
