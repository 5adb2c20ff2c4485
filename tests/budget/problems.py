"""Synthetic problems without a model: maps of blobs, and scores that are a smooth function of the masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.features import Channels, describe_channels
from onnx_cam.budget.observations import Observations
from onnx_cam.budget.plan import next_passes, round_sizes
from onnx_cam.budget.regression import Regression, regress
from onnx_cam.runtime.masks import Masking, normalised

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """The channels of an image, and the score of each mask and sample, (M, N)."""

    channels: Channels
    scores: Floats
    baseline: float

    @property
    def exact(self) -> Floats:
        return np.asarray(np.maximum((self.scores.mean(axis=1) - self.baseline) @ self.channels.maps, 0))

    @property
    def equal(self) -> Floats:
        return np.asarray(self.channels.maps.sum(axis=0))


def maps_of(seed: int, count: int = 200, side: int = 7) -> NDArray[np.float32]:
    """Return ReLU-like maps of a few blobs each, (count, side, side)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    maps = np.zeros((count, side, side))
    for _ in range(3):
        at = rng.uniform(0, side, (count, 2, 1, 1))
        maps += rng.exponential(1, (count, 1, 1)) * np.exp(-((y - at[:, 0]) ** 2 + (x - at[:, 1]) ** 2) / 4)
    return np.asarray(np.maximum(maps - 0.1, 0), np.float32)


def problem_of(seed: int, samples: int = 1, individual: float = 0.15, count: int = 200, side: int = 7) -> Problem:
    """Return a problem whose log-odds add a smooth function of the mask, an individual part, and field effects."""
    rng = np.random.default_rng(1000 + seed)
    maps = maps_of(seed, count, side)
    masks = normalised(maps, (224, 224), Masking())
    channels = describe_channels(maps, masks)
    points = masks[channels.representatives].reshape(channels.count, -1).astype(np.float64)
    directions = rng.standard_normal((points.shape[1], 3)) / 4
    smooth = 3 * np.tanh(points @ directions).sum(axis=1)
    smooth += individual * rng.standard_normal(channels.count)
    fields = 0.3 * rng.standard_normal(samples) + points @ rng.standard_normal((points.shape[1], samples)) / 10
    values = smooth[:, None] - 1 + (fields if samples > 1 else 0)
    return Problem(channels, 1 / (1 + np.exp(-values)), 0.01)


def run(problem: Problem, budget: int, seed: int = 0) -> tuple[Observations, Regression]:
    """Spend the budget in rounds, as the methods do."""
    observed = Observations.none(samples=problem.scores.shape[1])
    for size in round_sizes(budget):
        before = [regress(problem.channels, observed, baseline=problem.baseline)] if len(observed.mask) else []
        mask, sample = next_passes(problem.channels, observed, size, before, seed=seed)
        observed = observed.joined(mask, sample, problem.scores[mask, sample][:, None])
    return observed, regress(problem.channels, observed, baseline=problem.baseline)
