"""Pixels in the order of their importance, and the masks that leave some of them out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import SettingError

__all__ = ["area", "keep_masks", "pixel_order"]

Floats = NDArray[np.float32]


def pixel_order(importance: Floats) -> NDArray[np.int64]:
    """Return the pixels (H·W) from the most to the least important; ties by position, row by row."""
    return np.argsort(-importance.reshape(-1), kind="stable").astype(np.int64)


def keep_masks(importance: Floats, steps: int, *, most_important: bool) -> Floats:
    """Return the masks that keep the i/steps most, or least, important pixels, for 0 < i < steps.

    Parameters
    ----------
    importance : ndarray of shape (H, W), float32
    steps : int
        At least 1.
    most_important : bool
        Whether the most important pixels are kept, or the least important ones.

    Returns
    -------
    ndarray of shape (steps − 1, H, W), float32, of 0 and 1
        The more pixels are kept the later.

    Raises
    ------
    SettingError
        There are more steps than pixels.
    """
    if steps > importance.size:
        raise SettingError(f"steps={steps} of {importance.size} pixels; expected at most one step a pixel")
    order = pixel_order(importance)
    rank = np.empty(importance.size, np.int64)
    rank[order if most_important else order[::-1]] = np.arange(importance.size)
    counts = np.rint(np.arange(1, steps) * importance.size / steps)
    kept = (rank[None] < counts[:, None]).astype(np.float32)  # (steps − 1, H·W)
    return kept.reshape(steps - 1, *importance.shape)


def area(curve: NDArray[np.float64]) -> float:
    """Return the trapezoidal area under points that lie evenly on [0, 1]."""
    return float(((curve[1:] + curve[:-1]) / 2).mean())
