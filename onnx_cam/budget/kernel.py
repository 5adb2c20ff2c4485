"""The covariance of the scores of two masks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kernel", "Pairs", "covariance_and_slopes", "matern", "pairs_of"]

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Distances = TypeVar("Distances", Floats, Doubles)

_ROWS = 128  # of a covariance that are made at once
_MEAN_VARIANCE = 25.0  # prior variance of the unknown mean: wide, as the values have a variance of about 1


@dataclass(frozen=True)
class Pairs:
    """What a kernel needs to know of each pair of M points: computed once, since many regressions use it.

    Attributes
    ----------
    distances : ndarray of shape (M, M), float32
    centred : ndarray of shape (M, d), float64
        The points about the mean of all points: their inner products are those of the linear part.
    """

    distances: Floats
    centred: Doubles

    @cached_property
    def products(self) -> Doubles:
        """The inner products of the centred points, (M, M)."""
        return self.centred @ self.centred.T

    def of(self, points: Indices) -> Pairs:
        """Return the pairs among n of the points, given by their positions (n,)."""
        return Pairs(self.distances[np.ix_(points, points)], self.centred[points])


def pairs_of(points: Doubles) -> Pairs:
    """Return the pairs of points (M, d).

    Examples
    --------
    >>> pairs_of(np.array([[0.0, 0.0], [3.0, 4.0]])).distances
    array([[0., 5.],
           [5., 0.]], dtype=float32)
    """
    centred = points - points.mean(axis=0)
    # By ‖x − y‖² = ‖x‖² + ‖y‖² − 2 xᵀy: points have many coordinates, and a matrix product is the fastest.
    coordinates = centred.astype(np.float32)
    squared = coordinates @ coordinates.T
    norms = np.diag(squared).copy()
    squared *= -2
    squared += norms[:, None]
    squared += norms
    np.maximum(squared, 0, out=squared)
    squared[np.diag_indices(len(squared))] = 0
    return Pairs(np.sqrt(squared, out=squared), centred)


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
        return self.across(points, np.arange(len(points.centred)))

    def across(self, points: Pairs, rows: Indices) -> Doubles:
        """Return the covariance of some masks, given by their positions (n,), with all M masks: (n, M)."""
        covariance = matern(points.distances[rows].astype(np.float64) / self.length)
        covariance *= self.variance
        covariance += 2 * self.linear * (points.centred[rows] @ points.centred.T)
        covariance += _MEAN_VARIANCE
        covariance[np.arange(len(rows)), rows] += self.individual
        return covariance

    def variances(self, points: Pairs) -> Doubles:
        """Return the variance of each mask, (n,): the diagonal of the covariance."""
        norms: Doubles = (points.centred**2).sum(axis=1)
        return self.variance + 2 * self.linear * norms + _MEAN_VARIANCE + self.individual

    def times(self, points: Pairs, vectors: Doubles) -> Doubles:
        """Return the covariance of n masks times vectors (n, r), (n, r), without making the whole covariance.

        The rows of the smooth part are made a few at a time, so that they stay in the processor's cache, and in
        float32.
        """
        product = 2 * self.linear * (points.centred @ (points.centred.T @ vectors)) + self.individual * vectors
        product += _MEAN_VARIANCE * vectors.sum(axis=0)
        scaled_vectors = (self.variance * vectors).astype(np.float32)
        for start in range(0, len(product), _ROWS):
            rows = slice(start, start + _ROWS)
            product[rows] += matern(points.distances[rows] / np.float32(self.length)) @ scaled_vectors
        return product


def matern(distance: Distances) -> Distances:
    """Return the Matérn correlation with ν = 3/2 (Rasmussen and Williams 2006, equation 4.17).

    Parameters
    ----------
    distance : ndarray, float32 or float64
        Distances in units of the length scale.

    Examples
    --------
    >>> matern(np.array([0.0, 1.0, 10.0])).round(3)
    array([1.   , 0.483, 0.   ])
    """
    scaled = distance * -math.sqrt(3.0)
    decay = np.exp(scaled)
    np.subtract(1, scaled, out=scaled)
    scaled *= decay
    return scaled


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
    scaled = np.sqrt(3.0) / length * points.distances.astype(np.float64)
    decay = variance * np.exp(-scaled)
    smooth_part, linear_part = (1 + scaled) * decay, 2 * linear * points.products
    individual_part = individual * np.eye(len(scaled))
    slope_of_length = scaled**2 * decay
    covariance = smooth_part + linear_part + individual_part + _MEAN_VARIANCE
    return covariance, [slope_of_length, smooth_part, linear_part, individual_part]
