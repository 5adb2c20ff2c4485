"""Gaussian process regression, compared with the dense formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from onnx_cam.budget import gaussian_process
from onnx_cam.budget.gaussian_process import GaussianProcess, fit
from onnx_cam.budget.kernel import Kernel, Pairs, covariance_and_slopes, pairs_of

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((30, 3)) / np.sqrt(6)
OBSERVED = np.array([3, 1, 20, 7, 15, 28, 9, 11])
VALUES = RNG.standard_normal(8) * 4 + 2
KERNEL = Kernel(0.7, 1.3, 0.4, 0.2)


def slow_covariance(points: np.ndarray) -> np.ndarray:
    centre = POINTS.mean(axis=0)
    covariance = np.zeros((len(points), len(points)))
    for i, left in enumerate(points):
        for j, right in enumerate(points):
            r = np.sqrt(3) * np.linalg.norm(left - right) / KERNEL.length
            line = KERNEL.linear * 2 * float((left - centre) @ (right - centre))
            covariance[i, j] = KERNEL.variance * (1 + r) * np.exp(-r) + line + 25 + KERNEL.individual * (i == j)
    return covariance


@pytest.mark.parametrize("noise", [np.zeros(8), np.linspace(0.5, 3, 8)])
def test_the_posterior_is_the_dense_formulas(noise: np.ndarray) -> None:
    mean, covariance = GaussianProcess(pairs_of(POINTS), OBSERVED, VALUES, noise, KERNEL).posterior()
    centre, spread = VALUES.mean(), VALUES.std()
    prior = slow_covariance(POINTS) * spread**2
    inverse = np.linalg.inv(prior[np.ix_(OBSERVED, OBSERVED)] + np.diag(noise))
    gain = prior[:, OBSERVED] @ inverse
    np.testing.assert_allclose(mean, centre + gain @ (VALUES - centre), atol=1e-5)
    dense = prior - gain @ prior[OBSERVED]
    vectors = RNG.standard_normal((30, 4))
    np.testing.assert_allclose(covariance.times(vectors), dense @ vectors, atol=1e-4)
    np.testing.assert_allclose(covariance.variances, np.diag(dense), atol=1e-5)
    np.testing.assert_allclose(covariance.column(7), dense[7], atol=1e-5)
    np.testing.assert_allclose(covariance.column(12), dense[12], atol=1e-5)


def test_a_point_observed_without_noise_has_no_variance() -> None:
    mean, covariance = GaussianProcess(pairs_of(POINTS), OBSERVED, VALUES, np.zeros(8), KERNEL).posterior()
    assert np.array_equal(mean[OBSERVED], VALUES)
    dense = covariance.times(np.eye(30))
    assert not dense[OBSERVED].any()
    assert not dense[:, OBSERVED].any()
    assert not covariance.column(int(OBSERVED[0])).any()
    assert not covariance.variances[OBSERVED].any()
    assert (covariance.variances[np.setdiff1d(np.arange(30), OBSERVED)] > 0).all()


def test_leave_one_out_is_fitting_without_it() -> None:
    process = GaussianProcess(pairs_of(POINTS), OBSERVED, VALUES, np.zeros(8), KERNEL)
    mean, deviation = process.leave_one_out()
    centre, spread = VALUES.mean(), VALUES.std()
    prior = slow_covariance(POINTS) * spread**2
    for omitted in range(8):
        rest = np.delete(np.arange(8), omitted)
        inverse = np.linalg.inv(prior[np.ix_(OBSERVED[rest], OBSERVED[rest])])
        gain = prior[OBSERVED[omitted], OBSERVED[rest]] @ inverse
        assert mean[omitted] == pytest.approx(centre + gain @ (VALUES[rest] - centre), abs=1e-5)
        variance = prior[OBSERVED[omitted], OBSERVED[omitted]] - gain @ prior[OBSERVED[rest], OBSERVED[omitted]]
        assert deviation[omitted] == pytest.approx(np.sqrt(variance), rel=1e-5)


def test_the_search_has_the_right_gradient() -> None:
    arguments = (pairs_of(POINTS).of(OBSERVED), (VALUES - VALUES.mean()) / VALUES.std(), np.full(8, 0.1))
    at = np.log([0.6, 1.2, 0.5, 0.1])
    difference = check_grad(
        lambda x: gaussian_process._loss(x, *arguments)[0], lambda x: gaussian_process._loss(x, *arguments)[1], at
    )
    assert difference < 1e-5


def test_the_covariance_beside_the_slopes_is_that_of_the_kernel() -> None:
    distances = np.linalg.norm(POINTS[:, None] - POINTS[None], axis=-1).astype(np.float32)
    at = np.log([KERNEL.length, KERNEL.variance, KERNEL.linear, KERNEL.individual])
    covariance, _ = covariance_and_slopes(at, Pairs(distances, POINTS - POINTS.mean(axis=0)))
    np.testing.assert_allclose(covariance, KERNEL.among(pairs_of(POINTS)), atol=1e-6)


def test_a_smooth_function_is_recovered() -> None:
    points = np.random.default_rng(1).uniform(-1, 1, (300, 2))
    truth = np.sin(3 * points[:, 0]) + points[:, 1] ** 2
    mean, covariance = fit(pairs_of(points), np.arange(80), truth[:80]).posterior()
    error = mean[80:] - truth[80:]
    assert np.sqrt((error**2).mean()) < 0.05 * truth.std()  # R² > 0.997
    within = np.abs(error) < 1.645 * np.sqrt(covariance.variances[80:])
    assert 0.8 < within.mean() <= 1


def test_noise_is_not_mistaken_for_the_function() -> None:
    rng = np.random.default_rng(2)
    points = rng.uniform(-1, 1, (200, 2))
    truth = 2 * points[:, 0]
    noisy = truth + 0.5 * rng.standard_normal(200)
    process = fit(pairs_of(points), np.arange(150), noisy[:150], np.full(150, 0.25))
    error = process.posterior()[0][150:] - truth[150:]
    assert np.sqrt((error**2).mean()) < 0.2
    assert process.kernel.individual * process.scale[1] ** 2 < 0.05


@pytest.mark.parametrize("observed", [[0], [0, 1, 2]])
def test_equal_values_are_flat(observed: list[int]) -> None:
    mean, covariance = fit(pairs_of(POINTS), np.array(observed), np.full(len(observed), 3.0)).posterior()
    np.testing.assert_allclose(mean, 3.0)
    assert np.isfinite(covariance.times(np.eye(30))).all()
