"""Scores on the scale that they are regressed on, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScoreScale", "scale_for"]

Floats = NDArray[np.float64]

_OFFSET = 0.001  # of the highest score seen
_SMALL = 0.5  # variance, in log-odds
_CAUTION = 0.6  # measured: benchmarks/README.md
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()


@dataclass(frozen=True)
class ScoreScale:
    """The scale of the regression: log-odds with an offset, or the score itself.

    A probability's log-odds vary more evenly over masks than the probability. But what happens among probabilities
    far below the highest one changes no map, and must not take up the fit: the offset ε flattens the scale there,
    ``log((p + ε) / (1 − p + ε))``.

    Attributes
    ----------
    kind : {"log-odds", "identity"}
    offset : float
        ε > 0, of log-odds.
    """

    kind: Literal["log-odds", "identity"] = "log-odds"
    offset: float = 1e-6

    def forward(self, scores: Floats) -> Floats:
        """Return the scores on the regression's scale, the same shape."""
        if self.kind == "identity":
            return np.asarray(scores, np.float64)
        held = np.clip(scores, 0.0, 1.0)
        return np.asarray(np.log(held + self.offset) - np.log(1 - held + self.offset))

    def forward_mean(self, scores: Floats, variance: Floats) -> Floats:
        """Return what a mean of few scores stands for on the regression's scale, the same shape.

        The scale is bent: that of a mean with an error lies below that of the true mean on average where probabilities
        are low, and above it where they are high, by half the curvature times the variance. That is added back, up to
        the variance at which such an expansion ends.

        Parameters
        ----------
        scores : ndarray of shape (n,), float64
        variance : ndarray of shape (n,), float64
            Of the error, on the regression's scale.
        """
        values = self.forward(scores)
        if self.kind == "identity":
            return values
        return np.asarray(values - 0.5 * np.tanh(0.5 * values) * np.minimum(variance, _SMALL))

    def back(self, values: Floats) -> Floats:
        """Return the scores of values on the regression's scale."""
        if self.kind == "identity":
            return np.asarray(values, np.float64)
        share = 0.5 * (1 + np.tanh(0.5 * values))  # the logistic function; never overflows
        return np.asarray(np.clip(share * (1 + 2 * self.offset) - self.offset, 0.0, 1.0))

    def moments(self, mean: Floats, deviation: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the score whose value is normal, by Gauss–Hermite quadrature.

        The mean is that of a narrower normal, 0.6 of the deviation. Passes go where the posterior is widest, so that
        what it says of the rest is too wide, and the mean of a convex function of it too high, for all channels alike.

        Parameters
        ----------
        mean, deviation : ndarray of shape (n,), float64
            On the regression's scale.

        Returns
        -------
        tuple of ndarray of shape (n,), float64
        """
        scores = self.back(mean[:, None] + deviation[:, None] * _NODES)  # (n, nodes)
        spread = scores - (scores @ _NODE_WEIGHTS)[:, None]
        return self.expected(mean, _CAUTION * deviation), np.sqrt(spread**2 @ _NODE_WEIGHTS)

    def expected(self, mean: Floats, deviation: Floats | float) -> Floats:
        """Return the mean score of normal values on the regression's scale, the shape of `mean`."""
        wide = np.broadcast_to(deviation, mean.shape)
        return np.asarray(self.back(mean[..., None] + wide[..., None] * _NODES) @ _NODE_WEIGHTS)


def scale_for(scores: Floats, probability: bool) -> ScoreScale:
    """Return the scale for the scores seen so far.

    ε is a thousandth of the highest score, or the scores' own resolution where that is coarser: a quantized model's
    probabilities can be multiples of 1/255.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
    probability : bool
        Whether they are probabilities; logits keep their scale.
    """
    if not probability:
        return ScoreScale("identity")
    levels = np.unique(scores)
    resolution = float(np.diff(levels).min()) if len(levels) > 1 else 0.0
    return ScoreScale("log-odds", max(_OFFSET * float(scores.max(initial=0.0)), resolution, 1e-9))
