"""How alike the scores of two masks are: the covariance of the regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

__all__ = ["Kernel", "covariance_and_slopes", "matern"]

Floats = NDArray[np.float64]

_LEVEL = 25.0  # variance of the unknown mean: wide, for values of variance about 1


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

    def between(self, left: Floats, right: Floats, centre: Floats) -> Floats:
        """Return the covariance of the shared part, ``(a, d)`` and ``(b, d)`` features to (a, b)."""
        smooth = self.variance * matern(cdist(left, right) / self.length)
        return np.asarray(smooth + self.linear * 2 * (left - centre) @ (right - centre).T + _LEVEL)

    def among(self, points: Floats, centre: Floats) -> Floats:
        """Return the covariance of masks ``(n, d)`` with their own parts, (n, n)."""
        covariance = self.between(points, points, centre)
        covariance[np.diag_indices(len(points))] += self.own
        return covariance


def matern(distance: Floats) -> Floats:
    """Return Matérn's correlation with ν = 3/2 at distances in units of the length."""
    scaled = np.sqrt(3.0) * distance
    return np.asarray((1 + scaled) * np.exp(-scaled))


def covariance_and_slopes(log_values: Floats, squared: Floats, products: Floats) -> tuple[Floats, list[Floats]]:
    """Return the covariance among masks and its derivatives by the four hyperparameters' logarithms.

    Parameters
    ----------
    log_values : ndarray of shape (4,), float64
        Of ``length``, ``variance``, ``linear``, ``own``.
    squared, products : ndarray of shape (n, n), float64
        Squared distances and centred inner products of the features.

    Returns
    -------
    covariance : ndarray of shape (n, n), float64
    slopes : list of 4 ndarray of shape (n, n), float64
    """
    length, variance, linear, own = np.exp(log_values)
    scaled = np.sqrt(3.0 * squared) / length
    decay = np.exp(-scaled)
    smooth, line, alone = variance * (1 + scaled) * decay, linear * 2 * products, own * np.eye(len(squared))
    by_length = variance * scaled**2 * decay
    return smooth + line + alone + _LEVEL, [by_length, smooth, line, alone]
