"""Workers, watched from outside: an input that takes too long is ended, and a crash ends only its worker."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tests.fuzz.kinds import Kind
from tests.fuzz.outcome import Outcome, Status
from tests.fuzz.worker import Limits, work

__all__ = ["Task", "run"]

Task = tuple[Kind, int]
"""A kind and a seed."""

_SPAWN = multiprocessing.get_context("spawn")  # threads of the runtime do not survive a fork
_START = 120.0  # seconds for a worker's imports


def run(tasks: Iterable[Task], workers: int = 1, limits: Limits | None = None) -> Iterator[Outcome]:
    """Run inputs in worker processes, and yield how each ended, as they end.

    Parameters
    ----------
    tasks : iterable of Task
        Read as workers become free; it may be endless.
    workers : int
    limits : Limits, optional
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="onnx-cam-fuzz-stacks-") as folder:
        pool = [_Watched(Path(folder) / f"{index}.txt", limits) for index in range(workers)]
        queue = iter(tasks)
        try:
            for worker in pool:
                worker.give(next(queue, None))
            while any(worker.task for worker in pool):
                busy = {worker.connection: worker for worker in pool if worker.task}
                timeout = max(0.0, min(worker.deadline for worker in busy.values()) - time.monotonic())
                ready = {id(connection) for connection in wait(list(busy), timeout)}
                for connection, worker in busy.items():
                    outcome = worker.outcome(is_ready=id(connection) in ready)
                    if outcome is not None:
                        yield outcome
                        worker.give(next(queue, None))
        finally:
            for worker in pool:
                worker.end()


class _Watched:
    """A worker process, the input that it is at, and until when it may take."""

    def __init__(self, stacks: Path, limits: Limits) -> None:
        self._stacks = stacks
        self._limits = limits
        self.task: Task | None = None
        self.deadline = 0.0
        self._started = 0.0
        self._start()

    def _start(self) -> None:
        self.connection: Connection
        self.connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=work, args=(theirs, str(self._stacks), self._limits), daemon=True)
        self._process.start()
        theirs.close()
        if not self.connection.poll(_START):
            raise RuntimeError("a worker did not start")
        self.connection.recv()

    def give(self, task: Task | None) -> None:
        self.task = task
        if task is None:
            return
        self._started = time.monotonic()
        self.deadline = self._started + self._limits.seconds
        self.connection.send(task)

    def outcome(self, *, is_ready: bool) -> Outcome | None:
        """Return how the input ended; None while it runs."""
        assert self.task is not None
        seconds = time.monotonic() - self._started
        if is_ready:
            with suppress(EOFError, OSError):
                received: Outcome = self.connection.recv()
                return received
            self._process.join()
            return self._lost("crash", seconds, f"the process ended with {_ending(self._process.exitcode)}")
        if time.monotonic() >= self.deadline:
            self.end()
            return self._lost("hang", seconds, f"no end within {self._limits.seconds:g} s")
        return None

    def _lost(self, status: Status, seconds: float, what: str) -> Outcome:
        """Return a finding that ended the worker, and start another one."""
        assert self.task is not None
        stacks = self._stacks.read_text(errors="replace") if self._stacks.exists() else ""
        kind, seed = self.task
        self._start()
        return Outcome(kind.name, seed, status, seconds, f"{what}\n{stacks}", f"{what} {_place(stacks)}")

    def end(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()


def _ending(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit status {exit_code}"
    return signal.Signals(-exit_code).name


def _place(stacks: str) -> str:
    """Return the innermost line of onnx_cam in the stack of the thread that ran the input."""
    mark = "Current thread" if "Current thread" in stacks else "Thread 0x"
    own = stacks.rpartition(mark)[2]
    lines = [line.strip() for line in own.splitlines() if "/onnx_cam/" in line]
    return f"at {lines[0].rpartition('/onnx_cam/')[2]}" if lines else ""
