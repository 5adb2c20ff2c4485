"""The scores measured so far, and what they tell about each mask's mean score.

One forward pass gives ``(mask m, sample i, score)``. Sample i is one of the N noise fields (or steps of a path) that
all masks share. A weight needs the mean over *these* N samples, ``μ_m = Σ_i s_{m,i} / N``, so a mask that was scored
with all N is known exactly. The statistical model is

    ``s_{m,i} = g(H_m) + d_i(H_m) + e_{m,i}``,   covariance ``K_g + K_d · 1[i = j] + σ² · 1[m = n, i = j]``

where g is the mean as a function of the mask, d_i is what noise field i adds to it, and e is the remainder. The exact
regression over all (mask, sample) pairs would need a matrix of thousands of rows. Here it is reduced to one value for
each mask: the mean of its measured scores, plus the difference that a two-way layout (a level for each mask plus an
effect for each field, on the scale of the regression) expects between the measured fields and all N fields. Only a
difference is taken from the layout, so most of what is wrong with it cancels. The error of this value about μ_m has
variance ``r² (1/n − 1/N)`` with n measured samples; r² is the variance about the layout, and depends on the level.

Each mask starts at its own place in the order of the fields (:func:`samples_of`). If all masks used the same first
fields, what such a field does to all similar masks (``K_d`` beyond the layout) would shift the whole map, and scoring
more masks would not average it out. One approximation remains: two masks that share a field have slightly correlated
errors. The error of the map allows for this (:func:`onnx_cam.budget.regression_error.calibration`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.score_scale import ScoreScale

__all__ = ["MeanScores", "Observations", "mean_scores", "samples_of"]

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

_ASSUMED_VARIANCE = 0.25  # of the samples of one mask, relative to that between masks: used until masks have several
_ASSUMED_FREEDOM = 4.0  # degrees of freedom that the assumption counts for
_KERNEL_WIDTH = 0.3  # over which the variance is averaged, in standard deviations of the levels
_POOLED_FREEDOM = 2.0  # degrees of freedom that the mean over all levels counts for
_BINARY_DIGITS = 10  # that `Observations.coarse` keeps
_SINGULAR = 1e-9  # relative to the largest singular value: what the layout's equations leave undetermined


@dataclass(frozen=True)
class Observations:
    """The forward passes that were run, in any order; no pair of mask and sample occurs twice.

    Attributes
    ----------
    mask : ndarray of shape (n,), int64
        Which mask each pass scored, 0 to M − 1.
    sample : ndarray of shape (n,), int64
        Which sample it used, 0 to N − 1; all 0 if the method has one sample.
    score : ndarray of shape (n, T), float64
        The scores of T targets, which share the passes.
    samples : int
        N.

    Examples
    --------
    >>> start = Observations.none(targets=1, samples=2)
    >>> observations = start.joined(np.array([3, 0]), np.array([0, 1]), np.array([[0.5], [0.25]]))
    >>> observations.counts(masks=4)
    array([1, 0, 0, 1])
    """

    mask: Indices
    sample: Indices
    score: Doubles
    samples: int = 1

    @classmethod
    def none(cls, targets: int = 1, samples: int = 1) -> Observations:
        """Return the state before the first pass, for T targets and N samples."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, targets)), samples)

    def counts(self, masks: int) -> Indices:
        """Return how many samples each of the M masks has, (M,) int64."""
        return np.bincount(self.mask, minlength=masks).astype(np.int64)

    def coarse(self) -> Observations:
        """Return the same passes with scores rounded to ten binary digits of their range, separately for each target.

        The last digits of a score depend on the batch that it was computed in. Decisions that are made from coarse
        scores do not depend on the batch size.
        """
        if not len(self.score):
            return self
        spread = np.ptp(self.score, axis=0)  # (T,)
        step = 2.0 ** (np.floor(np.log2(np.where(spread > 0, spread, 1))) - _BINARY_DIGITS)
        return replace(self, score=np.where(spread > 0, np.rint(self.score / step) * step, self.score))

    def joined(self, mask: Indices, sample: Indices, score: Doubles) -> Observations:
        """Return these passes and more: mask (n,), sample (n,) and score (n, T) of the new ones."""
        return Observations(
            np.concatenate([self.mask, mask]),
            np.concatenate([self.sample, sample]),
            np.concatenate([self.score, score]),
            self.samples,
        )


