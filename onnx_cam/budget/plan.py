"""Which masks to score next.

The map's error is ``Σ δ_m A_m``, δ the errors of the weights. A pass tells not only of its own mask but of all masks
near it, and an error along the map itself changes its scale alone. So the next pass goes where it takes most off the
expected squared error of the map, orthogonally to the map found so far (a greedy A-optimal design). A first part is
chosen before any score is known, the rest in rounds, each with the regression of all scores before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.features import Channels
from onnx_cam.budget.kernel import Kernel
from onnx_cam.budget.observations import Observations, samples_of
from onnx_cam.budget.regression import Regression

__all__ = ["SMALLEST_PLAN", "growing_rounds", "next_passes", "round_sizes"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

SMALLEST_PLAN = 8
"""Passes below which there is nothing to regress on: an image with no more masks is scored exactly."""

_FIRST = 0.3  # of the budget
_ROUNDS = 4
_FIRST_TRY, _GROWTH = 0.02, 1.4
_PICKS = 400  # at most, in a round of many samples: a mask takes several at once
_GUESS = Kernel(length=1.0, variance=1.0, linear=0.3, own=0.2)


def round_sizes(budget: int) -> tuple[int, ...]:
    """Return how many passes each round has: a third before any score is known, the rest in four equal rounds.

    Parameters
    ----------
    budget : int
        Passes in all, ≥ 1.

    Returns
    -------
    tuple of int
        Each ≥ 1; the sum is the budget.
    """
    first = min(budget, max(SMALLEST_PLAN, round(_FIRST * budget)))
    rest = budget - first
    ends = [rest * i // _ROUNDS for i in range(_ROUNDS + 1)]
    return (first, *(size for size in np.diff(ends).tolist() if size))


def growing_rounds(inputs: int) -> Iterator[int]:
    """Yield how many passes each round has where it is not known how many it will take: 2 %, then 40 % more each time.

    Parameters
    ----------
    inputs : int
        Of an exact map.
    """
    had = max(SMALLEST_PLAN, round(_FIRST_TRY * inputs))
    yield had
    while True:
        more = max(1, round((_GROWTH - 1) * had))
        yield more
        had += more


def next_passes(
    channels: Channels,
    observations: Observations,
    count: int,
    regressions: Sequence[Regression] = (),
    *,
    seed: int = 0,
) -> tuple[Indices, Indices]:
    """Return the passes that take most off the maps' expected errors: a function of the arguments alone.

    Parameters
    ----------
    channels : Channels
    observations : Observations
        The passes so far; none at first.
    count : int
        How many more, ≥ 0; fewer are returned where fewer are left.
    regressions : sequence of Regression
        Of these observations, one for each target; the targets' errors count alike, as shares of what they are now.
        Without any, the masks alone decide.
    seed : int
        Orders the samples.

    Returns
    -------
    mask, sample : ndarray of shape (count,), int64
        No pair twice, and none of those so far.
    """
    had = observations.counts(channels.count)
    samples = observations.samples
    count = min(count, channels.count * samples - len(observations.mask))
    states = [_after(channels, each) for each in regressions] or [_before(channels)]
    more = _greedy([_Design(state, max(count, 1)) for state in states], had, samples, count)
    masks = np.flatnonzero(more)
    return samples_of(masks, had[masks], more[masks], samples, seed)


@dataclass(frozen=True)
class _State:
    """What is known of one target's scores.

    Attributes
    ----------
    covariance : ndarray of shape (M, M), float64
        Of the masks' scores.
    leverage : ndarray of shape (M, r), float64
        What one unit of a mask's score adds to the part of the map that matters.
    within : float or ndarray of shape (M,), float64
        Variance of one sample about its mask's mean.
    """

    covariance: Floats
    leverage: Floats
    within: float | Floats


def _before(channels: Channels) -> _State:
    covariance = _GUESS.among(channels.pairs)
    return _State(covariance, channels.leverage, _GUESS.own)


def _after(channels: Channels, regression: Regression) -> _State:
    """Return the state with scores: on their own scale by each one's mean slope, and across the map so far."""
    spread = np.sqrt(np.maximum(np.diag(regression.covariance), 0))
    slope = np.divide(regression.deviation, spread, out=np.zeros_like(spread), where=spread > 0)
    found = regression.weights @ channels.leverage  # (r,)
    length = np.linalg.norm(found)
    direction = found / length if length > 0 else found
    across = channels.leverage - np.outer(channels.leverage @ direction, direction)
    return _State(regression.covariance, across * slope[:, None], regression.observed.within(regression.mean))


class _Design:
    """One target's expected error, as passes are added: Σ becomes what remains after each."""

    def __init__(self, state: _State, most: int) -> None:
        self.state = state
        self.effect = state.covariance @ state.leverage  # (M, r): Σ F
        self.variance = np.diag(state.covariance).copy()
        self.floor = 1e-12 * max(float(self.variance.max(initial=0.0)), 1e-300)
        self.error = max(float(np.vdot(state.leverage, self.effect)), 1e-300)  # trace of Fᵀ Σ F
        self.steps = np.zeros((most, len(self.variance)))  # what was taken off Σ: its factor's rows
        self.used = 0

    def gain(self, noise: Floats) -> Floats:
        """Return how much of the error each mask would take off, (M,): ``‖(Σ F)_m‖² / (Σ_mm + noise_m)``."""
        return np.asarray((self.effect**2).sum(axis=1) / (self.variance + noise + self.floor) / self.error)

    def add(self, mask: int, noise: float) -> None:
        """Condition Σ on one more observation of a mask."""
        known = self.steps[: self.used]
        column = self.state.covariance[:, mask] - known.T @ known[:, mask]
        taken = column / np.sqrt(self.variance[mask] + noise + self.floor)
        self.steps[self.used] = taken
        self.used += 1
        self.variance = np.maximum(self.variance - taken**2, 0)
        self.effect -= np.outer(taken, taken @ self.state.leverage)


def _greedy(designs: list[_Design], had: Indices, samples: int, count: int) -> Indices:
    """Return how many more samples each mask gets, (M,) int64."""
    bunch = min(samples, max(1, -(-count // _PICKS)))
    more = np.zeros(len(had), np.int64)
    while (left := count - int(more.sum())) > 0:
        noises = [_noise_of_more(had + more, bunch, samples, each.state.within) for each in designs]
        gain = sum((each.gain(noise) for each, noise in zip(designs, noises, strict=True)), np.zeros(len(had)))
        gain[had + more >= samples] = -1
        best = int(gain.argmax())
        for each, noise in zip(designs, noises, strict=True):
            each.add(best, float(noise[best]))
        more[best] += min(bunch, samples - had[best] - more[best], left)
    return more


def _noise_of_more(count: Indices, bunch: int, samples: int, within: float | Floats) -> Floats:
    """Return the variance of an independent observation worth as much as `bunch` more samples of each mask, (M,)."""
    after = np.minimum(count + bunch, samples)
    error_after = within * (1 / after - 1 / samples)
    error_before = np.where(count > 0, within * (1 / np.maximum(count, 1) - 1 / samples), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = 1 / (1 / error_after - 1 / error_before)
    return np.where(error_after > 0, noise, 0.0)
