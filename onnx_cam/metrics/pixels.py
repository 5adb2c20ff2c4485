"""Pixels in the order of their importance, and masks that keep some of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import SettingError

__all__ = ["area", "keep_masks", "pixel_order"]

Floats = NDArray[np.float32]


def pixel_order(importance: Floats) -> NDArray[np.int64]:
    """Return the positions of the pixels from the most to the least important one.

    Parameters
    ----------
    importance : ndarray of shape (H, W), float32

    Returns
    -------
    ndarray of shape (H·W,), int64
        Positions count row by row. Equally important pixels are in the order of their position.

    Examples
    --------
    >>> pixel_order(np.array([[0.2, 0.9], [0.9, 0.1]], np.float32)).tolist()
    [1, 2, 0, 3]
    """
    return np.argsort(-importance.reshape(-1), kind="stable").astype(np.int64)


def keep_masks(importance: Floats, steps: int, *, most_important: bool) -> Floats:
    """Return the masks that keep a share i/steps of the pixels, for 0 < i < steps.

    Parameters
    ----------
    importance : ndarray of shape (H, W), float32
    steps : int
        At least 1.
    most_important : bool
        Whether the most important pixels are kept, or the least important ones.

    Returns
    -------
    ndarray of shape (steps − 1, H, W), float32
        0 or 1. Each mask keeps more pixels than the one before.

    Raises
    ------
    SettingError
        There are more steps than pixels.

    Examples
    --------
    >>> importance = np.array([[0.2, 0.9], [0.9, 0.1]], np.float32)
    >>> keep_masks(importance, 4, most_important=True).reshape(3, 4).astype(int).tolist()
    [[0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]]
    """
    if steps > importance.size:
        raise SettingError(f"steps={steps}, but the input has {importance.size} pixels; expected no more steps")
    order = pixel_order(importance)
    rank = np.empty(importance.size, np.int64)
    rank[order if most_important else order[::-1]] = np.arange(importance.size)
    counts = np.rint(np.arange(1, steps) * importance.size / steps)
    masks = (rank[None] < counts[:, None]).astype(np.float32)  # (steps − 1, H·W)
    return masks.reshape(steps - 1, *importance.shape)


def area(curve: NDArray[np.float64]) -> float:
    """Return the area under a curve on [0, 1] by the trapezoidal rule.

    Parameters
    ----------
    curve : ndarray of shape (points,), float64
        Its values at evenly spaced positions from 0 to 1.

    Examples
    --------
    >>> area(np.array([1.0, 0.5, 0.0]))
    0.5
    """
    return float(((curve[1:] + curve[:-1]) / 2).mean())
