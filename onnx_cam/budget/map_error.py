"""The error of a map: what it consists of, and how it is measured from candidate maps.

Both sources of error are estimated the same way. Candidate maps are drawn, each of which could be the true map, and
they are compared with the map at hand. :mod:`onnx_cam.budget.regression_error` draws them where scores were predicted,
:mod:`onnx_cam.budget.noise_error` where scores are means over noise fields. This module needs NumPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CANDIDATES",
    "INTERVAL_LEVEL",
    "UNKNOWN",
    "ErrorSource",
    "MapError",
    "error_from_candidates",
    "relative_error",
]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

ErrorSource = Literal["passes left out", "noise"]
"""Where a map's error comes from: scores that were predicted, or noise fields that were averaged."""

INTERVAL_LEVEL = 0.9
"""The level of every interval and error bar: 5 % of the candidates lie below it, and 5 % above."""

UNKNOWN = math.nan
"""Stands for an error that nothing can be said about."""

CANDIDATES = 200
"""How many candidate maps are drawn by default."""

_UNDECIDED = 0.5  # chance of lying above the average, where a candidate does not tell
_SAME_MAP = 1e-6  # maps of unit length that are closer than this are the same map


@dataclass(frozen=True)
class MapError:
    """How far a map may be from the map that it estimates.

    Attributes
    ----------
    of : {"passes left out", "noise"}
        What the error comes from. With ``"passes left out"`` the map was computed from a part of the forward passes,
        and the true map is the one from all of them, with the same noise fields. With ``"noise"`` all forward passes
        were run, and the true map is the one of infinitely many noise fields.
    deviation : ndarray of shape (h, w), float32
        Standard deviation of the map at each position, in the unit of the map, ≥ 0. `UNKNOWN` everywhere if all
        scores are equal.
    above : ndarray of shape (h, w), float32
        The probability, 0 to 1, that the true map at this position is above its own average.
    relative_error : float
        Estimate (the median over the candidate maps) of the relative error of the class-specific part,
        ``‖n(L') − n(L)‖ / ‖n(L_equal) − n(L)‖``: L' the map, L the true map, L_equal the map with equal weights, and n
        scales a map to unit length. 0 is exact; 1 is as far off as the map with equal weights. `UNKNOWN` if the map is
        empty or equal to that with equal weights, so that it has no class-specific part.
    low, high : float
        The ends of the interval of `relative_error` at `INTERVAL_LEVEL`; `UNKNOWN` where that is.
    calibration : float
        The factor by which the standard deviations of the regression were multiplied to agree with its
        leave-one-out residuals; 1 for an error of noise.

    Examples
    --------
    >>> nothing = np.zeros((1, 2), np.float32)
    >>> error = MapError("noise", nothing + 0.5, nothing + 0.9, relative_error=0.2, low=0.1, high=0.4)
    >>> error.is_known
    True
    >>> error.scaled(2.0).deviation
    array([[1., 1.]], dtype=float32)
    """

    of: ErrorSource
    deviation: Floats
    above: Floats
    relative_error: float
    low: float
    high: float
    calibration: float = 1.0

    @property
    def is_known(self) -> bool:
        """Whether there is an estimate of the relative error."""
        return not math.isnan(self.relative_error)

    def scaled(self, factor: float) -> MapError:
        """Return the error of the map multiplied by a factor > 0: only `deviation` changes."""
        return replace(self, deviation=np.asarray(self.deviation * factor, np.float32))

    def exact(self) -> MapError:
        """Return the same with a relative error of 0, for a map that was computed from all forward passes."""
        return replace(self, relative_error=0.0, low=0.0, high=0.0)

    def unknown(self) -> MapError:
        """Return the same with nothing known: no deviation, no relative error, and every position undecided."""
        deviation, above = np.full_like(self.deviation, UNKNOWN), np.full_like(self.above, _UNDECIDED)
        return replace(self, deviation=deviation, above=above, relative_error=UNKNOWN, low=UNKNOWN, high=UNKNOWN)


