"""The engine: every input ``M_{k,i} = X ⊙ (c_i · H_k + m_i) + e_i`` of a schedule, scored in batches.

A method says *what* is scored, by a :class:`Schedule`; how the inputs are made and run is decided here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ScoreError
from onnx_cam.runtime.masks import Masking, is_dead, masks, upsample
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["NoiseSpace", "Progress", "Schedule", "Scorer", "noise_field"]

Floats = NDArray[np.float32]
NoiseSpace = Literal["none", "map", "mask", "input"]
Progress = Callable[[int, int], None]
"""Called with the passes done and the passes known to be needed."""

_CHUNK = 16  # maps whose masks are held at once


@dataclass(frozen=True)
class Schedule:
    """What is scored: one input for each of K maps at each of N steps.

    Attributes
    ----------
    maps : ndarray of shape (K, h, w), float32
        The activation maps.
    scale : ndarray of shape (K, N), float64
        ``c``, the factor of the mask.
    noise : {"none", "map", "mask", "input"}
        What the noise is added to: the activation map before upsampling, the mask (m_i), or the masked image (e_i).
    deviation : ndarray of shape (K,), float64
        The noise's standard deviation for each channel.
    masking : Masking
        How a map becomes a mask.
    score_dead : bool
        Whether dead maps are scored, with mask 0 and one pass a step for all of them; else their scores are 0.
    """

    maps: Floats
    scale: NDArray[np.float64]
    noise: NoiseSpace = "none"
    deviation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    masking: Masking = field(default_factory=Masking)
    score_dead: bool = False


@dataclass(frozen=True)
class _Rows:
    """Distinct inputs, channel by channel: all arrays have shape (R,)."""

    channel: NDArray[np.int64]  # -1: mask 0
    step: NDArray[np.int64]  # -1: no noise
    scale: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.channel)

    def __getitem__(self, part: slice) -> _Rows:
        return _Rows(self.channel[part], self.step[part], self.scale[part], self.deviation[part])


class Scorer:
    """Scores the inputs of schedules for one image.

    Parameters
    ----------
    score : callable
        ``(images (B, C, H, W) float32, kind) -> (B, classes) float64``.
    image : ndarray of shape (C, H, W), float32
        X, in network-input space.
    targets : sequence of int
        The T classes whose scores are kept: all come from the same passes.
    baseline : ndarray of shape (C, H, W), float32
        X_b.
    seed : int
        Of the noise: the field of a step depends on the seed and the step alone.
    batch_size : int
        Inputs a run.
    progress : callable, optional

    Attributes
    ----------
    batch_size : int
        As given.
    passes, passes_skipped : int
        Inputs run so far, and inputs asked for that needed no run: dead maps, and inputs equal to another.
    """

    def __init__(
        self,
        score: Callable[[Floats, ScoreKind], NDArray[np.float64]],
        image: Floats,
        targets: Sequence[int],
        baseline: Floats,
        *,
        seed: int,
        batch_size: int,
        progress: Progress | None = None,
    ) -> None:
        self._score = score
        self.image = image
        self._targets = list(targets)
        self._baseline = baseline
        self._seed = seed
        self.batch_size = batch_size
        self._progress = progress
        self._fields: dict[tuple[int, tuple[int, ...]], Floats] = {}
        self.passes = 0
        self.passes_skipped = 0

    @property
    def target_count(self) -> int:
        """T."""
        return len(self._targets)

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)`` of the network's input."""
        return self.image.shape[1], self.image.shape[2]

    def baseline(self, kind: ScoreKind) -> NDArray[np.float64]:
        """Return ``f^c(X_b)``, shape (T,)."""
        self.passes += 1
        scores = self._score(self._baseline[None], kind)[0, self._targets]
        if not np.isfinite(scores).all():
            raise ScoreError("the model's score of the baseline image is NaN or infinite; choose another --baseline")
        return scores

    def score(self, schedule: Schedule, kind: ScoreKind) -> NDArray[np.float64]:
        """Score every input of a schedule.

        Parameters
        ----------
        schedule : Schedule
        kind : {"probability", "logit"}

        Returns
        -------
        ndarray of shape (K, N, T), float64
            0 for dead maps that are not to be scored.

        Raises
        ------
        ScoreError
            A score is NaN or infinite: the channel and the step are named.
        """
        rows, which, asked = _distinct_rows(schedule)
        scores = np.zeros((len(rows), len(self._targets)))
        planned = self.passes + len(rows)
        for start in range(0, len(rows), self.batch_size):
            part = slice(start, start + self.batch_size)
            with np.errstate(over="ignore", invalid="ignore"):  # an infinite score is found just below
                inputs = self._inputs(schedule, rows[part])
            scores[part] = _finite(self._score(inputs, kind)[:, self._targets], rows[part])
            self.passes += len(inputs)
            if self._progress:
                self._progress(self.passes, planned)
        self.passes_skipped += schedule.scale.size - len(rows)
        table = np.zeros((*schedule.scale.shape, len(self._targets)))
        table[asked] = scores[which]
        return table

    def masked_spread(self, maps: Floats, masking: Masking) -> NDArray[np.float64]:
        """Return max − min of ``X ⊙ H_k`` for each map, shape (K,); 0 for a dead one."""
        dead = is_dead(maps)
        spread = np.zeros(len(maps))
        for k in np.flatnonzero(~dead):
            masked = self.image * masks(maps[k : k + 1], self.size, masking)
            spread[k] = masked.max() - masked.min()
        return spread

    def upsampled_spread(self, maps: Floats) -> NDArray[np.float64]:
        """Return max − min of ``U(A_k)`` for each map, shape (K,)."""
        parts = [upsample(maps[start : start + _CHUNK], self.size) for start in range(0, len(maps), _CHUNK)]
        return np.concatenate([part.max(axis=(1, 2)) - part.min(axis=(1, 2)) for part in parts]).astype(np.float64)

    def _inputs(self, schedule: Schedule, rows: _Rows) -> Floats:
        mask = self._masks(schedule, rows) * rows.scale.astype(np.float32)[:, None, None]  # (B, H, W)
        if schedule.noise == "mask":
            mask += self._noise(rows, self.size)
        inputs: Floats = self.image * mask[:, None]  # (B, C, H, W)
        if schedule.noise == "input":
            inputs += self._noise(rows, self.image.shape)
        return inputs

    def _masks(self, schedule: Schedule, rows: _Rows) -> Floats:
        made = np.zeros((len(rows), *self.size), np.float32)
        live = rows.channel >= 0
        if not live.any():
            return made
        if schedule.noise == "map":  # every step has a mask of its own
            noisy = schedule.maps[rows.channel] + self._noise(rows, schedule.maps.shape[1:])
            made[live] = masks(noisy[live], self.size, schedule.masking)
        else:
            channels, where = np.unique(rows.channel[live], return_inverse=True)
            made[live] = masks(schedule.maps[channels], self.size, schedule.masking)[where]
        return made

    def _noise(self, rows: _Rows, shape: tuple[int, ...]) -> Floats:
        noise = np.zeros((len(rows), *shape), np.float32)
        for row in np.flatnonzero(rows.step >= 0):
            noise[row] = np.float32(rows.deviation[row]) * self._field(int(rows.step[row]), shape)
        return noise

    def _field(self, step: int, shape: tuple[int, ...]) -> Floats:
        key = (step, shape)
        if key not in self._fields:
            self._fields[key] = noise_field(self._seed, step, shape)
        return self._fields[key]


