"""How far a map may be from the one that it stands for.

Of a part of the passes, that is the exact map with the same noise fields; of an exact run with noise, the map of ever
more samples. Either way maps are drawn that may be the true one, and compared with the one found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky

from onnx_cam.budget.features import Channels
from onnx_cam.budget.regression import Regression
from onnx_cam.runtime.masks import is_dead

__all__ = ["LEVEL", "MapError", "estimate_error", "estimate_noise_error", "relative_error"]

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

LEVEL = 0.9
"""Of the intervals."""

SAMPLES = 200
_LEAST, _MOST = 0.7, 3.0  # bounds of the calibration
_LEAST_OF_SAMPLES = 1.3  # with several samples, since masks have fields in common; measured: benchmarks/README.md
_TRUST = 0.5  # in the leave-one-out residuals: they are few, and of the masks that seemed worth a pass
_DOUBT = 0.3  # standard deviation of the calibration's logarithm; measured over images: benchmarks/README.md
_JITTER = 1e-9
_ALIKE = 1e-6  # unit maps that are no further apart


@dataclass(frozen=True)
class MapError:
    """What is left open of a map.

    Attributes
    ----------
    of : {"passes left out", "noise"}
        What the error comes of.
    deviation : ndarray of shape (h, w), float32
        Standard deviation of the map at each position, in the map's unit; NaN where all scores are equal.
    above : ndarray of shape (h, w), float32
        The chance that the position lies above the map's average.
    relative_error : float
        Estimate (median) of ``‖n(L') − n(L)‖ / ‖n(L_equal) − n(L)‖``: 0 is exact, 1 no better than equal weights. NaN
        where there is no class-specific part to be a share of: the map is empty, or that of equal weights.
    low, high : float
        Its 90 % interval.
    calibration : float
        What the posterior's deviations were multiplied by, so that they agree with leave-one-out residuals.
    """

    of: Literal["passes left out", "noise"]
    deviation: Floats32
    above: Floats32
    relative_error: float
    low: float
    high: float
    calibration: float = 1.0

    def scaled(self, factor: float) -> MapError:
        """Return the error of the map times a factor, > 0."""
        return replace(self, deviation=np.asarray(self.deviation * factor, np.float32))


def estimate_error(channels: Channels, regression: Regression, *, seed: int = 0, samples: int = SAMPLES) -> MapError:
    """Return the map's error from samples of the weights' joint posterior.

    Parameters
    ----------
    channels : Channels
    regression : Regression
    seed : int
        Of the samples.
    samples : int
        How many, ≥ 2.
    """
    found, equal = regression.weights @ channels.maps, channels.maps.sum(axis=0)
    if regression.is_flat or regression.is_complete:
        error = _from_maps("passes left out", found, found[None], equal, channels.shape)
        if regression.is_complete:
            return replace(error, relative_error=0.0, low=0.0, high=0.0)
        nothing = np.full(channels.shape, np.nan, np.float32)  # equal scores say nothing of how far others may be
        return replace(error, deviation=nothing, above=np.full_like(nothing, 0.5), relative_error=np.nan)
    factor = calibration(channels, regression)
    drawn = sample_scores(regression, factor, samples, seed) - regression.baseline  # (samples, M)
    error = _from_maps("passes left out", found, drawn @ channels.maps, equal, channels.shape)
    return replace(error, calibration=factor)


def estimate_noise_error(
    maps: NDArray[np.float32], sample_weights: Floats, *, seed: int = 0, samples: int = SAMPLES
) -> MapError:
    """Return the error of a map whose weights are means over N ≥ 2 noise fields, from those samples alone.

    One field's scores make a map of their own; how these maps vary says how sure their mean is. All channels share the
    fields, so that their errors do not average out over channels, and are not taken to.

    Parameters
    ----------
    maps : ndarray of shape (K, h, w), float32
        A.
    sample_weights : ndarray of shape (N, K), float64
        α by each field alone; its mean over the fields is the map's α. 0 for dead maps.
    seed, samples : int
        As for `estimate_error`.
    """
    count = len(sample_weights)
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    each = sample_weights @ flat  # (N, p)
    found = each.mean(axis=0)
    equal = flat[~is_dead(maps)].sum(axis=0)
    rng = np.random.default_rng(seed)
    spread = rng.standard_normal((samples, count)) @ (each - found) / np.sqrt(count * (count - 1))
    shape = (maps.shape[1], maps.shape[2])
    heavy = np.sqrt((count - 1) / rng.chisquare(count - 1, (samples, 1)))  # Student's t: N is small
    wide = _from_maps("noise", found, found + heavy * spread, equal, shape)
    return replace(wide, deviation=_deviation(found, found + spread, shape))  # a t's own has no bound where N = 2


def relative_error(found: Floats, exact: Floats, equal: Floats) -> float:
    """Return ``‖n(found) − n(exact)‖ / ‖n(equal) − n(exact)‖``, n = scaled to unit length.

    0 where the maps agree. Where the exact map is the equal-weights map and the one found is not, there is nothing to
    be a share of: 1.

    Parameters
    ----------
    found, exact, equal : ndarray of shape (p,), float64
    """
    left = float(np.linalg.norm(_unit(found) - _unit(exact)))
    whole = float(np.linalg.norm(_unit(equal) - _unit(exact)))
    if left == 0:
        return 0.0
    return left / whole if whole > 0 else 1.0


def calibration(channels: Channels, regression: Regression) -> float:
    """Return by what the posterior's deviations are multiplied: leave-one-out residuals against what was foretold.

    Residuals count by their maps' squared norms, as they do in the map's error.

    Returns
    -------
    float
        0.7 to 3: the root of what the residuals say, since that itself is uncertain; with noisy means at least 1.3.
    """
    foretold, deviation = regression.left_out()
    norms = (channels.maps[regression.observed.mask] ** 2).sum(axis=1)
    variance = float(norms @ deviation**2)
    least = _LEAST_OF_SAMPLES if regression.process.noise.any() else _LEAST
    if variance == 0 or len(norms) < 3:
        return max(least, 1.0)
    residual = float(norms @ (regression.observed.score - foretold) ** 2)
    return float(np.clip((residual / variance) ** (0.5 * _TRUST), least, _MOST))


def sample_scores(regression: Regression, factor: float, samples: int, seed: int) -> Floats:
    """Return scores drawn from the joint posterior: (samples, M) float64.

    Each draw's deviations are multiplied by `factor` and by a log-normal number about 1, since the factor is a guess.
    """
    open_ = np.flatnonzero(np.diag(regression.covariance) > 0)
    drawn = np.repeat(regression.scores[None], samples, axis=0)
    if not len(open_):
        return drawn
    covariance = regression.covariance[np.ix_(open_, open_)]
    covariance[np.diag_indices(len(open_))] += _JITTER * covariance.max()
    rng = np.random.default_rng(seed)
    factors = factor * np.exp(_DOUBT * rng.standard_normal((samples, 1)))
    normal = rng.standard_normal((samples, len(open_)))
    values = regression.mean[open_] + normal @ cholesky(covariance, lower=True, check_finite=False).T
    expected = regression.scores[open_]
    drawn[:, open_] = expected + factors * (regression.scale.back(values) - expected)
    return drawn


def _from_maps(
    of: Literal["passes left out", "noise"], found: Floats, drawn: Floats, equal: Floats, shape: tuple[int, int]
) -> MapError:
    """Return the error of a map (p,), where any of those drawn (S, p) may be the true one; all before the ReLU."""
    found, drawn, equal = np.maximum(found, 0), np.maximum(drawn, 0), np.maximum(equal, 0)
    shares = np.full(len(drawn), np.nan)
    if np.linalg.norm(_unit(found) - _unit(equal)) > _ALIKE and found.any():
        shares = np.array([relative_error(found, each, equal) for each in drawn])
    low, middle, high = np.quantile(shares, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2]).tolist()
    higher = (drawn > drawn.mean(axis=1, keepdims=True)).astype(np.float64)
    higher[~drawn.any(axis=1)] = 0.5  # an empty map settles nothing
    above = higher.mean(axis=0)
    return MapError(of, _deviation(found, drawn, shape), above.reshape(shape).astype(np.float32), middle, low, high)


def _deviation(found: Floats, drawn: Floats, shape: tuple[int, int]) -> Floats32:
    """Return the root of the mean squared distance of maps (S, p) from one (p,), (h, w); before or after the ReLU."""
    apart = np.maximum(drawn, 0) - np.maximum(found, 0)
    return np.asarray(np.sqrt((apart**2).mean(axis=0)).reshape(shape), np.float32)


def _unit(values: Floats) -> Floats:
    length = np.linalg.norm(values)
    return values / length if length > 0 else values
