"""Weighted k-means: the plain way to choose channels, against which the regression is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

__all__ = ["nearest_representative", "representatives"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_ITERATIONS = 15


def representatives(points: Floats, weights: Floats, count: int, seed: int = 0) -> Indices:
    """Return the points nearest to the centres of a weighted k-means (Lloyd's, begun by k-means++).

    Parameters
    ----------
    points : ndarray of shape (M, d), float64
    weights : ndarray of shape (M,), float64
        ≥ 0, how much each point counts: its map's norm.
    count : int
        1 ≤ count.
    seed : int

    Returns
    -------
    ndarray of shape (count,), int64
        Sorted, without repetition; all M where `count` is no less.
    """
    if count >= len(points):
        return np.arange(len(points))
    weights = weights if weights.sum() > 0 else np.ones(len(points))
    centres = _spread_out(points, weights, count, np.random.default_rng(seed))
    for _ in range(_ITERATIONS):
        moved = _centres_of_mass(points, weights, cdist(points, centres).argmin(axis=1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return _nearest_distinct(cdist(centres, points))


def nearest_representative(points: Floats, chosen: Indices) -> Indices:
    """Return the position in `chosen` of each point's nearest one, (M,) int64."""
    return np.asarray(cdist(points, points[chosen]).argmin(axis=1), np.int64)


def _spread_out(points: Floats, weights: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Return k-means++ centres: each drawn by weight times squared distance to those before."""
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distance = cdist(points, points[chosen], "sqeuclidean")[:, 0]
    while len(chosen) < count:
        chance = weights * distance
        if chance.sum() <= 0:  # nothing but repetitions is left
            break
        chosen.append(int(rng.choice(len(points), p=chance / chance.sum())))
        distance = np.minimum(distance, cdist(points, points[chosen[-1:]], "sqeuclidean")[:, 0])
    return points[chosen]


def _centres_of_mass(points: Floats, weights: Floats, cluster: Indices, centres: Floats) -> Floats:
    mass = np.bincount(cluster, weights, len(centres))
    sums = np.zeros_like(centres)
    np.add.at(sums, cluster, points * weights[:, None])
    return np.where(mass[:, None] > 0, sums / np.where(mass > 0, mass, 1)[:, None], centres)


def _nearest_distinct(distance: Floats) -> Indices:
    """Return each centre's nearest point that no earlier centre took: ``(k, M)`` distances to (k,) points."""
    free = np.ones(distance.shape[1], bool)
    chosen = []
    for row in distance:
        chosen.append(int(np.where(free, row, np.inf).argmin()))
        free[chosen[-1]] = False
    return np.sort(np.asarray(chosen, np.int64))
