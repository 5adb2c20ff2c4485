"""The distance of two maps whatever their scale, which class specificity and the class-change metric are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FARTHEST", "map_change", "unit_distance", "unit_length"]

Doubles = NDArray[np.float64]

FARTHEST = math.sqrt(2)
"""The distance of maps that share no position, and of an empty map to one that is not."""


def unit_length(values: NDArray[np.floating[Any]]) -> Doubles:
    """Return an array scaled to unit length, ``n(L) = L / ‖L‖``; zeros stay zeros.

    Parameters
    ----------
    values : ndarray of any shape, float32 or float64

    Returns
    -------
    ndarray of the same shape, float64

    Examples
    --------
    >>> unit_length(np.array([[3.0, 0.0], [0.0, 4.0]]))
    array([[0.6, 0. ],
           [0. , 0.8]])
    """
    doubles = values.astype(np.float64)
    length = np.linalg.norm(doubles)
    return doubles / length if length > 0 else doubles


def unit_distance(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> float | None:
    """Return ``‖n(L) − n(L')‖``, the distance of two maps after both are scaled to unit length.

    Parameters
    ----------
    first, second : ndarray of shape (h, w), float32 or float64
        L and L', neither of them negative anywhere.

    Returns
    -------
    float or None
        From 0, where one map is a multiple of the other, to √2, where no position is above zero in both. None where
        either map is zero everywhere.

    References
    ----------
    METHODS.md, "Evaluation": class specificity.

    Examples
    --------
    >>> left, right = np.array([[1.0, 0.0]]), np.array([[0.0, 5.0]])
    >>> unit_distance(left, 7 * left)
    0.0
    >>> round(unit_distance(left, right), 4)
    1.4142
    >>> unit_distance(left, 0 * left) is None
    True
    """
    doubles = first.astype(np.float64), second.astype(np.float64)
    lengths = [np.linalg.norm(one) for one in doubles]
    if not all(lengths):
        return None
    return float(np.linalg.norm(doubles[0] / lengths[0] - doubles[1] / lengths[1]))


def map_change(before: NDArray[np.floating[Any]], after: NDArray[np.floating[Any]]) -> float:
    """Return `unit_distance`, where maps may be empty: √2 where one of the two is zero everywhere, 0 where both are.

    Parameters
    ----------
    before, after : ndarray of shape (h, w), float32 or float64

    Examples
    --------
    >>> round(map_change(np.eye(2), np.zeros((2, 2))), 4), map_change(np.zeros((2, 2)), np.zeros((2, 2)))
    (1.4142, 0.0)
    """
    if not before.any() and not after.any():
        return 0.0
    distance = unit_distance(before, after)
    return FARTHEST if distance is None else distance
