"""Weighted k-means: a simple way to choose channels, with which the regression is compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

__all__ = ["nearest_representative", "representatives"]

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

_ITERATIONS = 15


def representatives(points: Doubles, weights: Doubles, count: int, seed: int = 0) -> Indices:
    """Return the points nearest to the centres of a weighted k-means (Lloyd's algorithm, started by k-means++).

    Parameters
    ----------
    points : ndarray of shape (M, d), float64
    weights : ndarray of shape (M,), float64
        How much each point counts, ≥ 0: the norm of its map.
    count : int
        How many points, ≥ 1.
    seed : int
        Random seed of the first centres.

    Returns
    -------
    ndarray of shape (count,), int64
        Positions of the points, sorted, without repetition; all M if `count` is at least M.
    """
    if count >= len(points):
        return np.arange(len(points))
    weights = weights if weights.sum() > 0 else np.ones(len(points))
    centres = _spread_out(points, weights, count, np.random.default_rng(seed))
    for _ in range(_ITERATIONS):
        new_centres = _centres_of_mass(points, weights, cdist(points, centres).argmin(axis=1), centres)
        if np.array_equal(new_centres, centres):
            break
        centres = new_centres
    return _nearest_distinct(cdist(centres, points))


def nearest_representative(points: Doubles, centres: Indices) -> Indices:
    """Return the position in `centres` of each point's nearest one, (M,) int64."""
    return np.asarray(cdist(points, points[centres]).argmin(axis=1), np.int64)


def _spread_out(points: Doubles, weights: Doubles, count: int, rng: np.random.Generator) -> Doubles:
    """Return k-means++ centres: each is drawn by its weight times its squared distance to the centres before it."""
    centres = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distance = cdist(points, points[centres], "sqeuclidean")[:, 0]
    while len(centres) < count:
        probability = weights * distance
        if probability.sum() <= 0:  # only repetitions of the centres remain
            break
        centres.append(int(rng.choice(len(points), p=probability / probability.sum())))
        distance = np.minimum(distance, cdist(points, points[centres[-1:]], "sqeuclidean")[:, 0])
    return points[centres]


def _centres_of_mass(points: Doubles, weights: Doubles, cluster: Indices, centres: Doubles) -> Doubles:
    """Return the centre of mass of each cluster; an empty cluster keeps its centre."""
    mass = np.bincount(cluster, weights, len(centres))
    sums = np.zeros_like(centres)
    np.add.at(sums, cluster, points * weights[:, None])
    return np.where(mass[:, None] > 0, sums / np.where(mass > 0, mass, 1)[:, None], centres)


def _nearest_distinct(distance: Doubles) -> Indices:
    """Return the nearest point of each centre, (k,), from distances (k, M); no point is returned twice."""
    available = np.ones(distance.shape[1], bool)
    positions = []
    for row in distance:
        positions.append(int(np.where(available, row, np.inf).argmin()))
        available[positions[-1]] = False
    return np.sort(np.asarray(positions, np.int64))
