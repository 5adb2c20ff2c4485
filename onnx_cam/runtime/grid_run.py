"""A grid of inputs, cut into the runs of a score graph, and what to do when a run fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.runtime.batch_size import BatchSize
from onnx_cam.runtime.masks import normalised
from onnx_cam.runtime.schedule import Grid, Schedule
from onnx_cam.runtime.score_session import ScoreSession
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["Block", "GridRun"]

Floats = NDArray[np.float32]

_FULL_ENOUGH = 0.75  # of a batch: the more steps share a map's mask the better, but not at the price of small batches


@dataclass(frozen=True)
class Block:
    """Some units of a grid at some of its steps, and their scores (m, n, T) once they are known."""

    units: slice
    steps: slice
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def cut(self, size: int, at_once: int | None) -> tuple[Block, list[Block]]:
        """Return a part of at most `size` inputs, and what is left: more units of the same steps last."""
        count, width = self.units.stop - self.units.start, self.steps.stop - self.steps.start
        n = at_once or _steps_a_run(width, size)
        m = min(count, max(1, size // n))
        units = slice(self.units.start, self.units.start + m)
        steps = slice(self.steps.start, self.steps.start + n)
        left = []
        if n < width:
            left.append(Block(self.units, slice(steps.stop, self.steps.stop)))
        if m < count:
            left.append(Block(slice(units.stop, self.units.stop), steps))
        return Block(units, steps), left


def _steps_a_run(steps: int, size: int) -> int:
    """Return the most steps a run, of those that divide all steps evenly and leave a batch of `size` nearly full."""
    divisors = [n for n in range(1, min(size, steps) + 1) if steps % n == 0]
    return max(n for n in divisors if n * (size // n) >= _FULL_ENOUGH * size)


@dataclass(frozen=True)
class GridRun:
    """One grid on one session: blocks of it to the score graph's inputs, and what to do when a run fails."""

    session: ScoreSession
    schedule: Schedule
    grid: Grid
    kind: ScoreKind
    fields: Floats | None
    size: tuple[int, int]
    image_name: str
    failures: list[str]

    def blocks(self, batch: BatchSize) -> Iterator[Block]:
        """Score the grid block by block; a block that failed is tried again, in halves where memory ran out."""
        left = [Block(slice(0, self.grid.shape[0]), slice(0, self.grid.shape[1]))]
        failed = False
        while left:
            whole = left.pop()
            block, others = whole.cut(batch.size, self._steps_at_once)
            started = time.perf_counter()
            try:
                scores = self._scores(block, batch)
                failed = False
            except ScoreError as error:
                tight = isinstance(error, OutOfMemoryError)
                halved = tight and batch.halve()
                if failed and not halved:
                    raise
                failed = failed or not halved
                scores = None
                self.failures.append(str(error))
            if scores is None:  # here, where the error's traceback no longer holds on to the session
                self.session.reopen(tight=tight)
                left.append(whole)
                continue
            full = len(scores) == max(1, batch.size // scores.shape[1])
            batch.ran(scores[..., 0].size, time.perf_counter() - started, full=full)
            left += others
            self._check(scores, block)
            yield replace(block, scores=scores)

    @property
    def _steps_at_once(self) -> int | None:
        """One, where each input has a map of its own, or the batch is fixed; any number else."""
        return 1 if self.schedule.noise == "map" or self.session.fixed_batch else None

    def _scores(self, block: Block, batch: BatchSize) -> NDArray[np.float64]:
        fields = None if self.fields is None else self.fields[block.steps]
        if fields is not None and self.session.noise != "none":
            self.session.bind_fields(fields)
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite score is found by _check
            maps, settings = self._masks(block, fields)
            steps = block.steps.stop - block.steps.start
            full = min(max(1, batch.size // steps), self.grid.shape[0])
            return self.session.run(self.kind, maps, steps, **settings, full=full)

    def _masks(self, block: Block, fields: Floats | None) -> tuple[Floats, dict[str, Floats]]:
        """Return normalised maps (m, h, w), and their scale or deviation."""
        factor = self.grid.factor[block.units]
        deviation = self.grid.deviation[block.units].astype(np.float32)
        maps = self.schedule.maps[np.maximum(self.grid.channel[block.units], 0)]  # any, where the factor is 0
        if self.schedule.noise == "map" and fields is not None:
            maps = maps + deviation[:, None, None] * fields
        maps = normalised(maps, self.size, self.schedule.masking)
        if self.session.noise == "none":
            return maps, {"scale": np.outer(factor, self.grid.path[block.steps]).astype(np.float32)}  # (m, n)
        return maps * factor[:, None, None].astype(np.float32), {"deviation": deviation}

    def _check(self, scores: NDArray[np.float64], block: Block) -> None:
        bad = np.argwhere(~np.isfinite(scores).all(axis=2))
        if len(bad):
            unit, step = block.units.start + int(bad[0, 0]), block.steps.start + int(bad[0, 1])
            channel, sample = int(self.grid.channel[unit]), int(self.grid.fields[step])
            names = self.schedule.channels
            which = "the blank mask" if channel < 0 else f"channel {channel if names is None else names[channel]}"
            sample += self.schedule.first_step if sample >= 0 else 0
            raise ScoreError(
                f"the model's score is NaN or infinite for {which}{f', sample {sample}' if sample >= 0 else ''} of "
                f"{self.image_name} (a mask times {self.grid.factor[unit] * self.grid.path[step]:.3g}, noise of "
                f"{self.grid.deviation[unit]:.3g}); expected finite scores: "
                "try a smaller --sigma, another --layer, or check the model"
            )
