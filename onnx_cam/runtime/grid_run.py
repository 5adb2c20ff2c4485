"""One grid of inputs on one session: cut into runs, and runs that fail repeated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.runtime.batch_size import BatchSize
from onnx_cam.runtime.masks import normalised
from onnx_cam.runtime.schedule import BLANK, NO_FIELD, Grid, Schedule
from onnx_cam.runtime.score_session import ScoreSession
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["Block", "GridRun"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_FULL_ENOUGH = 0.75  # of a batch: the more steps share a map's mask the better, but not at the price of small batches


@dataclass(frozen=True)
class Block:
    """A rectangle of a grid: some units at some steps, and their scores (m, n, T) once they are there."""

    units: slice
    steps: slice
    scores: Doubles = field(default_factory=lambda: np.zeros(0))

    def cut(self, size: int, steps_a_run: int | None) -> tuple[Block, list[Block]]:
        """Cut off a part of at most `size` inputs, and return it with the rest: more units of the same steps last.

        Parameters
        ----------
        size : int
            The batch size.
        steps_a_run : int, optional
            How many steps each run takes; chosen here where any number will do.

        Examples
        --------
        >>> first, rest = Block(slice(0, 10), slice(0, 3)).cut(6, None)
        >>> first.units, first.steps, [block.units for block in rest]
        (slice(0, 2, None), slice(0, 3, None), [slice(2, 10, None)])
        """
        count, width = self.units.stop - self.units.start, self.steps.stop - self.steps.start
        n = steps_a_run or _most_steps_a_run(width, size)
        m = min(count, max(1, size // n))
        units = slice(self.units.start, self.units.start + m)
        steps = slice(self.steps.start, self.steps.start + n)
        rest = []
        if n < width:
            rest.append(Block(self.units, slice(steps.stop, self.steps.stop)))
        if m < count:
            rest.append(Block(slice(units.stop, self.units.stop), steps))
        return Block(units, steps), rest


def _most_steps_a_run(steps: int, size: int) -> int:
    """Return the most steps a run, of those that divide all steps evenly and leave a batch of `size` nearly full."""
    divisors = [n for n in range(1, min(size, steps) + 1) if steps % n == 0]
    return max(n for n in divisors if n * (size // n) >= _FULL_ENOUGH * size)


@dataclass(frozen=True)
class GridRun:
    """One grid on one session.

    Attributes
    ----------
    session : ScoreSession
        Bound to the image.
    schedule : Schedule
        What the grid is a part of.
    grid : Grid
        The inputs to score.
    score_kind : {"probability", "logit"}
    fields : ndarray of shape (n, …), float32, or None
        The offset field of each of the grid's steps, as the score graph takes them (on maps: as they are).
    size : tuple of int
        ``(H, W)``.
    image_name : str
        For messages.
    failures : list of str
        Takes the messages of runs that failed and were repeated.
    """

    session: ScoreSession
    schedule: Schedule
    grid: Grid
    score_kind: ScoreKind
    fields: Floats | None
    size: tuple[int, int]
    image_name: str
    failures: list[str]

    def blocks(self, batch: BatchSize) -> Iterator[Block]:
        """Score the grid, and yield it block by block.

        A block that failed is tried once more, in halves where memory ran out.

        Parameters
        ----------
        batch : BatchSize
            How many inputs a run takes; it learns from each run.

        Raises
        ------
        OutOfMemoryError
            A single input does not fit.
        ScoreError
            A run failed twice, or a score is NaN or infinite.
        """
        remaining = [Block(slice(0, self.grid.shape[0]), slice(0, self.grid.shape[1]))]
        failed_before = False
        while remaining:
            # Cut as much off the last block as a batch takes: units × steps inputs.
            whole = remaining.pop()
            block, rest = whole.cut(batch.size, self._steps_a_run)
            started = time.perf_counter()
            try:
                scores = self._scores(block, batch)  # (m, n, T)
                failed_before = False
            except ScoreError as error:
                out_of_memory = isinstance(error, OutOfMemoryError)
                halved = out_of_memory and batch.halve()
                if failed_before and not halved:
                    raise
                failed_before = failed_before or not halved
                scores = None
                self.failures.append(str(error))
            # Only here does the error's traceback no longer hold on to the session, so that reopening frees its memory.
            if scores is None:
                self.session.reopen(out_of_memory=out_of_memory)
                remaining.append(whole)
                continue
            # The batch size learns from full runs; what the cut left over comes next.
            full = len(scores) == max(1, batch.size // scores.shape[1])
            batch.ran(scores[..., 0].size, time.perf_counter() - started, full=full)
            remaining += rest
            self._check(scores, block)
            yield replace(block, scores=scores)

    @property
    def _steps_a_run(self) -> int | None:
        """One where each input has a map of its own or the batch is fixed; otherwise any number will do."""
        return 1 if self.schedule.offset == "map" or self.session.fixed_batch else None

    def _scores(self, block: Block, batch: BatchSize) -> Doubles:
        """Return the scores of a block, (m, n, T)."""
        fields = None if self.fields is None else self.fields[block.steps]
        if fields is not None and self.session.offset != "none":
            self.session.bind_fields(fields)
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite score is reported by _check
            maps = self._normalised_maps(block, fields)  # (m, h, w)
            steps = block.steps.stop - block.steps.start
            full = min(max(1, batch.size // steps), self.grid.shape[0])
            factor = self.grid.factor[block.units]
            if self.session.offset == "none":
                scale = np.outer(factor, self.grid.path[block.steps]).astype(np.float32)  # (m, n)
                return self.session.run(self.score_kind, maps, steps, scale=scale, full=full)
            maps = maps * factor[:, None, None].astype(np.float32)
            return self.session.run(self.score_kind, maps, steps, offset_scale=self._offset_scale(block), full=full)

    def _normalised_maps(self, block: Block, fields: Floats | None) -> Floats:
        """Return the maps whose upsampling is the block's masks, (m, h, w); any map where the mask is blank."""
        maps = self.schedule.maps[np.maximum(self.grid.channel[block.units], 0)]
        if self.schedule.offset == "map" and fields is not None:
            maps = maps + self._offset_scale(block)[:, None, None] * fields
        return normalised(maps, self.size, self.schedule.masking)

    def _offset_scale(self, block: Block) -> Floats:
        return self.grid.offset_scale[block.units].astype(np.float32)

    def _check(self, scores: Doubles, block: Block) -> None:
        """Name the first input of a block whose score is NaN or infinite."""
        bad = np.argwhere(~np.isfinite(scores).all(axis=2))
        if len(bad):
            unit, step = block.units.start + int(bad[0, 0]), block.steps.start + int(bad[0, 1])
            factor = self.grid.factor[unit] * self.grid.path[step]
            raise ScoreError(
                f"the model's score is NaN or infinite for {self._input_name(unit, step)} of {self.image_name} "
                f"(mask times {factor:.3g}, noise of {self.grid.offset_scale[unit]:.3g}); expected finite scores: "
                "try a smaller --sigma, another --layer, or check the model"
            )

    def _input_name(self, unit: int, step: int) -> str:
        """Return what one input is called in a message: its channel, and its sample where it has an offset."""
        channel, sample = int(self.grid.channel[unit]), int(self.grid.field[step])
        names = self.schedule.channels
        number = channel if names is None else names[channel]
        name = "the blank mask" if channel == BLANK else f"channel {number}"
        return name if sample == NO_FIELD else f"{name}, sample {sample + self.schedule.first_step}"
