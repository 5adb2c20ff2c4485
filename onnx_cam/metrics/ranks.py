"""Rank correlation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["spearman"]


def spearman(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> float:
    """Return Spearman's rank correlation of two arrays; equal values share the mean of their ranks.

    Parameters
    ----------
    first, second : ndarray of the same shape
        Neither of them constant.

    Returns
    -------
    float
        From −1 to 1; exactly 1 where the order is the same.

    Examples
    --------
    >>> spearman(np.array([0.1, 0.5, 0.5, 2.0]), np.array([1.0, 2.0, 2.0, 9.0]))
    1.0
    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]))
    -1.0
    """
    one, other = _centred_ranks(first), _centred_ranks(second)
    # Whole numbers of any size, so that nothing is rounded before the end.
    products = [sum(map(int.__mul__, *pair)) for pair in ((one, other), (one, one), (other, other))]
    return products[0] / math.sqrt(products[1] * products[2])


def _centred_ranks(values: NDArray[np.floating[Any]]) -> list[int]:
    """Return twice the average ranks, less their mean: whole numbers whose sum is 0."""
    _, inverse, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    twice: NDArray[np.int64] = 2 * below + counts - values.size  # 2 · (below + (count − 1) / 2) − (n − 1)
    return [int(rank) for rank in twice[inverse]]
