"""From some masks' scores to all masks' scores, with a covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.features import Channels
from onnx_cam.budget.gaussian_process import GaussianProcess, fit
from onnx_cam.budget.observations import MeanScores, Observations, mean_scores
from onnx_cam.budget.score_scale import ScoreScale, scale_for
from onnx_cam.runtime.scores import RESOLUTION

__all__ = ["Regression", "regress"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Regression:
    """What is known of all M masks' mean scores.

    Attributes
    ----------
    scores : ndarray of shape (M,), float64
        The expected score; the score itself where it was run with all samples.
    deviation : ndarray of shape (M,), float64
        Its standard deviation.
    mean : ndarray of shape (M,), float64
        On the regression's scale.
    covariance : ndarray of shape (M, M), float64
        On the regression's scale.
    scale : ScoreScale
    process : GaussianProcess
    observed : MeanScores
    baseline : float
        What the weights lack of the scores.
    is_complete : bool
        Whether every input was scored.
    """

    scores: Floats
    deviation: Floats
    mean: Floats
    covariance: Floats
    scale: ScoreScale
    process: GaussianProcess
    observed: MeanScores
    baseline: float = 0.0
    is_complete: bool = False

    @property
    def weights(self) -> Floats:
        """α of each mask, (M,)."""
        return self.scores - self.baseline

    @property
    def is_flat(self) -> bool:
        """Whether all scores that were run are equal: the class plays no part that could be seen."""
        return is_flat(self.observed.score)

    def left_out(self) -> tuple[Floats, Floats]:
        """Return what the others say of each observed mask's score: mean and standard deviation, (n,) each."""
        return self.scale.moments(*self.process.leave_one_out())


def is_flat(scores: Floats) -> bool:
    """Tell whether scores differ by no more than a network in float32 can tell."""
    return bool(np.ptp(scores) <= RESOLUTION * np.abs(scores).max())


def regress(
    channels: Channels,
    observations: Observations,
    target: int = 0,
    *,
    baseline: float = 0.0,
    probability: bool = True,
) -> Regression:
    """Return the regression of the scores so far on the masks.

    Parameters
    ----------
    channels : Channels
    observations : Observations
        At least one pass.
    target : int
        Which column of the scores, 0 to T − 1.
    baseline : float
        The baseline's score, where the method subtracts it.
    probability : bool
        Whether scores are probabilities (regressed as log-odds) or logits (as they are).
    """
    scale = scale_for(observations.score[:, target], probability)
    observed = mean_scores(observations, scale, target)
    noise = observed.noise(observations.samples)
    process = fit(channels.pairs, observed.mask, scale.forward_mean(observed.score, noise), noise)
    mean, covariance = process.posterior()
    scores, deviation = scale.moments(mean, np.sqrt(np.maximum(np.diag(covariance), 0)))
    complete = observed.count == observations.samples
    scores[observed.mask[complete]] = observed.score[complete]
    deviation[observed.mask[complete]] = 0
    if is_flat(observed.score):
        scores[:] = observed.score[0]
    whole = bool(complete.sum() == channels.count)
    return Regression(scores, deviation, mean, covariance, scale, process, observed, baseline, whole)
