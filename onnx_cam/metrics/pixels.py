"""Pixels in the order of their importance, and the areas under curves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import SettingError

__all__ = ["area", "pixel_order", "pixel_ranks", "step_counts"]

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


def pixel_ranks(importance: Floats) -> NDArray[np.int32]:
    """Return each pixel's place in the order of importance, 0 for the most important one.

    Parameters
    ----------
    importance : ndarray of shape (H, W), float32

    Returns
    -------
    ndarray of shape (H, W), int32

    Examples
    --------
    >>> pixel_ranks(np.array([[0.2, 0.9], [0.9, 0.1]], np.float32)).tolist()
    [[2, 0], [1, 3]]
    """
    ranks = np.empty(importance.size, np.int32)
    ranks[pixel_order(importance)] = np.arange(importance.size, dtype=np.int32)
    return ranks.reshape(importance.shape)


def step_counts(pixels: int, steps: int) -> list[int]:
    """Return how many pixels a share i/steps of them is, for 0 < i < steps.

    Raises
    ------
    SettingError
        There are more steps than pixels.

    Examples
    --------
    >>> step_counts(10, 4)
    [2, 5, 8]
    """
    if steps > pixels:
        raise SettingError(f"steps={steps}, but the input has {pixels} pixels; expected no more steps")
    return [int(count) for count in np.rint(np.arange(1, steps) * pixels / steps)]


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