def relative_error(estimate: Doubles, exact: Doubles, equal: Doubles) -> float:
    """Return the relative error of the class-specific part, ``‖n(L') − n(L)‖ / ‖n(L_equal) − n(L)‖``.

    Most of any class activation map comes from the activations, whatever the weights are. The error is therefore
    measured in units of the class-specific part, the distance from the map with equal weights.

    Parameters
    ----------
    estimate : ndarray of shape (p,), float64
        L', the map at hand.
    exact : ndarray of shape (p,), float64
        L, the true map.
    equal : ndarray of shape (p,), float64
        L_equal, the map with equal weights.

    Returns
    -------
    float
        0 if the maps are proportional; 1 if `estimate` is no better than the map with equal weights. Also 1 if the true
        map *is* the map with equal weights and the estimate is another: there is no class-specific part to divide by.

    Examples
    --------
    >>> exact, equal = np.array([3.0, 4.0]), np.array([1.0, 0.0])
    >>> relative_error(2 * exact, exact, equal) < 1e-15
    True
    >>> relative_error(equal, exact, equal)
    1.0
    """
    distance = float(np.linalg.norm(_unit_length(estimate) - _unit_length(exact)))
    class_specific = float(np.linalg.norm(_unit_length(equal) - _unit_length(exact)))
    if distance == 0:
        return 0.0
    return distance / class_specific if class_specific > 0 else 1.0


def error_from_candidates(
    of: ErrorSource, estimate: Doubles, candidates: Doubles, equal: Doubles, shape: tuple[int, int]
) -> MapError:
    """Return the error of a map, given maps that could each be the true one.

    Parameters
    ----------
    of : {"passes left out", "noise"}
    estimate : ndarray of shape (p,), float64
        The map before its ReLU, p = h·w.
    candidates : ndarray of shape (S, p), float64
        The candidate maps before their ReLU.
    equal : ndarray of shape (p,), float64
        The map with equal weights, before its ReLU.
    shape : tuple of int
        ``(h, w)``.

    Examples
    --------
    >>> estimate, equal = np.array([1.0, 0.0]), np.array([1.0, 1.0])
    >>> candidates = np.array([[1.0, 0.1], [1.0, -0.2]])
    >>> error = error_from_candidates("noise", estimate, candidates, equal, (1, 2))
    >>> error.deviation.round(3)
    array([[0.   , 0.071]], dtype=float32)
    >>> error.above
    array([[1., 0.]], dtype=float32)
    """
    estimate, candidates, equal = np.maximum(estimate, 0), np.maximum(candidates, 0), np.maximum(equal, 0)
    errors = np.full(len(candidates), UNKNOWN)
    if np.linalg.norm(_unit_length(estimate) - _unit_length(equal)) > _SAME_MAP and estimate.any():
        errors = _relative_errors(estimate, candidates, equal)
    ends = [(1 - INTERVAL_LEVEL) / 2, 0.5, (1 + INTERVAL_LEVEL) / 2]
    low, median, high = np.quantile(errors, ends).tolist()
    higher = (candidates > candidates.mean(axis=1, keepdims=True)).astype(np.float64)  # (S, p)
    higher[~candidates.any(axis=1)] = _UNDECIDED  # an empty map has no position above its average
    above = higher.mean(axis=0).reshape(shape).astype(np.float32)
    return MapError(of, deviation_from(estimate, candidates, shape), above, median, low, high)


def deviation_from(estimate: Doubles, candidates: Doubles, shape: tuple[int, int]) -> Floats:
    """Return the root mean square distance of candidates (S, p) from a map (p,), as (h, w), after the ReLU of both."""
    distances = np.maximum(candidates, 0) - np.maximum(estimate, 0)
    return np.asarray(np.sqrt((distances**2).mean(axis=0)).reshape(shape), np.float32)


def _relative_errors(estimate: Doubles, candidates: Doubles, equal: Doubles) -> Doubles:
    """Return `relative_error` for each of the candidates (S, p) as the true map, (S,)."""
    lengths = np.linalg.norm(candidates, axis=1, keepdims=True)
    true_maps = np.divide(candidates, lengths, out=np.zeros_like(candidates), where=lengths > 0)
    distance = np.linalg.norm(true_maps - _unit_length(estimate), axis=1)
    class_specific = np.linalg.norm(true_maps - _unit_length(equal), axis=1)
    errors = np.divide(distance, class_specific, out=np.ones_like(distance), where=class_specific > 0)
    return np.where(distance == 0, 0.0, errors)


def _unit_length(values: Doubles) -> Doubles:
    length = np.linalg.norm(values)
    return values / length if length > 0 else values
