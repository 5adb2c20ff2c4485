"""The error of a map for which some of the scores were predicted, from the regression's posterior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.features import Channels
from onnx_cam.budget.map_error import CANDIDATES, MapError, error_from_candidates
from onnx_cam.budget.regression import Regression

__all__ = ["calibration", "draw_maps", "estimate_error"]

Doubles = NDArray[np.float64]

# How these constants were measured: benchmarks/README.md, "A part of the forward passes".
_LOWEST_CALIBRATION, _HIGHEST_CALIBRATION = 0.7, 3.0
_LOWEST_WITH_SAMPLES = 1.3  # with several samples, since masks that share noise fields have correlated errors
_TRUST_IN_RESIDUALS = 0.5  # below 1: there are few, and only of masks that the plan chose
_CALIBRATION_DEVIATION = 0.35  # standard deviation of the logarithm of the true calibration about the estimated one
_FEWEST_RESIDUALS = 3


def estimate_error(
    channels: Channels, regression: Regression, *, seed: int = 0, candidates: int = CANDIDATES
) -> MapError:
    """Return the error of a map from candidates drawn from the joint posterior of all weights.

    Parameters
    ----------
    channels : Channels
        The masks of the image.
    regression : Regression
        The scores of one target.
    seed : int
        Random seed of the candidate maps.
    candidates : int
        How many candidate maps are drawn, ≥ 2.

    Returns
    -------
    MapError
        ``of`` is ``"passes left out"``. Exactly 0 if every input was scored, and unknown if all scores are equal.

    Examples
    --------
    >>> from onnx_cam.budget.features import describe_channels
    >>> from onnx_cam.budget.observations import Observations
    >>> from onnx_cam.budget.regression import regress
    >>> maps = np.random.default_rng(0).random((12, 3, 3), np.float32)
    >>> channels = describe_channels(maps, maps)
    >>> masks, samples = np.arange(8), np.zeros(8, np.int64)
    >>> observations = Observations.none().joined(masks, samples, maps[:8, 1, 1:2].astype(float))
    >>> error = estimate_error(channels, regress(channels, observations))
    >>> error.deviation.shape, 0 < error.low < error.high
    ((3, 3), True)
    """
    estimate, equal = regression.weights @ channels.maps, channels.maps.sum(axis=0)
    if regression.is_flat or regression.is_complete:
        error = error_from_candidates("passes left out", estimate, estimate[None], equal, channels.shape)
        return error.exact() if regression.is_complete else error.unknown()
    factor = calibration(channels, regression)
    maps = draw_maps(channels, regression, factor, candidates, seed)  # (S, p)
    error = error_from_candidates("passes left out", estimate, maps, equal, channels.shape)
    return replace(error, calibration=factor)


def calibration(channels: Channels, regression: Regression) -> float:
    """Return the factor that makes the posterior's standard deviations agree with the leave-one-out residuals.

    Residuals are weighted by the squared norms of their maps, as they are in the error of the map.

    Parameters
    ----------
    channels : Channels
    regression : Regression

    Returns
    -------
    float
        0.7 to 3, and at least 1.3 where scores are means over a part of the samples. It is the square root of the ratio
        that the residuals give, because that ratio is itself uncertain.
    """
    predicted, deviation = regression.leave_one_out()
    norms = (channels.maps[regression.means.mask] ** 2).sum(axis=1)
    variance = float(norms @ deviation**2)
    lowest = _LOWEST_WITH_SAMPLES if regression.process.noise.any() else _LOWEST_CALIBRATION
    if variance == 0 or len(norms) < _FEWEST_RESIDUALS:
        return max(lowest, 1.0)
    residual = float(norms @ (regression.means.score - predicted) ** 2)
    return float(np.clip((residual / variance) ** (0.5 * _TRUST_IN_RESIDUALS), lowest, _HIGHEST_CALIBRATION))


def draw_maps(channels: Channels, regression: Regression, factor: float, count: int, seed: int) -> Doubles:
    """Return maps drawn from the posterior.

    A map is a sum over many masks, so its error is nearly normal, and only its covariance is needed. The part of each
    score that is linear in its value on the scale of the regression is correlated with the other scores as the values
    are; what is left of its variance counts as independent of them.

    Parameters
    ----------
    channels : Channels
    regression : Regression
    factor : float
        What the deviations are multiplied by (`calibration`). As it is only an estimate, each draw multiplies them by a
        log-normal number of median 1 in addition.
    count : int
        S, how many draws.
    seed : int
        Random seed.

    Returns
    -------
    ndarray of shape (S, p), float64
        Before the ReLU.
    """
    # The covariance of the map's coordinates, (r, r): F are those of a unit of each score, (M, r).
    leverage, values = channels.leverage, regression.covariance
    deviation = np.sqrt(values.variances)  # on the scale of the regression, (M,)
    linear = regression.scale.linear_deviation(regression.mean, deviation)  # of the scores, (M,)
    slopes = np.divide(linear, deviation, out=np.zeros_like(linear), where=deviation > 0)
    independent = np.where(deviation > 0, np.maximum(regression.deviation**2 - linear**2, 0), 0)
    along = slopes[:, None] * leverage
    covariance = along.T @ values.times(along) + leverage.T @ (independent[:, None] * leverage)
    variances, axes = np.linalg.eigh((covariance + covariance.T) / 2)

    # Draw errors of the map, (S, p). What the cautious scores leave out of their expectation is a part of each.
    rng = np.random.default_rng(seed)
    factors = factor * np.exp(_CALIBRATION_DEVIATION * rng.standard_normal((count, 1)))
    errors = (rng.standard_normal((count, len(variances))) * np.sqrt(np.maximum(variances, 0))) @ axes.T  # (S, r)
    errors = errors if channels.axes is None else errors @ channels.axes.T
    return np.asarray(regression.weights @ channels.maps + factors * (errors + regression.caution @ channels.maps))
