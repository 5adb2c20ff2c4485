"""Blocks of inputs on one session: cut into runs, several at once, and runs that fail repeated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.runtime.batch_size import BatchSize
from onnx_cam.runtime.concurrent_runs import ConcurrentRuns, EndedRun
from onnx_cam.runtime.score_session import ScoreSession, TimedScores

__all__ = ["Block", "BlockRun", "even_size"]

Doubles = NDArray[np.float64]

_PATIENCE = 0.25  # seconds between two calls of what is to be called while a run lasts
_FULL_ENOUGH = 0.75  # of a batch: the more steps share a map's mask the better, but not at the price of small batches


@dataclass(frozen=True)
class Block:
    """A rectangle of a grid: some units at some steps, and their scores (m, n, T) once they are there.

    Attributes
    ----------
    units, steps : slice
    scores : ndarray of shape (m, n, T), float64
    has_failed : bool
        Whether a run of it failed.
    """

    units: slice
    steps: slice
    scores: Doubles = field(default_factory=lambda: np.zeros(0))
    has_failed: bool = False

    @property
    def size(self) -> int:
        """How many inputs it has."""
        return int((self.units.stop - self.units.start) * (self.steps.stop - self.steps.start))

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
            rest.append(replace(self, steps=slice(steps.stop, self.steps.stop)))
        if m < count:
            rest.append(replace(self, units=slice(units.stop, self.units.stop), steps=steps))
        return replace(self, units=units, steps=steps), rest


@dataclass(frozen=True)
class _Cut:
    """A block to be run, and the batch size that it was cut for."""

    block: Block
    batch_size: int


def _most_steps_a_run(steps: int, size: int) -> int:
    """Return the most steps a run, of those that divide all steps evenly and leave a batch of `size` nearly full."""
    divisors = [n for n in range(1, min(size, steps) + 1) if steps % n == 0]
    return max(n for n in divisors if n * (size // n) >= _FULL_ENOUGH * size)


def even_size(inputs: int, batch_size: int, streams: int) -> int:
    """Return how many inputs each run takes: fewer than a batch where all streams then end at once.

    One stream takes full batches.

    Examples
    --------
    >>> even_size(10, 4, streams=2), even_size(10, 4, streams=1)
    (3, 4)
    """
    if streams == 1:
        return batch_size
    runs = streams * -(-inputs // (streams * batch_size))
    return -(-inputs // runs)


def _is_sound(run: EndedRun[_Cut]) -> bool:
    """Whether a run gave scores, and numbers."""
    return run.result is not None and bool(np.isfinite(run.result.scores).all())


@dataclass(frozen=True)
class BlockRun(ABC):
    """Inputs in a table of units × steps on one session; what an input is, a subclass says.

    Attributes
    ----------
    session : ScoreSession
        Bound to the image.
    failures : list of str
        Takes the messages of runs that failed and were repeated.
    """

    session: ScoreSession
    failures: list[str]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """The units and the steps of the table."""

    @property
    @abstractmethod
    def steps_a_run(self) -> int | None:
        """How many steps each run takes; None where any number will do."""

    @abstractmethod
    def run_block(self, block: Block, batch_size: int) -> TimedScores:
        """Run a block of m units at n steps: the scores are (m, n, T). Several threads call it at once."""

    @abstractmethod
    def not_finite(self, unit: int, step: int) -> str:
        """Return the message for an input whose score is NaN or infinite."""

    def inputs_a_run(self, batch_size: int, remaining: int, streams: int) -> int:
        """Return how many inputs a run takes at most.

        Parameters
        ----------
        batch_size : int
        remaining : int
            How many inputs are still to be run.
        streams : int
            How many runs share them; 1 while batch size and spread are measured.
        """
        return even_size(remaining, batch_size, streams)

    def blocks(self, batch: BatchSize, while_waiting: Callable[[], None] | None = None) -> Iterator[Block]:
        """Score all inputs, and yield it block by block, in the order in which their runs end.

        As many blocks run at once as the session's spread has streams. A block that failed is tried once more, in
        halves where memory ran out.

        Parameters
        ----------
        batch : BatchSize
            How many inputs a run takes; it learns from each run.
        while_waiting : callable, optional
            Called four times a second while a run lasts; what it raises ends the runs that are under way.

        Raises
        ------
        OutOfMemoryError
            A single input does not fit.
        ScoreError
            A run failed twice, or a score is NaN or infinite.
        """
        remaining = [Block(slice(0, self.shape[0]), slice(0, self.shape[1]))]
        sizes: dict[tuple[int, int], int] = {}  # of a run, for a batch size and a number of streams

        def take() -> _Cut | None:
            """Cut as much off the last block as a batch takes: units × steps inputs."""
            if not remaining:
                return None
            conditions = batch.size, self._measured_streams(batch)
            if conditions not in sizes:
                inputs = sum(block.size for block in remaining)
                sizes[conditions] = self.inputs_a_run(batch.size, inputs, conditions[1])
            block, rest = remaining.pop().cut(sizes[conditions], self.steps_a_run)
            remaining.extend(rest)
            return _Cut(block, batch.size)

        with ConcurrentRuns[_Cut](self.session, take, self._run) as runs:
            while remaining or runs.is_busy:
                # Keep every stream busy, and take the scores of the runs that have ended.
                runs.start()
                ended = self._finished(runs, while_waiting)
                for run in ended:
                    self._learn_from(run, batch)
                # Where one failed, or another spread is to be taken, let the others end what they began.
                if not all(map(_is_sound, ended)) or self._should_change_spread(remaining, batch):
                    ended += runs.drained()
                yield from self._scored(ended)
                # Run again what failed.
                failed = [run for run in ended if run.error is not None]
                if failed:
                    remaining += self._to_repeat(failed, batch)
                    self.session.reopen(out_of_memory=any(isinstance(run.error, OutOfMemoryError) for run in failed))
                elif self.session.spread != self.session.spreads.current:
                    self.session.follow_spread()

    def _finished(self, runs: ConcurrentRuns[_Cut], while_waiting: Callable[[], None] | None) -> list[EndedRun[_Cut]]:
        """Return the runs that have ended since, one of them at least."""
        if while_waiting is None:
            return runs.finished()
        while not (ended := runs.finished(_PATIENCE)):
            while_waiting()
        return ended

    def _scored(self, ended: Sequence[EndedRun[_Cut]]) -> list[Block]:
        """Return the blocks of runs that gave scores.

        Raises
        ------
        ScoreError
            A score is NaN or infinite: of several the first is named.
        """
        blocks = [replace(run.task.block, scores=run.result.scores) for run in ended if run.result is not None]
        for block in sorted(blocks, key=lambda one: (one.units.start, one.steps.start)):
            self._check(block)
        return blocks

    def _learn_from(self, run: EndedRun[_Cut], batch: BatchSize) -> None:
        """Let batch size and spread learn from a run that was full."""
        if run.result is None or run.task.batch_size != batch.size:
            return
        scores, seconds = run.result.scores, run.result.seconds
        inputs, full = scores[..., 0].size, len(scores) == max(1, batch.size // scores.shape[1])
        if batch.settled and full:
            self.session.spreads.ran(run.result.spread, inputs, seconds)
        batch.ran(inputs, seconds, full=full)

    def _to_repeat(self, failed: Sequence[EndedRun[_Cut]], batch: BatchSize) -> list[Block]:
        """Return the blocks of runs that failed, to be run once more; with less at once where memory ran out.

        Raises
        ------
        ScoreError
            One of them failed before, and no less can be run at once.
        """
        errors = [run.error for run in failed if run.error is not None]
        for error in errors:
            if not isinstance(error, ScoreError):
                raise error
        out_of_memory = any(isinstance(error, OutOfMemoryError) for error in errors)
        is_less = out_of_memory and (batch.halve() or self.session.spreads.halve())
        blocks = []
        for run, error in zip(failed, errors, strict=True):
            if run.task.block.has_failed and not is_less:
                raise error
            blocks.append(replace(run.task.block, has_failed=not is_less))
            self.failures.append(str(error))
            # Its traceback holds on to the session, whose memory is to be freed.
            error.__traceback__ = error.__cause__ = error.__context__ = None
        return blocks

    def _should_change_spread(self, remaining: Sequence[Block], batch: BatchSize) -> bool:
        """Whether another spread was chosen, or is worth a try with the inputs that remain."""
        spreads = self.session.spreads
        if spreads.next is not None and batch.settled:
            spreads.try_next(sum(block.size for block in remaining), self.session.load_seconds)
        return self.session.spread != spreads.current

    def _measured_streams(self, batch: BatchSize) -> int:
        """Return the number of streams; 1 while something is measured, and of a batch size that is fixed or requested.

        Both take full batches.
        """
        is_measured = batch.settled and self.session.spreads.settled
        return self.session.spread.streams if is_measured and not batch.is_requested else 1

    def _run(self, cut: _Cut) -> TimedScores:
        return self.run_block(cut.block, cut.batch_size)

    def _check(self, block: Block) -> None:
        """Name the first input of a block whose score is NaN or infinite."""
        bad = np.argwhere(~np.isfinite(block.scores).all(axis=2))
        if len(bad):
            raise ScoreError(self.not_finite(block.units.start + int(bad[0, 0]), block.steps.start + int(bad[0, 1])))
