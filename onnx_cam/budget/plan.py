"""Which masks to score next.

The error of the map is ``Σ_m δ_m A_m``, where δ_m is the error of a weight. A forward pass tells something about its
own mask and about all similar masks; and an error along the map itself changes only the map's scale, which is
normalised away. The next pass therefore goes to the mask that reduces the expected squared error of the map the most,
where only the part of the error orthogonal to the map so far counts (a greedy A-optimal design). The first round is
chosen from the masks only, before any score is known. Each later round uses the regression of all scores before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.covariance import Covariance
from onnx_cam.budget.features import Channels
from onnx_cam.budget.kernel import Kernel
from onnx_cam.budget.observations import Observations, samples_of
from onnx_cam.budget.regression import Regression

__all__ = ["SMALLEST_PLAN", "growing_rounds", "next_passes", "round_sizes"]

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

SMALLEST_PLAN = 8
"""The fewest forward passes that a regression can use; an image with no more masks than this is scored exactly."""

_FIRST_ROUND = 0.3  # of the budget
_LATER_ROUNDS = 4
_FIRST_GROWING_ROUND = 0.02  # of an exact map's forward passes
_GROWTH = 1.4  # from the passes before a round to those after it
_MOST_PICKS = 400  # in a round: with many samples a mask takes several at once
_PRIOR = Kernel(length=1.0, variance=1.0, linear=0.3, individual=0.2)  # before any score is known
_EXHAUSTED = -1.0  # the gain of a mask that has all its samples: less than any other
_TINY = 1e-300  # keeps divisors positive


def round_sizes(budget: int) -> tuple[int, ...]:
    """Return the size of each round: 30 % before any score is known, and the remainder in four equal rounds.

    Parameters
    ----------
    budget : int
        Forward passes in all, ≥ 1.

    Returns
    -------
    tuple of int
        Each ≥ 1; their sum is the budget.

    Examples
    --------
    >>> round_sizes(100)
    (30, 17, 18, 17, 18)
    """
    first = min(budget, max(SMALLEST_PLAN, round(_FIRST_ROUND * budget)))
    rest = budget - first
    ends = [rest * i // _LATER_ROUNDS for i in range(_LATER_ROUNDS + 1)]
    return (first, *(size for size in np.diff(ends).tolist() if size))


def growing_rounds(inputs: int) -> Iterator[int]:
    """Yield the size of each round where the total is unknown: first 2 %, then 40 % of all passes so far.

    Parameters
    ----------
    inputs : int
        The forward passes of an exact map.

    Examples
    --------
    >>> from itertools import islice
    >>> list(islice(growing_rounds(1000), 5))
    [20, 8, 11, 16, 22]
    """
    total = max(SMALLEST_PLAN, round(_FIRST_GROWING_ROUND * inputs))
    yield total
    while True:
        more = max(1, round((_GROWTH - 1) * total))
        yield more
        total += more


def next_passes(
    channels: Channels,
    observations: Observations,
    count: int,
    regressions: Sequence[Regression] = (),
    *,
    seed: int = 0,
) -> tuple[Indices, Indices]:
    """Return the forward passes that reduce the expected error of the maps the most.

    The result is a function of the arguments: it does not depend on anything else.

    Parameters
    ----------
    channels : Channels
        The masks of the image.
    observations : Observations
        The forward passes so far.
    count : int
        How many more, ≥ 0; fewer are returned if fewer remain.
    regressions : sequence of Regression
        The regressions of these observations, one for each target. The targets count equally: each error is relative to
        what it is now. Without regressions only the masks decide.
    seed : int
        Random seed of the order of the samples.

    Returns
    -------
    mask, sample : ndarray of shape (count,), int64
        No pair occurs twice, and none is among the observations.

    Examples
    --------
    >>> from onnx_cam.budget.features import describe_channels
    >>> maps = np.random.default_rng(0).random((40, 3, 3), np.float32)
    >>> channels = describe_channels(maps, maps)
    >>> mask, sample = next_passes(channels, Observations.none(), count=10)
    >>> len(set(mask.tolist())), sample.tolist() == [0] * 10
    (10, True)
    """
    had = observations.counts(channels.count)  # (M,)
    samples = observations.samples
    count = min(count, channels.count * samples - len(observations.mask))

    # Set up one design for each target: the covariance of its scores, and so how uncertain its map is.
    states = [_state_after(channels, regression) for regression in regressions] or [_state_before(channels)]
    designs = [_Design(state, max(count, 1)) for state in states]

    # Choose masks one by one, (M,) counts; then give each its next samples.
    more = _greedy(designs, had, samples, count)
    masks = np.flatnonzero(more)
    return samples_of(masks, had[masks], more[masks], samples, seed)


@dataclass(frozen=True)
class _State:
    """What is known about the scores of one target.

    Attributes
    ----------
    covariance : Covariance
        Σ, of the scores of the masks.
    leverage : ndarray of shape (M, r), float64
        F: how one unit of a mask's score changes the part of the map that counts.
    within : float or ndarray of shape (M,), float64
        Variance of one sample about the mean of its mask.
    """

    covariance: Covariance
    leverage: Doubles
    within: float | Doubles


def _state_before(channels: Channels) -> _State:
    """Return the state before any score is known: the covariance is the prior's, and the whole map counts."""
    return _State(Covariance.prior(channels.pairs, _PRIOR), channels.leverage, _PRIOR.individual)


