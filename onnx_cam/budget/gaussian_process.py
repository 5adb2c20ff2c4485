"""Gaussian process regression over a finite set of points (Rasmussen and Williams 2006, chapters 2 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from scipy.optimize import minimize

from onnx_cam.budget.covariance import Covariance
from onnx_cam.budget.kernel import Kernel, Pairs, covariance_and_slopes

__all__ = ["GaussianProcess", "fit"]

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

_JITTER = 1e-8  # added to the covariance's diagonal, so that its Cholesky factor exists
_PRIOR_MEAN = np.log([1.0, 1.0, 0.3, 0.02])  # of the logarithms of Kernel's four fields
_PRIOR_DEVIATION = np.array([0.75, 1.5, 2.0, 2.0])
_SEARCH_RADIUS = np.array([3.0, 6.0, 6.0, 6.0])  # how far from the prior mean the search may go, in logarithms
_ITERATIONS = 40
_MOST_FITTED = 400  # observations that the kernel is fitted to: the cost grows with the cube of their number


@dataclass(frozen=True)
class GaussianProcess:
    """A Gaussian process over M points, conditioned on values at n of them.

    Attributes
    ----------
    points : Pairs
        The distances and products of all M points.
    positions : ndarray of shape (n,), int64
        Which points the values belong to, without repetition.
    values : ndarray of shape (n,), float64
        The observed values.
    noise : ndarray of shape (n,), float64
        Variance of the error of each value, in its unit squared; 0 where a value is exact.
    kernel : Kernel
        The covariance of the standardised values: less their mean, divided by their standard deviation.
    """

    points: Pairs
    positions: Indices
    values: Doubles
    noise: Doubles
    kernel: Kernel

    @property
    def scale(self) -> tuple[float, float]:
        """The mean and the standard deviation of the values; the latter is 1 if all are equal."""
        return scale_of(self.values)

    def posterior(self) -> tuple[Doubles, Covariance]:
        """Return the posterior at all points (equations 2.23 and 2.24).

        Returns
        -------
        mean : ndarray of shape (M,), float64
        covariance : Covariance
            Of M masks; 0 in the rows and columns of points whose value is exact.
        """
        mean, deviation = self.scale
        across = self.kernel.across(self.points, self.positions)  # (n, M)
        expected = mean + deviation * (self._weights @ across)
        exact = self.noise == 0
        expected[self.positions[exact]] = self.values[exact]
        reduced = solve_triangular(self._factor, across, lower=True, check_finite=False, overwrite_b=True)
        return expected, Covariance(self.points, self.kernel, reduced, self.positions[exact], deviation**2)

    def leave_one_out(self) -> tuple[Doubles, Doubles]:
        """Return what the other observations predict for each one: mean and standard deviation, (n,) each.

        Computed from the inverse of the covariance (equation 5.12), with the same kernel for all: it is not fitted
        again without the observation.
        """
        mean, deviation = self.scale
        precision = np.diag(cho_solve((self._factor, True), np.eye(len(self.values)), check_finite=False))
        predictions = self._standardised - self._weights / precision
        return mean + deviation * predictions, deviation / np.sqrt(precision)

    @cached_property
    def _standardised(self) -> Doubles:
        mean, deviation = self.scale
        return (self.values - mean) / deviation

    @cached_property
    def _factor(self) -> Doubles:
        """The lower Cholesky factor of the covariance of the observations, (n, n)."""
        covariance = self.kernel.among(self.points.of(self.positions))
        covariance[np.diag_indices(len(covariance))] += self.noise / self.scale[1] ** 2 + _JITTER
        return np.asarray(cholesky(covariance, lower=True, check_finite=False))

    @cached_property
    def _weights(self) -> Doubles:
        return np.asarray(cho_solve((self._factor, True), self._standardised, check_finite=False))


def fit(points: Pairs, positions: Indices, values: Doubles, noise: Doubles | None = None) -> GaussianProcess:
    """Return the process whose kernel has the highest posterior density, under weak priors on its four values.

    Parameters
    ----------
    points : Pairs
        All M points, scaled so that the mean squared distance is about 1.
    positions : ndarray of shape (n,), int64
        Which points the values belong to, n ≥ 1.
    values : ndarray of shape (n,), float64
        The observed values.
    noise : ndarray of shape (n,), float64, optional
        Variances of the errors of the values; exact values by default.

    Examples
    --------
    >>> from onnx_cam.budget.kernel import pairs_of
    >>> x = np.linspace(-1, 1, 41)
    >>> positions = np.arange(0, 41, 4)  # every fourth point is observed
    >>> process = fit(pairs_of(x[:, None]), positions, np.sin(3 * x[positions]))
    >>> mean, _ = process.posterior()
    >>> bool(np.abs(mean - np.sin(3 * x)).max() < 0.05)
    True
    """
    noise = np.zeros(len(values)) if noise is None else noise
    mean, deviation = scale_of(values)
    # Evenly spaced among the observations, which come in the order of the channels.
    fitted = np.linspace(0, len(values) - 1, min(len(values), _MOST_FITTED)).astype(np.int64)
    optimum = minimize(
        _loss,
        _PRIOR_MEAN,
        args=(points.of(positions[fitted]), ((values - mean) / deviation)[fitted], (noise / deviation**2)[fitted]),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(_PRIOR_MEAN - _SEARCH_RADIUS, _PRIOR_MEAN + _SEARCH_RADIUS, strict=True)),
        options={"maxiter": _ITERATIONS},
    )
    return GaussianProcess(points, positions, values, noise, Kernel(*np.exp(optimum.x).tolist()))


def scale_of(values: Doubles) -> tuple[float, float]:
    """Return the mean and the standard deviation of values; the latter is 1 if all are equal."""
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > 1e-12 * max(1.0, float(np.abs(values).max())) else 1.0


def _loss(log_values: Doubles, points: Pairs, values: Doubles, noise: Doubles) -> tuple[float, Doubles]:
    """Return minus the log posterior of the hyperparameters, up to a constant, and its gradient (equation 5.9)."""
    covariance, slopes = covariance_and_slopes(log_values, points)
    diagonal = np.diag_indices(len(values))
    covariance[diagonal] += noise + _JITTER
    # LAPACK itself, as SciPy's wrappers take longer than the work on a small matrix. Only lower triangles are computed.
    factor, failed = dpotrf(covariance, lower=True)
    if failed:
        raise LinAlgError(f"the covariance of {len(values)} scores is not positive definite")
    weights = dpotrs(factor, values, lower=True)[0]  # α = K⁻¹ y
    log_determinant = 2 * np.log(factor[diagonal]).sum()
    inverse = dpotri(factor, lower=True, overwrite_c=True)[0]
    from_prior = (log_values - _PRIOR_MEAN) / _PRIOR_DEVIATION
    loss = 0.5 * (values @ weights + log_determinant + from_prior @ from_prior)
    # ½ (tr K⁻¹ S − αᵀ S α) for each slope S; the trace is twice the sum over the lower triangle, less the diagonal.
    inverse *= 2
    inverse[diagonal] /= 2
    gradient = [0.5 * (np.vdot(inverse, slope) - weights @ slope @ weights) for slope in slopes]
    return float(loss), np.array(gradient) + from_prior / _PRIOR_DEVIATION
