"""The scores of all masks, predicted from those that were measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.covariance import Covariance
from onnx_cam.budget.features import Channels
from onnx_cam.budget.gaussian_process import GaussianProcess, fit
from onnx_cam.budget.observations import MeanScores, Observations, mean_scores
from onnx_cam.budget.score_scale import ScoreScale, scale_for
from onnx_cam.runtime.scores import RESOLUTION

__all__ = ["Regression", "is_flat", "regress"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """One target's mean score for each of the M masks: measured, or predicted with a covariance.

    :func:`regress` has an example.

    Attributes
    ----------
    scores : ndarray of shape (M,), float64
        The expected mean score; the measured one for a mask that was scored with all samples.
    deviation : ndarray of shape (M,), float64
        The standard deviation of each score; 0 for a mask that was scored with all samples.
    mean : ndarray of shape (M,), float64
        The posterior mean on the scale of the regression.
    covariance : Covariance
        The posterior covariance on the scale of the regression.
    scale : ScoreScale
        That scale.
    process : GaussianProcess
        What the predictions come from.
    means : MeanScores
        The mean scores of the masks that were scored.
    baseline : float
        The baseline's score; the weights are the scores less this.
    is_complete : bool
        Whether every mask was scored with all samples, so that nothing is predicted.
    """

    scores: Doubles
    deviation: Doubles
    mean: Doubles
    covariance: Covariance
    scale: ScoreScale
    process: GaussianProcess
    means: MeanScores
    baseline: float = 0.0
    is_complete: bool = False

    @property
    def weights(self) -> Doubles:
        """α of each mask, (M,)."""
        return self.scores - self.baseline

    @property
    def slopes(self) -> Doubles:
        """The mean slope of each score, (M,), with respect to its value on the scale of the regression."""
        deviation = np.sqrt(self.covariance.variances)
        return np.divide(self.deviation, deviation, out=np.zeros_like(deviation), where=deviation > 0)

    @property
    def caution(self) -> Doubles:
        """The posterior mean of each score less its cautious version in `scores`, (M,); 0 where it was measured."""
        deviation = np.sqrt(self.covariance.variances)
        return np.where(deviation > 0, self.scale.expected(self.mean, deviation) - self.scores, 0.0)

    @property
    def is_flat(self) -> bool:
        """Whether all measured scores are equal, so that the map does not depend on the class."""
        return is_flat(self.means.score)

    def leave_one_out(self) -> tuple[Doubles, Doubles]:
        """Return what the other masks predict for each scored mask: mean and standard deviation, (n,) each."""
        return self.scale.moments(*self.process.leave_one_out())


def is_flat(scores: Doubles) -> bool:
    """Tell whether scores differ by no more than the rounding errors of a float32 network.

    Examples
    --------
    >>> is_flat(np.array([0.5, 0.5 + 1e-9])), is_flat(np.array([0.5, 0.51]))
    (True, False)
    """
    return bool(np.ptp(scores) <= RESOLUTION * np.abs(scores).max())


def regress(
    channels: Channels,
    observations: Observations,
    target: int = 0,
    *,
    baseline: float = 0.0,
    probability: bool = True,
) -> Regression:
    """Predict the scores of all masks from the scores that were measured.

    Parameters
    ----------
    channels : Channels
        The masks of the image.
    observations : Observations
        The forward passes so far, at least one.
    target : int
        Which column of the scores, 0 to T − 1.
    baseline : float
        The baseline's score, if the method subtracts it.
    probability : bool
        Whether scores are probabilities, regressed as log-odds, or logits, regressed as they are.

    Returns
    -------
    Regression

    Examples
    --------
    >>> from onnx_cam.budget.features import describe_channels
    >>> maps = np.random.default_rng(0).random((40, 3, 3), np.float32)
    >>> channels = describe_channels(maps, maps)
    >>> scores = maps.mean(axis=(1, 2)).astype(np.float64)  # a model that looks at all positions
    >>> masks, samples = np.arange(20), np.zeros(20, np.int64)
    >>> observations = Observations.none().joined(masks, samples, scores[:20, None])
    >>> regression = regress(channels, observations)
    >>> bool(np.abs(regression.scores - scores)[20:].max() < 0.1)
    True
    >>> regression.is_complete, regression.is_flat
    (False, False)
    """
    # Reduce the passes to one value a mask, (n,): its mean over all samples, with the variance of that mean's error.
    scale = scale_for(observations.score[:, target], probability)
    means = mean_scores(observations, scale, target)
    noise = means.noise(observations.samples)

    # Regress these values on the masks, and bring the posterior of all M masks back from log-odds to scores.
    process = fit(channels.pairs, means.mask, scale.forward_mean(means.score, noise), noise)
    mean, covariance = process.posterior()  # (M,), and what stands for (M, M)
    scores, deviation = scale.moments(mean, np.sqrt(covariance.variances))

    # What was measured with all samples is known, to the bit.
    complete = means.count == observations.samples
    scores[means.mask[complete]] = means.score[complete]
    deviation[means.mask[complete]] = 0
    if is_flat(means.score):
        scores[:] = means.score[0]
    return Regression(
        scores=scores,
        deviation=deviation,
        mean=mean,
        covariance=covariance,
        scale=scale,
        process=process,
        means=means,
        baseline=baseline,
        is_complete=bool(complete.sum() == channels.count),
    )
