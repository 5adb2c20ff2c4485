"""Runs of one session that are under way at once, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

from onnx_cam.errors import ScoreError
from onnx_cam.runtime.score_session import ScoreSession, TimedScores

__all__ = ["ConcurrentRuns", "EndedRun"]

Task = TypeVar("Task")


@dataclass(frozen=True)
class EndedRun(Generic[Task]):
    """A run that has ended.

    Attributes
    ----------
    task : object
        What was to be run, as the caller described it.
    result : TimedScores or None
        Its scores.
    error : ScoreError or None
        Why there are none.
    """

    task: Task
    result: TimedScores | None
    error: ScoreError | None


class ConcurrentRuns(Generic[Task]):
    """A context in which a session runs several batches at once; when it is left early, they are stopped.

    The threads live as long as the context, so that a process may fork before and after it.

    Parameters
    ----------
    session : ScoreSession
        Bound to an image.
    """

    def __init__(self, session: ScoreSession) -> None:
        self._session = session
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: dict[Future[TimedScores], Task] = {}

    def __enter__(self) -> ConcurrentRuns[Task]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks:
            self._session.stop()
        self.close()
        self._tasks.clear()

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way."""
        return bool(self._tasks)

    @property
    def has_room(self) -> bool:
        """Whether another run can start, or be prepared while the others are under way."""
        return len(self._tasks) < self._most

    def start(self, work: Callable[[], TimedScores], task: Task) -> None:
        """Start a run."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="onnx-cam")
        self._tasks[self._pool.submit(work)] = task

    def finished(self) -> list[EndedRun[Task]]:
        """Wait until a run has ended, and return those that have."""
        wait(self._tasks, return_when=FIRST_COMPLETED)
        return [self._ended(future) for future in list(self._tasks) if future.done()]

    def drained(self) -> list[EndedRun[Task]]:
        """Wait until all runs have ended, and return them."""
        wait(self._tasks)
        return [self._ended(future) for future in list(self._tasks)]

    def close(self) -> None:
        """Let go of the threads: after this, another number of them may start."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    @property
    def _most(self) -> int:
        return self._session.spread.streams + self._session.prepares_ahead

    def _ended(self, future: Future[TimedScores]) -> EndedRun[Task]:
        task = self._tasks.pop(future)
        try:
            return EndedRun(task, future.result(), None)
        except ScoreError as error:
            return EndedRun(task, None, error)
