"""How far the map of a regression may be from the exact one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky

from onnx_cam.budget.features import Channels
from onnx_cam.budget.regression import Regression

__all__ = ["LEVEL", "MapError", "estimate_error", "share_left"]

Floats = NDArray[np.float64]

LEVEL = 0.9
"""Of the intervals."""

SAMPLES = 200
_LEAST, _MOST = 0.7, 3.0  # bounds of the calibration
_TRUST = 0.5  # in the leave-one-out residuals: they are few, and of the masks that seemed worth a pass
_DOUBT = 0.3  # standard deviation of the calibration's logarithm; measured over images: benchmarks/README.md
_JITTER = 1e-9


@dataclass(frozen=True)
class MapError:
    """What the regression leaves open of a map.

    Attributes
    ----------
    deviation : ndarray of shape (h, w), float32
        Standard deviation of the map at each position, in the map's unit.
    share_left : float
        Estimate (median) of ``‖n(L') − n(L)‖ / ‖n(L_equal) − n(L)‖``: 0 is exact, 1 no better than equal weights.
    low, high : float
        Its 90 % interval.
    calibration : float
        What the posterior's deviations were multiplied by, so that they agree with leave-one-out residuals.
    """

    deviation: NDArray[np.float32]
    share_left: float
    low: float
    high: float
    calibration: float


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
    if not regression.deviation.any():  # every pass was run
        return MapError(np.zeros(channels.shape, np.float32), 0.0, 0.0, 0.0, 1.0)
    factor = calibration(channels, regression)
    drawn = sample_scores(regression, factor, samples, seed) - regression.baseline  # (samples, M)
    maps = np.maximum(drawn @ channels.maps, 0)  # (samples, p)
    found = np.maximum(regression.weights @ channels.maps, 0)
    equal = np.maximum(channels.maps.sum(axis=0), 0)
    shares = np.array([share_left(found, each, equal) for each in maps])
    low, middle, high = np.quantile(shares, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2]).tolist()
    deviation = np.sqrt(((maps - found) ** 2).mean(axis=0)).reshape(channels.shape).astype(np.float32)
    return MapError(deviation, middle, low, high, factor)


def share_left(found: Floats, exact: Floats, equal: Floats) -> float:
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
        0.7 to 3: the root of what the residuals say, since that itself is uncertain.
    """
    foretold, deviation = regression.left_out()
    norms = (channels.maps[regression.observed.mask] ** 2).sum(axis=1)
    variance = float(norms @ deviation**2)
    if variance == 0 or len(norms) < 3:
        return 1.0
    residual = float(norms @ (regression.observed.score - foretold) ** 2)
    return float(np.clip((residual / variance) ** (0.5 * _TRUST), _LEAST, _MOST))


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


def _unit(values: Floats) -> Floats:
    length = np.linalg.norm(values)
    return values / length if length > 0 else values
