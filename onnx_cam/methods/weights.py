"""The weights of maps, what is known about them, and how scores become weights and weights a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.map_error import MapError
from onnx_cam.runtime.scores import RESOLUTION

__all__ = ["TargetWeighed", "Weighed", "Weights", "authors_deviation", "difference", "weighted_sum"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Weights = Doubles


@dataclass(frozen=True)
class TargetWeighed:
    """The weights of one target's map, and what is known about them.

    Attributes
    ----------
    weights : ndarray of shape (K,), float64
        α.
    error : MapError or None
        How far the map may be from the true one.
    notes : tuple of str
        What the reader of this map should know.
    """

    weights: Weights
    error: MapError | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Weighed:
    """The weights of T targets' maps, and what is known about them.

    Attributes
    ----------
    weights : ndarray of shape (T, K), float64
        α.
    errors : tuple of MapError
        The error of each target's map; empty for exact maps without noise.
    exact_passes : int, optional
        The inputs that an exact map takes, where there was a budget or a tolerance.
    notes : tuple of str
        What the reader of all the maps should know.
    own_notes : tuple of tuple of str
        What the reader of each target's map should know; empty where there is nothing.
    """

    weights: Weights
    errors: tuple[MapError, ...] = ()
    exact_passes: int | None = None
    notes: tuple[str, ...] = ()
    own_notes: tuple[tuple[str, ...], ...] = ()

    def of(self, target: int) -> TargetWeighed:
        """Return one target's part, without the notes on all maps."""
        error = self.errors[target] if self.errors else None
        return TargetWeighed(self.weights[target], error, self.own_notes[target] if self.own_notes else ())


def weighted_sum(weights: Weights, maps: Floats) -> Doubles:
    """Return ``ReLU(Σ_k α_k A_k)`` for each row of weights (T, K) and maps (K, h, w): (T, h, w).

    Examples
    --------
    >>> weighted_sum(np.array([[1.0, -2.0]]), np.array([[[3.0]], [[1.0]]], np.float32))
    array([[[1.]]])
    """
    return np.maximum(np.tensordot(weights, maps.astype(np.float64), axes=1), 0)


def difference(scores: Doubles, baseline: Doubles, resolution: Doubles | float = 0.0) -> Doubles:
    """Return scores less the baseline's; 0 where they differ by no more than a network in float32 can tell.

    Otherwise a map could consist of rounding errors alone, stretched to look like one.

    Parameters
    ----------
    scores, baseline : ndarray, float64
    resolution : ndarray or float
        The least difference that counts, where that is more than the size of the scores tells: of contrast scores.

    Examples
    --------
    >>> difference(np.array([0.5, 0.5000000001]), np.array(0.25)).tolist()
    [0.25, 0.2500000001]
    >>> difference(np.array([0.5000000001]), np.array(0.5)).tolist()
    [0.0]
    """
    least = np.maximum(RESOLUTION * np.maximum(np.abs(scores), np.abs(baseline)), resolution)
    return np.where(np.abs(scores - baseline) <= least, 0.0, scores - baseline)


def authors_deviation(sigma: float, spread: Doubles) -> Doubles:
    """Return ``(σ / (max − min))²``, the noise scale of the SS-CAM authors' code; 0 where the range is 0.

    Examples
    --------
    >>> authors_deviation(2.0, np.array([4.0, 0.0]))
    array([0.25, 0.  ])
    """
    with np.errstate(over="ignore"):  # the scorer reports infinite scores
        return np.divide(sigma, spread, out=np.zeros_like(spread), where=spread > 0) ** 2
