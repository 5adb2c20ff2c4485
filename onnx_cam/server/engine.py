"""The one thread that runs the model, and the queue before it."""

from __future__ import annotations

import math
import threading
from collections import deque

from onnx_cam.server.folders import NO_FOLDERS, Folders
from onnx_cam.server.jobs import Job, Work
from onnx_cam.server.limits import Limits
from onnx_cam.server.problems import Problem

__all__ = ["Engine"]

_LONGEST_RETRY = 60  # seconds
_WEIGHT = 0.3  # of the last job, in the mean time of a job


class Engine:
    """Works on one job at a time; the others wait, as many as there is room for.

    A model is run by all cores at once, so two maps at a time would take as long as one after the other, and twice the
    memory.

    Parameters
    ----------
    limits : Limits
    folders : Folders
        What no error of a job names.
    """

    def __init__(self, limits: Limits, folders: Folders = NO_FOLDERS) -> None:
        self._limits = limits
        self._folders = folders
        self._waiting: deque[Job] = deque()
        self._current: Job | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self._mean_seconds = 1.0

    @property
    def is_busy(self) -> bool:
        """Whether it works on a job."""
        return self._current is not None

    def check_room(self) -> None:
        """Refuse a request before its body is read, where it could not be worked on.

        Raises
        ------
        Problem
            The queue is full, or the server is ending.
        """
        if self._is_stopped:
            raise _ending()
        if len(self._waiting) >= self._limits.waiting:
            raise Problem(
                429,
                f"{len(self._waiting)} requests wait for the model already; try again later",
                {"Retry-After": str(self.retry_after)},
            )

    @property
    def retry_after(self) -> int:
        """In how many seconds there may be room."""
        return min(_LONGEST_RETRY, max(1, math.ceil(self._mean_seconds * len(self._waiting) / 2)))

    def submit(self, work: Work) -> Job:
        """Put work into the queue.

        Raises
        ------
        Problem
            As `check_room`.
        """
        with self._changed:
            self.check_room()
            job = Job(work, self._limits.seconds, self._folders)
            self._waiting.append(job)
            if self._current is not None or len(self._waiting) > 1:
                job.tell_position(len(self._waiting) - (self._current is None))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="onnx-cam engine", daemon=True)
                self._thread.start()
            self._changed.notify()
        return job

    def cancel(self, job: Job) -> None:
        """End a job for which nobody waits any more; without effect on one that is done."""
        job.stop(Problem(499, "the client has left"))
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                self._tell_positions()

    def stop(self) -> None:
        """End all jobs, and take no others."""
        with self._changed:
            self._is_stopped = True
            jobs = [*self._waiting, *([self._current] if self._current else [])]
            self._waiting.clear()
            self._changed.notify()
        for job in jobs:
            job.stop(_ending())

    def join(self, seconds: float) -> bool:
        """Wait until the thread has ended after `stop`; return whether it did."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job.run()
            self._mean_seconds += _WEIGHT * (job.seconds - self._mean_seconds)
            del job  # its image and its answer are not needed until the next one comes

    def _next(self) -> Job | None:
        with self._changed:
            self._current = None
            while not self._waiting and not self._is_stopped:
                self._changed.wait()
            if self._is_stopped:
                return None
            self._current = self._waiting.popleft()
            self._tell_positions()
            return self._current

    def _tell_positions(self) -> None:
        for position, job in enumerate(self._waiting, start=1):
            job.tell_position(position)


def _ending() -> Problem:
    return Problem(503, "the server is shutting down; try again later", {"Retry-After": "10"})