def noise_field(seed: int, step: int, shape: tuple[int, ...]) -> Floats:
    """Return a field of the standard normal distribution, float32: a function of its arguments alone."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, step], np.uint64)))
    return generator.standard_normal(shape, np.float32)


def _distinct_rows(schedule: Schedule) -> tuple[_Rows, NDArray[np.int64], NDArray[np.bool_]]:
    """Return the inputs that differ, which of them each one asked for is, and which (k, i) are asked for."""
    dead = is_dead(schedule.maps)
    steps = schedule.scale.shape[1]
    asked = np.repeat((~dead | schedule.score_dead)[:, None], steps, axis=1)  # (K, N)
    channel, step = np.nonzero(asked)
    scale = schedule.scale[asked]
    noisy = schedule.noise != "none"
    deviation = schedule.deviation[channel] if noisy else np.zeros(len(channel))
    blank = dead[channel] | (scale == 0)
    if schedule.noise == "map":
        deviation = np.where(blank, 0, deviation)
    keys = np.stack(
        [np.where(blank, -1, channel), np.where(deviation > 0, step, -1), np.where(blank, 0, scale), deviation], axis=1
    )
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    rows = _Rows(distinct[:, 0].astype(np.int64), distinct[:, 1].astype(np.int64), distinct[:, 2], distinct[:, 3])
    return rows, which.reshape(-1), asked


def _finite(scores: NDArray[np.float64], rows: _Rows) -> NDArray[np.float64]:
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        channel, step = int(rows.channel[bad[0]]), int(rows.step[bad[0]])
        which = "the blank mask" if channel < 0 else f"channel {channel}"
        sample = f", sample {step}" if step >= 0 else ""
        raise ScoreError(
            f"the model's score is NaN or infinite for {which}{sample}; expected finite scores: "
            "try a smaller --sigma, another --layer, or check the model"
        )
    return scores
