"""The covariance of the scores of two masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

__all__ = ["Kernel", "Pairs", "covariance_and_slopes", "matern", "pairs_of"]

Doubles = NDArray[np.float64]

_MEAN_VARIANCE = 25.0  # prior variance of the unknown mean: wide, as the values have a variance of about 1


@dataclass(frozen=True)
class Pairs:
    """What a kernel needs to know of each pair of M points: computed once, since many regressions use it.

    Attributes
    ----------
    squared : ndarray of shape (M, M), float64
        Squared distances.
    products : ndarray of shape (M, M), float64
        Inner products about the mean of all points.
    """

    squared: Doubles
    products: Doubles

    def of(self, points: NDArray[np.int64]) -> Pairs:
        """Return the pairs among n of the points, given by their positions (n,)."""
        pairs = np.ix_(points, points)
        return Pairs(self.squared[pairs], self.products[pairs])


def pairs_of(points: Doubles) -> Pairs:
    """Return the pairs of points (M, d).

    Examples
    --------
    >>> pairs_of(np.array([[0.0, 0.0], [3.0, 4.0]])).squared
    array([[ 0., 25.],
           [25.,  0.]])
    """
    centred = points - points.mean(axis=0)
    return Pairs(cdist(points, points, "sqeuclidean"), centred @ centred.T)


@dataclass(frozen=True)
class Kernel:
    """``variance · Matérn_3/2(d / length) + linear · 2 xᵀy + individual · 1[x = y] + constant``.

    The default values are a sensible guess before any score is known, for points whose mean squared distance is 1 and
    values of variance 1.

    Attributes
    ----------
    length : float
        Length scale: the distance over which scores lose their correlation.
    variance : float
        Variance of the smooth part.
    linear : float
        Variance of the part that is linear in the features.
    individual : float
        Variance of the part that each mask has for itself, however close the next mask is. This is not noise: scoring
        the mask once reveals it.

    Examples
    --------
    >>> pairs = pairs_of(np.array([[0.0], [0.1], [5.0]]))
    >>> covariance = Kernel(linear=0.0).among(pairs)
    >>> bool(covariance[0, 1] > covariance[0, 2])  # close points are more similar
    True
    """

    length: float = 1.0
    variance: float = 1.0
    linear: float = 0.3
    individual: float = 0.2

    def among(self, points: Pairs) -> Doubles:
        """Return the covariance of n masks, (n, n)."""
        covariance = matern(np.sqrt(points.squared) / self.length)
        covariance *= self.variance
        covariance += self.linear * 2 * points.products
        covariance += _MEAN_VARIANCE
        covariance[np.diag_indices(len(covariance))] += self.individual
        return covariance


def matern(distance: Doubles) -> Doubles:
    """Return the Matérn correlation with ν = 3/2 (Rasmussen and Williams 2006, equation 4.17).

    Parameters
    ----------
    distance : ndarray, float64
        Distances in units of the length scale.

    Examples
    --------
    >>> matern(np.array([0.0, 1.0, 10.0])).round(3)
    array([1.   , 0.483, 0.   ])
    """
    scaled = np.sqrt(3.0) * distance
    return np.asarray((1 + scaled) * np.exp(-scaled))


def covariance_and_slopes(log_values: Doubles, points: Pairs) -> tuple[Doubles, list[Doubles]]:
    """Return the covariance of masks, and its derivatives with respect to the logarithms of the hyperparameters.

    Parameters
    ----------
    log_values : ndarray of shape (4,), float64
        The logarithms of the fields of `Kernel`: ``length``, ``variance``, ``linear``, ``individual``.
    points : Pairs
        The pairs of n points.

    Returns
    -------
    covariance : ndarray of shape (n, n), float64
    slopes : list of 4 ndarray of shape (n, n), float64
    """
    length, variance, linear, individual = np.exp(log_values)
    scaled = np.sqrt(3.0 * points.squared) / length
    decay = np.exp(-scaled)
    smooth_part, linear_part = variance * (1 + scaled) * decay, linear * 2 * points.products
    individual_part = individual * np.eye(len(scaled))
    slope_of_length = variance * scaled**2 * decay
    covariance = smooth_part + linear_part + individual_part + _MEAN_VARIANCE
    return covariance, [slope_of_length, smooth_part, linear_part, individual_part]
