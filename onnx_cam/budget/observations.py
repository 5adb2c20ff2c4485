"""Scores so far, and what they say of each mask's mean score.

One pass gives ``(mask m, sample i, score)``: sample i is one of the N noise fields (or steps of a path) that all masks
share. The weight wanted is the mean over *these* N samples, ``μ_m = Σ_i s_{m,i} / N``: of a mask that was scored with
all N nothing is left to know. The model behind this package is

    ``s_{m,i} = g(H_m) + d_i(H_m) + e_{m,i}``,   covariance ``K_g + K_d · 1[i = j] + σ² · 1[m = n, i = j]``

with g the mean surface, d_i what field i adds to it, and e the rest. Its exact regression over all (mask, sample)
pairs is a matrix of thousands of rows. Here it is reduced to one value a mask: the mean over the n samples that were
run, whose error about μ_m has the variance ``r² (1/n − 1/N)``, r² = variance of ``d_i + e`` within a mask; the second
term is the finite population's. What this leaves out is that the errors of two masks are alike where they had the same
fields (``K_d``). If every mask took the fields in the same order, the errors would add up to a shift of the whole
map, which no further mask would average away. Therefore each mask begins the round at another field
(:func:`samples_of`), and what remains of ``d_i`` as a shift of all masks is estimated and taken off first (a two-way
layout's column effects).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.score_scale import ScoreScale

__all__ = ["MeanScores", "Observations", "mean_scores", "samples_of"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_SWEEPS = 20
_UNKNOWN_VARIANCE = 0.25  # within a mask, as a share of the variance between masks, before a mask has two samples


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
    within : float
        r²: the variance of one sample about its mask's mean, on the regression's scale.
    """

    mask: Indices
    score: Floats
    count: Indices
    within: float

    def noise(self, samples: int) -> Floats:
        """Return the variance of each mean about the mean over all N samples, (n,) on the regression's scale."""
        return np.asarray(self.within * (1 / self.count - 1 / samples))


def mean_scores(observations: Observations, scale: ScoreScale, target: int = 0) -> MeanScores:
    """Return the mean over samples of each mask, without the shifts that the fields give to all masks."""
    scores = observations.score[:, target]
    mask, row = np.unique(observations.mask, return_inverse=True)
    count = np.bincount(row)
    if observations.samples == 1:
        return MeanScores(mask, scores[np.argsort(observations.mask)], count, 0.0)
    complete = count == observations.samples
    plain = np.bincount(row, scores) / count
    corrected = np.bincount(row, scores - _shift(scores, row, observations)) / count
    means = np.where(complete, plain, corrected)
    return MeanScores(mask, means, count, _within(scale.forward(scores), row, count))


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


def _shift(scores: Floats, row: Indices, observations: Observations) -> Floats:
    """Return each pass's field effect, by backfitting rows and columns; the effects of all N fields sum to 0."""
    field = np.zeros(observations.samples)
    seen = np.maximum(np.bincount(observations.sample, minlength=observations.samples), 1)
    for _ in range(_SWEEPS):
        level = np.bincount(row, scores - field[observations.sample]) / np.bincount(row)
        field = np.bincount(observations.sample, scores - level[row], observations.samples) / seen
        field -= field.mean()
    return np.asarray(field[observations.sample])


def _within(values: Floats, row: Indices, count: Indices) -> float:
    """Return the variance of a sample about its mask's mean, pooled over the masks with two samples or more."""
    level = np.bincount(row, values) / count
    freedom = int((count - 1).sum())
    if freedom == 0:
        return _UNKNOWN_VARIANCE * float(level.var())
    return float(((values - level[row]) ** 2).sum() / freedom)
