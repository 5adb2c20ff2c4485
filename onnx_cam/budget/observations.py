"""Scores so far, and what they say of each mask's mean score.

One pass gives ``(mask m, sample i, score)``: sample i is one of the N noise fields (or steps of a path) that all masks
share. The weight wanted is the mean over *these* N samples, ``μ_m = Σ_i s_{m,i} / N``: of a mask that was scored with
all N nothing is left to know. The model behind this package is

    ``s_{m,i} = g(H_m) + d_i(H_m) + e_{m,i}``,   covariance ``K_g + K_d · 1[i = j] + σ² · 1[m = n, i = j]``

with g the mean surface, d_i what field i adds to it, and e the rest. Its exact regression over all (mask, sample)
pairs is a matrix of thousands of rows. Here it is reduced to one value a mask: the mean of the scores that were run,
and what a two-way layout (the mask's level plus the field's effect, on the regression's scale) says that the other
fields would have made of it. The layout counts by a difference alone, so that what is wrong with it mostly cancels.
About μ_m the value has an error of variance ``r² (1/n − 1/N)``, n samples run, r² = variance about the layout, which
changes with the level.

The fields that a mask takes begin at its own place in the round (:func:`samples_of`). Were they the same for all, what
a field does to near masks alike (``K_d`` beyond the layout) would shift the map as a whole, and no further mask would
average it away. What is left out: two masks with one field in common still have errors that are a little alike. The
map's error allows for it (:func:`onnx_cam.budget.map_error.calibration`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.score_scale import ScoreScale

__all__ = ["MeanScores", "Observations", "mean_scores", "samples_of"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_UNKNOWN_VARIANCE = 0.25  # within a mask, as a share of the variance between masks: a guess, for want of repetitions
_GUESSED = 4.0  # degrees of freedom that the guess counts for
_WIDTH = 0.3  # of the levels' standard deviation, over which the variance within a mask is averaged
_POOLED = 2.0  # degrees of freedom that the mean over all levels counts for


@dataclass(frozen=True)
class Observations:
    """Passes that were run, in any order; no pair twice.

    Attributes
    ----------
    mask : ndarray of shape (n,), int64
    sample : ndarray of shape (n,), int64
        0 to N − 1; all 0 where a method has one sample.
    score : ndarray of shape (n, T), float64
        Of T targets, which share the passes.
    samples : int
        N.
    """

    mask: Indices
    sample: Indices
    score: Floats
    samples: int = 1

    @classmethod
    def none(cls, targets: int = 1, samples: int = 1) -> Observations:
        """Return the state before the first pass."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, targets)), samples)

    def counts(self, masks: int) -> Indices:
        """Return how many samples each of the M masks has, (M,) int64."""
        return np.bincount(self.mask, minlength=masks).astype(np.int64)

    def coarse(self) -> Observations:
        """Return the same with scores of ten binary digits: for decisions that rounding errors must not turn.

        Scores of one input differ in their last places with the batch that it was run in. Each target has its own step.
        """
        if not len(self.score):
            return self
        spread = np.ptp(self.score, axis=0)  # (T,)
        step = 2.0 ** (np.floor(np.log2(np.where(spread > 0, spread, 1))) - 10)
        return replace(self, score=np.where(spread > 0, np.rint(self.score / step) * step, self.score))

    def joined(self, mask: Indices, sample: Indices, score: Floats) -> Observations:
        """Return these passes and more."""
        return Observations(
            np.concatenate([self.mask, mask]),
            np.concatenate([self.sample, sample]),
            np.concatenate([self.score, score]),
            self.samples,
        )