@dataclass(frozen=True)
class MeanScores:
    """The mean score of each mask that was scored, and the variance of its error.

    Attributes
    ----------
    mask : ndarray of shape (n,), int64
        Sorted.
    score : ndarray of shape (n,), float64
        Estimates of the mean over all N samples; exact where `count` is N.
    count : ndarray of shape (n,), int64
        How many samples were measured, 1 to N.
    level : ndarray of shape (n,), float64
        The mask's level in the two-way layout, on the scale of the regression; 0 with one sample.
    residual : ndarray of shape (n,), float64
        Sum of the squared residuals about the layout, on the scale of the regression; 0 with one sample.
    effects : int
        Degrees of freedom that the effects of the fields use up.
    """

    mask: Indices
    score: Doubles
    count: Indices
    level: Doubles
    residual: Doubles
    effects: int = 0

    def within(self, level: Doubles) -> Doubles:
        """Return r², the variance of one sample about a mask's level.

        It is a kernel average over the masks of similar level, shrunk towards the mean over all masks, which in turn is
        shrunk towards an assumed value.

        Parameters
        ----------
        level : ndarray of shape (m,), float64
            Any levels, on the scale of the regression.

        Returns
        -------
        ndarray of shape (m,), float64
        """
        repeats = np.maximum(self.count - 1, 0)
        # Each repetition is worth less than one degree of freedom, since the effects of the fields were fitted too.
        freedom = max(1 - self.effects / max(repeats.sum(), 1), 0.0)
        assumed = _ASSUMED_VARIANCE * self.level.var()
        pooled = (self.residual.sum() + _ASSUMED_FREEDOM * assumed) / (freedom * repeats.sum() + _ASSUMED_FREEDOM)
        width = max(_KERNEL_WIDTH * float(self.level.std()), 1e-9)
        nearness = np.exp(-0.5 * ((level[:, None] - self.level) / width) ** 2)  # (m, n)
        squares = nearness @ self.residual + _POOLED_FREEDOM * pooled
        return np.asarray(squares / (freedom * (nearness @ repeats) + _POOLED_FREEDOM))

    def noise(self, samples: int) -> Doubles:
        """Return the variance of the error of each mean, (n,), on the scale of the regression.

        Parameters
        ----------
        samples : int
            N. A mean over all N samples has no error.
        """
        if samples == 1:
            return np.zeros(len(self.mask))
        return np.asarray(self.within(self.level) * (1 / self.count - 1 / samples))


def mean_scores(observations: Observations, scale: ScoreScale, target: int = 0) -> MeanScores:
    """Return each mask's mean over all N samples, estimated from the measured samples and the effects of the fields.

    Parameters
    ----------
    observations : Observations
        At least one pass.
    scale : ScoreScale
        The scale on which the effects of the fields are additive.
    target : int
        Which column of the scores, 0 to T − 1.

    Examples
    --------
    Mask 0 was measured with both samples, and the second one is 0.6 higher. Mask 1 was measured with the first only, so
    half of that is added.

    >>> observations = Observations.none(samples=2).joined(
    ...     np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([[0.2], [0.8], [0.3]])
    ... )
    >>> means = mean_scores(observations, ScoreScale("identity"))
    >>> means.score.round(6), means.count
    (array([0.5, 0.6]), array([2, 1]))
    """
    scores = observations.score[:, target]
    mask, row = np.unique(observations.mask, return_inverse=True)
    count = np.bincount(row)
    if observations.samples == 1:  # every score is a mean already
        zeros = np.zeros(len(mask))
        return MeanScores(mask, scores[np.argsort(observations.mask)], count, zeros, zeros)

    # Fit the two-way layout on the scale of the regression: a level for each mask, an effect for each field.
    values = scale.forward(scores)
    level, effect = _two_way_layout(values, row, observations)
    effects = len(np.unique(observations.sample)) - 1
    residual = np.bincount(row, (values - level[row] - effect[observations.sample]) ** 2)

    # Add the difference that the layout expects between all N samples and the measured ones to the measured mean.
    expected = scale.back(level[:, None] + effect)  # (n, N), the score of every mask and sample
    difference = np.bincount(row, scores - expected[row, observations.sample]) / count  # measured less expected, (n,)
    mean = np.clip(difference + expected.mean(axis=1), scores.min(), scores.max())
    return MeanScores(mask, mean, count, level, np.asarray(residual, np.float64), effects)


def samples_of(masks: Indices, had: Indices, more: Indices, samples: int, seed: int) -> tuple[Indices, Indices]:
    """Return the next (mask, sample) pairs: every mask goes through the same order, each from its own start.

    Parameters
    ----------
    masks : ndarray of shape (n,), int64
        Which masks.
    had : ndarray of shape (n,), int64
        How many samples each has so far.
    more : ndarray of shape (n,), int64
        How many more each gets; had + more ≤ N.
    samples : int
        N.
    seed : int
        Random seed of the order.

    Returns
    -------
    mask, sample : ndarray of shape (Σ more,), int64

    Examples
    --------
    >>> masks, had, more = np.array([0, 1]), np.array([0, 0]), np.array([3, 3])
    >>> mask, sample = samples_of(masks, had, more, samples=3, seed=0)
    >>> mask, sorted(sample[:3].tolist()), bool(sample[0] != sample[3])
    (array([0, 0, 0, 1, 1, 1]), [0, 1, 2], True)
    """
    order = np.random.default_rng(seed).permutation(samples)
    mask = np.repeat(masks, more)
    place = np.concatenate([np.arange(a, a + b) for a, b in zip(had, more, strict=True)] or [np.zeros(0, np.int64)])
    return mask, order[(place + mask) % samples].astype(np.int64)


def _two_way_layout(values: Doubles, row: Indices, observations: Observations) -> tuple[Doubles, Doubles]:
    """Return each mask's level (n,) and each field's effect (N,) by least squares; the effects sum to 0.

    The levels are eliminated first, which leaves the N normal equations of the effects. An effect that they do not
    determine is 0.
    """
    count = np.bincount(row)
    measured = np.zeros((len(count), observations.samples))  # (n, N): 1 where the sample was measured
    measured[row, observations.sample] = 1
    normal_matrix = np.diag(measured.sum(axis=0)) - (measured / count[:, None]).T @ measured
    about_means = values - (np.bincount(row, values) / count)[row]
    sums = np.bincount(observations.sample, about_means, observations.samples)
    effect: Doubles = np.linalg.lstsq(normal_matrix, sums, rcond=_SINGULAR)[0].astype(np.float64)
    return np.bincount(row, values - effect[observations.sample]) / count, effect
