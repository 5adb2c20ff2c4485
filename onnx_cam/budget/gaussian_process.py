"""Gaussian process regression over a finite set of points (Rasmussen and Williams 2006, chapters 2 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from onnx_cam.budget.kernel import Kernel, Pairs, covariance_and_slopes

__all__ = ["GaussianProcess", "fit"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_JITTER = 1e-8
_PRIOR_MEAN = np.log([1.0, 1.0, 0.3, 0.02])  # of Kernel's four fields
_PRIOR_DEVIATION = np.array([0.75, 1.5, 2.0, 2.0])
_REACH = np.array([3.0, 6.0, 6.0, 6.0])  # how far the search goes from the prior's mean, in logarithms
_ITERATIONS = 40
_ENOUGH = 400  # observations that the kernel is fitted to: its cost grows with their cube


@dataclass(frozen=True)
class GaussianProcess:
    """A Gaussian process over M points, n of which were observed.

    Attributes
    ----------
    points : Pairs
    observed : ndarray of shape (n,), int64
        Which points were observed, without repetition.
    values : ndarray of shape (n,), float64
    noise : ndarray of shape (n,), float64
        Variance of each observation's error, in the values' unit squared; 0 where the value is exact.
    kernel : Kernel
        Of the values less their mean, divided by their standard deviation.
    """

    points: Pairs
    observed: Indices
    values: Floats
    noise: Floats
    kernel: Kernel

    @property
    def scale(self) -> tuple[float, float]:
        """The mean and standard deviation of the values; 1 for values that are all equal."""
        return scale_of(self.values)

    def posterior(self) -> tuple[Floats, Floats]:
        """Return mean (M,) and covariance (M, M) at all points; 0 variance at a point observed without noise."""
        mean, deviation = self.scale
        prior = self.kernel.among(self.points)
        across = prior[self.observed]  # (n, M)
        reduced = solve_triangular(self._factor, across, lower=True, check_finite=False)  # (n, M)
        covariance = prior - reduced.T @ reduced
        exact = self.observed[self.noise == 0]
        covariance[exact] = 0
        covariance[:, exact] = 0
        expected = mean + deviation * (across.T @ self._weights)
        expected[exact] = self.values[self.noise == 0]
        return expected, covariance * deviation**2

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Return what the other observations say of each one: mean and standard deviation, (n,) each.

        From the inverse of the covariance (equation 5.12); with the kernel as it is, not fitted again.
        """
        mean, deviation = self.scale
        precision = np.diag(cho_solve((self._factor, True), np.eye(len(self.values)), check_finite=False))
        left_out = self._standardised - self._weights / precision
        return mean + deviation * left_out, deviation / np.sqrt(precision)

    @cached_property
    def _standardised(self) -> Floats:
        mean, deviation = self.scale
        return (self.values - mean) / deviation

    @cached_property
    def _factor(self) -> Floats:
        """The lower Cholesky factor of the observations' covariance, (n, n)."""
        covariance = self.kernel.among(self.points.of(self.observed))
        covariance[np.diag_indices(len(covariance))] += self.noise / self.scale[1] ** 2 + _JITTER
        return np.asarray(cholesky(covariance, lower=True, check_finite=False))

    @cached_property
    def _weights(self) -> Floats:
        return np.asarray(cho_solve((self._factor, True), self._standardised, check_finite=False))


def fit(points: Pairs, observed: Indices, values: Floats, noise: Floats | None = None) -> GaussianProcess:
    """Return the process whose kernel is the likeliest for the observations under weak priors.

    Parameters
    ----------
    points : Pairs
        Scaled so that the mean squared distance is about 1.
    observed : ndarray of shape (n,), int64
        n ≥ 1.
    values : ndarray of shape (n,), float64
    noise : ndarray of shape (n,), float64, optional
        Variances of the observations' errors; none by default.
    """
    noise = np.zeros(len(values)) if noise is None else noise
    mean, deviation = scale_of(values)
    some = np.linspace(0, len(values) - 1, min(len(values), _ENOUGH)).astype(np.int64)
    found = minimize(
        _loss,
        _PRIOR_MEAN,
        args=(points.of(observed[some]), ((values - mean) / deviation)[some], (noise / deviation**2)[some]),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(_PRIOR_MEAN - _REACH, _PRIOR_MEAN + _REACH, strict=True)),
        options={"maxiter": _ITERATIONS},
    )
    return GaussianProcess(points, observed, values, noise, Kernel(*np.exp(found.x).tolist()))


def scale_of(values: Floats) -> tuple[float, float]:
    """Return mean and standard deviation; 1 for values that are all equal."""
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > 1e-12 * max(1.0, float(np.abs(values).max())) else 1.0


def _loss(log_values: Floats, points: Pairs, values: Floats, noise: Floats) -> tuple[float, Floats]:
    """Return minus the log posterior of the hyperparameters, up to a constant, and its gradient (equation 5.9)."""
    covariance, slopes = covariance_and_slopes(log_values, points)
    covariance[np.diag_indices(len(values))] += noise + _JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((factor, True), values, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(len(values)), check_finite=False)
    from_prior = (log_values - _PRIOR_MEAN) / _PRIOR_DEVIATION
    loss = 0.5 * values @ weights + np.log(np.diag(factor)).sum() + 0.5 * from_prior @ from_prior
    pull = np.outer(weights, weights) - inverse
    gradient = np.array([-0.5 * np.vdot(pull, slope) for slope in slopes]) + from_prior / _PRIOR_DEVIATION
    return float(loss), gradient