@dataclass(frozen=True)
class MeanScores:
    """Each observed mask's mean score, and what its error may be.

    Attributes
    ----------
    mask : ndarray of shape (n,), int64
        Sorted.
    score : ndarray of shape (n,), float64
    count : ndarray of shape (n,), int64
        Samples that the mean is over, 1 to N.
    level : ndarray of shape (n,), float64
        Of the two-way layout, on the regression's scale.
    residual : ndarray of shape (n,), float64
        Sum of the squared residuals about the layout, on the regression's scale.
    effects : int
        Degrees of freedom that the fields' effects took.
    """

    mask: Indices
    score: Floats
    count: Indices
    level: Floats
    residual: Floats
    effects: int = 0

    def within(self, level: Floats) -> Floats:
        """Return r², the variance of one sample about a mask's level, at any levels (m,): a kernel average."""
        repeats = np.maximum(self.count - 1, 0)
        left = max(1 - self.effects / max(repeats.sum(), 1), 0.0)  # what the fields' effects left of each repetition
        guess = _UNKNOWN_VARIANCE * self.level.var()
        pooled = (self.residual.sum() + _GUESSED * guess) / (left * repeats.sum() + _GUESSED)
        width = max(_WIDTH * float(self.level.std()), 1e-9)
        near = np.exp(-0.5 * ((level[:, None] - self.level) / width) ** 2)  # (m, n)
        return np.asarray((near @ self.residual + _POOLED * pooled) / (left * (near @ repeats) + _POOLED))

    def noise(self, samples: int) -> Floats:
        """Return the variance of each mean about the mean over all N samples, (n,) on the regression's scale."""
        if samples == 1:
            return np.zeros(len(self.mask))
        return np.asarray(self.within(self.level) * (1 / self.count - 1 / samples))


def mean_scores(observations: Observations, scale: ScoreScale, target: int = 0) -> MeanScores:
    """Return each mask's mean over all N samples, as far as those that were run and the fields' effects tell."""
    scores = observations.score[:, target]
    mask, row = np.unique(observations.mask, return_inverse=True)
    count = np.bincount(row)
    if observations.samples == 1:
        nothing = np.zeros(len(mask))
        return MeanScores(mask, scores[np.argsort(observations.mask)], count, nothing, nothing)
    values = scale.forward(scores)
    level, field = _two_way(values, row, observations)
    effects = len(np.unique(observations.sample)) - 1
    residual = np.bincount(row, (values - level[row] - field[observations.sample]) ** 2)
    expected = scale.back(level[:, None] + field)  # (n, N)
    ran = np.bincount(row, scores - expected[row, observations.sample]) / count
    mean = np.clip(ran + expected.mean(axis=1), scores.min(), scores.max())
    return MeanScores(mask, mean, count, level, np.asarray(residual, np.float64), effects)


def samples_of(masks: Indices, had: Indices, more: Indices, samples: int, seed: int) -> tuple[Indices, Indices]:
    """Return the next (mask, sample) pairs: each mask goes through the fields in one seeded order from its own start.

    Parameters
    ----------
    masks, had, more : ndarray of shape (n,), int64
        Which masks, how many samples each had so far, and how many more it gets; had + more ≤ N.
    samples : int
        N.
    seed : int

    Returns
    -------
    mask, sample : ndarray of shape (Σ more,), int64
    """
    order = np.random.default_rng(seed).permutation(samples)
    mask = np.repeat(masks, more)
    place = np.concatenate([np.arange(a, a + b) for a, b in zip(had, more, strict=True)] or [np.zeros(0, np.int64)])
    return mask, order[(place + mask) % samples].astype(np.int64)


def _two_way(values: Floats, row: Indices, observations: Observations) -> tuple[Floats, Floats]:
    """Return each mask's level (n,) and each field's effect (N,) by least squares; the effects sum to 0."""
    count = np.bincount(row)
    ran = np.zeros((len(count), observations.samples))  # (n, N): 1 where the sample was run
    ran[row, observations.sample] = 1
    within_rows = np.diag(ran.sum(axis=0)) - (ran / count[:, None]).T @ ran
    about_rows = values - (np.bincount(row, values) / count)[row]
    sums = np.bincount(observations.sample, about_rows, observations.samples)
    field: Floats = np.linalg.lstsq(within_rows, sums, rcond=1e-9)[0].astype(np.float64)  # 0 where nothing tells
    return np.bincount(row, values - field[observations.sample]) / count, field
