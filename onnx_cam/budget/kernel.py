"""How alike the scores of two masks are: the covariance of the regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

__all__ = ["Kernel", "Pairs", "covariance_and_slopes", "matern", "pairs_of"]

Floats = NDArray[np.float64]

_LEVEL = 25.0  # variance of the unknown mean: wide, for values of variance about 1


@dataclass(frozen=True)
class Pairs:
    """What a kernel needs of each pair of M points: worked out once, as the regression is made many times.

    Attributes
    ----------
    squared : ndarray of shape (M, M), float64
        Squared distances.
    products : ndarray of shape (M, M), float64
        Inner products about the mean of all points.
    """

    squared: Floats
    products: Floats

    def of(self, chosen: NDArray[np.int64]) -> Pairs:
        """Return the pairs of n of the points."""
        where = np.ix_(chosen, chosen)
        return Pairs(self.squared[where], self.products[where])


def pairs_of(points: Floats) -> Pairs:
    """Return the pairs of points (M, d)."""
    centred = points - points.mean(axis=0)
    return Pairs(cdist(points, points, "sqeuclidean"), centred @ centred.T)


@dataclass(frozen=True)
class Kernel:
    """``variance · Matérn_3/2(d / length) + linear · 2 xᵀy + a wide constant``, and an own part of each mask.

    For features whose mean squared distance is 1 and values of variance 1, the defaults are a sensible guess before
    any score is known.

    Attributes
    ----------
    length : float
        The distance over which scores forget each other.
    variance : float
        Of the smooth part.
    linear : float
        Variance of the part that is linear in the features.
    own : float
        Variance of what each mask has for itself, however near its neighbours are. It is no noise: scoring the mask
        once tells it.
    """

    length: float = 1.0
    variance: float = 1.0
    linear: float = 0.3
    own: float = 0.2

    def among(self, points: Pairs) -> Floats:
        """Return the covariance of n masks, (n, n)."""
        covariance = matern(np.sqrt(points.squared) / self.length)
        covariance *= self.variance
        covariance += self.linear * 2 * points.products
        covariance += _LEVEL
        covariance[np.diag_indices(len(covariance))] += self.own
        return covariance


def matern(distance: Floats) -> Floats:
    """Return Matérn's correlation with ν = 3/2 at distances in units of the length."""
    scaled = np.sqrt(3.0) * distance
    return np.asarray((1 + scaled) * np.exp(-scaled))


def covariance_and_slopes(log_values: Floats, points: Pairs) -> tuple[Floats, list[Floats]]:
    """Return the covariance among masks and its derivatives by the four hyperparameters' logarithms.

    Parameters
    ----------
    log_values : ndarray of shape (4,), float64
        Of ``length``, ``variance``, ``linear``, ``own``.
    points : Pairs
        Of n points.

    Returns
    -------
    covariance : ndarray of shape (n, n), float64
    slopes : list of 4 ndarray of shape (n, n), float64
    """
    length, variance, linear, own = np.exp(log_values)
    scaled = np.sqrt(3.0 * points.squared) / length
    decay = np.exp(-scaled)
    smooth, line, alone = variance * (1 + scaled) * decay, linear * 2 * points.products, own * np.eye(len(scaled))
    by_length = variance * scaled**2 * decay
    return smooth + line + alone + _LEVEL, [by_length, smooth, line, alone]