def _state_after(channels: Channels, regression: Regression) -> _State:
    """Return the state given scores: the part of the map orthogonal to the map so far counts.

    The covariance is on the scale of the regression, so the leverage of a mask is multiplied by the mean slope from
    that scale to scores.
    """
    estimate = regression.weights @ channels.leverage  # (r,)
    length = np.linalg.norm(estimate)
    direction = estimate / length if length > 0 else estimate
    orthogonal = channels.leverage - np.outer(channels.leverage @ direction, direction)
    within = regression.means.within(regression.mean)
    return _State(regression.covariance, orthogonal * regression.slopes[:, None], within)


class _Design:
    """The expected error of one target's map while passes are added: Σ is conditioned on each.

    Parameters
    ----------
    state : _State
    most : int
        How many passes may be added.
    """

    def __init__(self, state: _State, most: int) -> None:
        self._state = state
        self._effect = state.covariance.times(state.leverage)  # (M, r): Σ F before any pass
        self._squared_effect = np.einsum("mr,mr->m", self._effect, self._effect)  # (M,), after the passes
        self._variance = state.covariance.variances  # (M,), after the passes
        self._floor = 1e-12 * max(float(self._variance.max(initial=0.0)), _TINY)
        # The trace of Fᵀ Σ F, before any pass.
        self._error = max(float(np.vdot(state.leverage, self._effect)), _TINY)
        # Σ and Σ F are never changed: row i of `steps` is the Cholesky column by which pass i reduced Σ, (M,), and row
        # i of `turns` its product with F, (r,).
        self._steps = np.zeros((most, len(self._variance)))
        self._turns = np.zeros((most, state.leverage.shape[1]))
        self._used = 0

    @property
    def within(self) -> float | Doubles:
        """The variance of one sample about the mean of its mask."""
        return self._state.within

    def gain(self, noise: Doubles) -> Doubles:
        """Return the fraction of the error that scoring each mask would remove, (M,).

        It is ``‖(Σ F)_m‖² / (Σ_mm + noise_m)``, relative to the error before any pass.
        """
        return np.asarray(self._squared_effect / ((self._variance + noise + self._floor) * self._error))

    def add(self, mask: int, noise: float) -> None:
        """Condition Σ on one more observation of a mask."""
        steps, turns = self._steps[: self._used], self._turns[: self._used]
        column = self._state.covariance.column(mask) - steps[:, mask] @ steps
        step = column / np.sqrt(self._variance[mask] + noise + self._floor)
        turn = step @ self._state.leverage
        # Σ F loses step ⊗ turn, so that ‖(Σ F)_m‖² changes by −2 step_m (Σ F)_m · turn + step_m² ‖turn‖².
        along = self._effect @ turn - (turns @ turn) @ steps
        self._squared_effect = np.maximum(self._squared_effect + step * (step * (turn @ turn) - 2 * along), 0)
        self._variance = np.maximum(self._variance - step**2, 0)
        self._steps[self._used], self._turns[self._used] = step, turn
        self._used += 1


def _greedy(designs: list[_Design], had: Indices, samples: int, count: int) -> Indices:
    """Return how many more samples each mask gets, (M,) int64; they add up to `count`."""
    bunch = min(samples, max(1, -(-count // _MOST_PICKS)))  # samples that a mask takes at once
    more = np.zeros(len(had), np.int64)
    while (remaining := count - int(more.sum())) > 0:
        # How precise the next samples of each mask would be, and how much of each map's error they would remove: (M,).
        noises = [_noise_of_more(had + more, bunch, samples, design.within) for design in designs]
        gains = [design.gain(noise) for design, noise in zip(designs, noises, strict=True)]
        gain = sum(gains, np.zeros(len(had)))
        gain[had + more >= samples] = _EXHAUSTED

        # Take the best mask, and condition every target's covariance on it.
        best = int(gain.argmax())
        for design, noise in zip(designs, noises, strict=True):
            design.add(best, float(noise[best]))
        more[best] += min(bunch, samples - had[best] - more[best], remaining)
    return more


def _noise_of_more(count: Indices, bunch: int, samples: int, within: float | Doubles) -> Doubles:
    """Return the variance of an independent observation worth as much as `bunch` more samples of each mask, (M,).

    A mean over n of N samples has an error of variance ``within · (1/n − 1/N)``. Precisions add up, so that of the
    additional observation is the precision with the samples less the precision without them.
    """
    if samples == 1:
        return np.zeros(len(count))
    after = np.minimum(count + bunch, samples)
    error_after = within * (1 / after - 1 / samples)
    error_before = np.where(count > 0, within * (1 / np.maximum(count, 1) - 1 / samples), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = 1 / (1 / error_after - 1 / error_before)
    return np.where(error_after > 0, noise, 0.0)
