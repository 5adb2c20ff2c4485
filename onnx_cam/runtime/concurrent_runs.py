"""Runs of one session that are under way at once: threads that take one task after the other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

from onnx_cam.errors import OutOfMemoryError
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
    error : Exception or None
        Why there are none.
    """

    task: Task
    result: TimedScores | None
    error: Exception | None


class ConcurrentRuns(Generic[Task]):
    """A context in which a session runs several batches at once; when it is left early, they are stopped.

    Each thread takes a task, runs it, and takes the next, so that no stream waits for the caller; after a failure, none
    takes another. The threads live as long as there are tasks: a process may fork before and after.

    Parameters
    ----------
    session : ScoreSession
        Bound to an image.
    take : callable
        Returns the next task; None where there is none left. It is called by one thread at a time.
    run : callable
        Runs a task.
    """

    def __init__(
        self, session: ScoreSession, take: Callable[[], Task | None], run: Callable[[Task], TimedScores]
    ) -> None:
        self._session = session
        self._take = take
        self._run = run
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._ended: queue.SimpleQueue[EndedRun[Task]] = queue.SimpleQueue()
        self._under_way = 0
        self._is_paused = False

    def __enter__(self) -> ConcurrentRuns[Task]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_paused = True
        if self.is_busy:
            self._session.stop()
        self._join()

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way, or has ended and was not returned yet."""
        with self._lock:  # a task that is just being taken counts
            return self._under_way > 0

    def start(self) -> None:
        """Let as many threads take tasks as the session's spread has streams, and one more to prepare the next."""
        if self._is_paused:
            self._join()
        self._is_paused = False
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(len(self._threads), self._session.spread.streams + self._session.prepares_ahead):
            thread = threading.Thread(target=self._work, name="onnx-cam stream", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # there is no memory for its stack, or a limit on threads is reached
                if not self._threads:
                    raise OutOfMemoryError(f"out of memory: no thread can start ({error})") from error
                break  # the others take all tasks
            self._threads.append(thread)

    def finished(self, patience: float | None = None) -> list[EndedRun[Task]]:
        """Wait until a run has ended, and return those that have; none where that takes longer than `patience` seconds.

        Without `patience` it waits as long as a run takes.
        """
        try:
            ended = [self._ended.get(timeout=patience)]
        except queue.Empty:
            return []
        while not self._ended.empty():
            ended.append(self._ended.get())
        self._under_way_changes(-len(ended))
        return ended

    def drained(self) -> list[EndedRun[Task]]:
        """Let no more tasks be taken, wait until all runs have ended, and return them."""
        self._is_paused = True
        self._join()
        ended = []
        while not self._ended.empty():
            ended.append(self._ended.get())
        self._under_way_changes(-len(ended))
        return ended

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _under_way_changes(self, count: int) -> None:
        with self._lock:
            self._under_way += count

    def _next(self) -> Task | None:
        with self._lock:
            task = None if self._is_paused else self._take()
            self._under_way += task is not None
            return task

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                self._ended.put(EndedRun(task, self._run(task), None))
            except Exception as error:
                self._is_paused = True  # until the caller has decided what becomes of it
                self._ended.put(EndedRun(task, None, error))
