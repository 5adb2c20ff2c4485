"""A piece of work for the engine: its progress, its result, its end before time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from onnx_cam.runtime.scorer import Progress
from onnx_cam.server.folders import NO_FOLDERS, Folders
from onnx_cam.server.problems import Problem, as_problem

__all__ = ["Event", "Job", "Progressed", "Waiting", "Work"]

Work: TypeAlias = Callable[[Progress], bytes]
"""Work that calls its argument with the forward passes done and planned, and returns the answer."""

_REPORT_EVERY = 0.1  # seconds
_PACE_OVER = 5.0  # seconds
_PATIENCE = 2.0  # seconds beyond the time limit: a single long run ends only by itself


@dataclass(frozen=True)
class Waiting:
    """The job waits.

    Attributes
    ----------
    position : int
        How many jobs are before it, the one that is worked on included.
    """

    position: int


@dataclass(frozen=True)
class Progressed:
    """The model has worked on the job.

    Attributes
    ----------
    done, total : int
        Forward passes.
    seconds_left : float or None
        An estimate from the pace of the last seconds; None while there is none.
    """

    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True)
class _Finished:
    content: bytes


@dataclass(frozen=True)
class _Failed:
    problem: Problem


Event: TypeAlias = Waiting | Progressed
"""What happens to a job before it ends."""


class Job:
    """A piece of work: made and watched in the event loop, run by the engine's thread, ended early by either.

    Parameters
    ----------
    work : callable
        Called with a progress callback, which raises where the job is to end.
    seconds : float
        How long it may be worked on.
    folders : Folders
        What no error of it names.
    """

    def __init__(self, work: Work, seconds: float, folders: Folders = NO_FOLDERS) -> None:
        self._work = work
        self._seconds = seconds
        self._folders = folders
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | _Finished | _Failed] = asyncio.Queue()
        self._end: Problem | None = None
        self._started: float | None = None
        self._reported = 0.0
        self._pace = _Pace()

    @property
    def seconds(self) -> float:
        """How long it has been worked on."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    # --- in the engine's thread

    def run(self) -> None:
        """Do the work, and tell how it went."""
        self._started = time.monotonic()
        try:
            self._report(0, 0)
            self._tell(_Finished(self._work(self._report)))
        except Exception as error:
            problem = as_problem(error)
            self._tell(_Failed(Problem(problem.status, self._folders.without(problem.message), problem.headers)))

    def _report(self, done: int, total: int) -> None:
        """Tell the progress; end the work where it is to end."""
        if self.seconds > self._seconds:
            self.stop(self._too_long())
        if self._end is not None:
            raise self._end.with_traceback(None)
        if not total:
            return
        now = time.monotonic()
        self._pace.record(now, done)
        if now - self._reported >= _REPORT_EVERY or done == total:
            self._reported = now
            self._tell(Progressed(done, total, self._pace.seconds_for(total - done)))

    # --- in any thread

    def stop(self, problem: Problem) -> None:
        """End the job before time; whoever waits for it learns so at once."""
        if self._end is None:
            self._end = problem
            self._tell(_Failed(problem))

    def tell_position(self, position: int) -> None:
        """Tell how many jobs are before this one."""
        self._tell(Waiting(position))

    def _tell(self, event: Event | _Finished | _Failed) -> None:
        with suppress(RuntimeError):  # the event loop is closed: the process ends, and nobody waits
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    # --- in the event loop

    async def events(self, every: float) -> AsyncIterator[Event | None]:
        """Yield what happens to the job until it has a result; None where nothing happened for `every` seconds.

        Raises
        ------
        Problem
            It failed, or was stopped.
        """
        while True:
            try:
                async with asyncio.timeout(every):
                    event = await self._events.get()
            except TimeoutError:
                if self.seconds > self._seconds + _PATIENCE:
                    self.stop(self._too_long())
                yield None
                continue
            if isinstance(event, _Finished):
                self.content = event.content
                return
            if isinstance(event, _Failed):
                raise event.problem
            yield event

    def _too_long(self) -> Problem:
        return Problem(
            504,
            f"the map was not ready after {self._seconds:g} s, the time limit of this server; use a budget, fewer "
            "samples or a gradient method",
        )


class _Pace:
    """How long the remaining passes will take, from those of the last seconds."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def record(self, now: float, done: int) -> None:
        self._counts.append((now, done))
        while now - self._counts[0][0] > _PACE_OVER and len(self._counts) > 2:
            self._counts.popleft()

    def seconds_for(self, passes: int) -> float | None:
        (first, before), (last, done) = self._counts[0], self._counts[-1]
        return None if done <= before else max(0.0, passes * (last - first) / (done - before))
