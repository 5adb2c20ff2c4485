"""The scale on which scores are regressed, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScoreScale", "scale_for"]

Doubles = NDArray[np.float64]

# How these constants were measured: benchmarks/README.md, "What was tried".
_OFFSET = 0.001  # relative to the highest score
_LEAST_OFFSET = 1e-9
_LARGEST_CORRECTED_VARIANCE = 0.5  # in log-odds, squared
_CAUTION = 0.6  # the fraction of the deviation that the expected score is computed with
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()


@dataclass(frozen=True)
class ScoreScale:
    """The scale of the regression: log-odds with an offset, or the score itself.

    The log-odds of a probability vary more evenly over masks than the probability does. But differences among
    probabilities far below the highest one do not change the map, and the regression must not spend its flexibility on
    them. The offset ε flattens the scale there: ``log((p + ε) / (1 − p + ε))``.

    Attributes
    ----------
    kind : {"log-odds", "identity"}
        Log-odds for probabilities, the identity for logits.
    offset : float
        ε > 0; only log-odds have one.

    Examples
    --------
    >>> scale = ScoreScale("log-odds", offset=1e-6)
    >>> scores = np.array([0.1, 0.5, 0.9])
    >>> scale.forward(scores).round(3)
    array([-2.197,  0.   ,  2.197])
    >>> bool(np.allclose(scale.back(scale.forward(scores)), scores))
    True
    """

    kind: Literal["log-odds", "identity"] = "log-odds"
    offset: float = 1e-6

    def forward(self, scores: Doubles) -> Doubles:
        """Return scores on the scale of the regression, in the same shape."""
        if self.kind == "identity":
            return np.asarray(scores, np.float64)
        probabilities = np.clip(scores, 0.0, 1.0)
        return np.asarray(np.log(probabilities + self.offset) - np.log(1 - probabilities + self.offset))

    def forward_mean(self, scores: Doubles, variance: Doubles) -> Doubles:
        """Return means of few scores on the scale of the regression, corrected for the curvature of the scale.

        A mean score with an error, put on a curved scale, is on average too low where probabilities are low and too
        high where they are high, by half the curvature times the variance. This is added back, up to the variance at
        which the second-order expansion stops being valid.

        Parameters
        ----------
        scores : ndarray of shape (n,), float64
            Mean scores.
        variance : ndarray of shape (n,), float64
            Variance of the error of each mean, on the scale of the regression.

        Returns
        -------
        ndarray of shape (n,), float64
        """
        values = self.forward(scores)
        if self.kind == "identity":
            return values
        variance = np.minimum(variance, _LARGEST_CORRECTED_VARIANCE)
        return np.asarray(values - 0.5 * np.tanh(0.5 * values) * variance)

    def back(self, values: Doubles) -> Doubles:
        """Return the scores of values on the scale of the regression, in the same shape."""
        if self.kind == "identity":
            return np.asarray(values, np.float64)
        logistic = 0.5 * (1 + np.tanh(0.5 * values))  # this form never overflows
        return np.asarray(np.clip(logistic * (1 + 2 * self.offset) - self.offset, 0.0, 1.0))

    def moments(self, mean: Doubles, deviation: Doubles) -> tuple[Doubles, Doubles]:
        """Return the mean and standard deviation of scores whose values are normal, by Gauss–Hermite quadrature.

        The mean is computed with 0.6 of the deviation. Forward passes go where the posterior is widest, so for the
        remaining masks the posterior is too wide, and the mean of a convex function of the value would be too high for
        all channels alike.

        Parameters
        ----------
        mean, deviation : ndarray of shape (n,), float64
            Of the values, on the scale of the regression.

        Returns
        -------
        mean, deviation : ndarray of shape (n,), float64
            Of the scores.
        """
        scores = self.back(mean[:, None] + deviation[:, None] * _NODES)  # (n, nodes)
        deviations = scores - (scores @ _NODE_WEIGHTS)[:, None]
        return self.expected(mean, _CAUTION * deviation), np.sqrt(deviations**2 @ _NODE_WEIGHTS)

    def linear_deviation(self, mean: Doubles, deviation: Doubles) -> Doubles:
        """Return the part of the standard deviation of scores that is linear in their normal values, (n,).

        It is the first coefficient of the scores in Hermite polynomials of the standardised values.
        """
        scores = self.back(mean[:, None] + deviation[:, None] * _NODES)  # (n, nodes)
        return np.asarray(scores @ (_NODES * _NODE_WEIGHTS))

    def expected(self, mean: Doubles, deviation: Doubles | float) -> Doubles:
        """Return the mean of scores whose values are normal, in the shape of `mean`."""
        deviation = np.broadcast_to(deviation, mean.shape)
        return np.asarray(self.back(mean[..., None] + deviation[..., None] * _NODES) @ _NODE_WEIGHTS)


def scale_for(scores: Doubles, probability: bool) -> ScoreScale:
    """Return the scale for the scores measured so far.

    ε is a thousandth of the highest score, or the resolution of the scores where that is coarser: the probabilities of
    a quantized model can be multiples of 1/255.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
    probability : bool
        Whether the scores are probabilities; logits are regressed as they are.

    Examples
    --------
    >>> scale_for(np.linspace(0.0, 0.5, 10_001), probability=True)
    ScoreScale(kind='log-odds', offset=0.0005)
    """
    if not probability:
        return ScoreScale("identity")
    levels = np.unique(scores)
    resolution = float(np.diff(levels).min()) if len(levels) > 1 else 0.0
    return ScoreScale("log-odds", max(_OFFSET * float(scores.max(initial=0.0)), resolution, _LEAST_OFFSET))
