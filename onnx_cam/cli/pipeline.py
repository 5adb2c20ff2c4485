"""A command's images as a pipeline: while one is explained, the next is read and the last one's results are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from onnx_cam.cli.images import report_failure

__all__ = ["Stages", "run_pipeline"]

Read = TypeVar("Read")
Worked = TypeVar("Worked")
Written = TypeVar("Written")

_AHEAD = 2  # images that are read ahead, and results that wait to be written: each holds an image's pixels


@dataclass(frozen=True)
class Stages(Generic[Read, Worked, Written]):
    """What is done with each image.

    Attributes
    ----------
    read : callable
        Takes a name; runs in a thread of its own.
    work : callable
        Takes a name and what was read; runs in the caller's thread.
    write : callable
        Takes a name and what the work gave; runs in a thread of its own.
    show : callable
        Takes a name, what the work gave and what was written; runs in the caller's thread, in the names' order.
    """

    read: Callable[[str], Read]
    work: Callable[[str, Read], Worked]
    write: Callable[[str, Worked], Written]
    show: Callable[[str, Worked, Written], None]


def run_pipeline(names: Sequence[str], stages: Stages[Read, Worked, Written]) -> int:
    """Take each image through the stages, and return how many failed: those are reported, and the others go on.

    Raises
    ------
    OnnxCamError
        An error with which the other images would fail, too.
    """
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        line = _Line(names, stages, reader, writer)
        try:
            return line.run()
        finally:
            for pool in (reader, writer):
                pool.shutdown(wait=False, cancel_futures=True)


class _Line(Generic[Read, Worked, Written]):
    """The images between the stages."""

    def __init__(
        self,
        names: Sequence[str],
        stages: Stages[Read, Worked, Written],
        reader: ThreadPoolExecutor,
        writer: ThreadPoolExecutor,
    ) -> None:
        self._rest = iter(names)
        self._stages = stages
        self._reader, self._writer = reader, writer
        self._ahead: deque[tuple[str, Future[Read]]] = deque()
        self._behind: deque[tuple[str, Worked, Future[Written]]] = deque()
        self._failed = 0

    def run(self) -> int:
        """Take every image through the stages, and return how many failed."""
        self._read_ahead()
        while self._ahead:
            name, picture = self._ahead.popleft()
            self._read_ahead()
            try:
                worked = self._stages.work(name, picture.result())
            except Exception as error:
                self._show(most=0)  # what came before is shown before
                self._report(error, name)
                continue
            self._behind.append((name, worked, self._writer.submit(self._stages.write, name, worked)))
            self._show(most=_AHEAD)
        self._show(most=0)
        return self._failed

    def _read_ahead(self) -> None:
        while len(self._ahead) < _AHEAD and (name := next(self._rest, None)) is not None:
            self._ahead.append((name, self._reader.submit(self._stages.read, name)))

    def _show(self, most: int) -> None:
        """Show results in order, until at most so many are still to be written."""
        while self._behind and (len(self._behind) > most or self._behind[0][2].done()):
            name, worked, written = self._behind.popleft()
            try:
                self._stages.show(name, worked, written.result())
            except Exception as error:
                self._report(error, name)

    def _report(self, error: Exception, name: str) -> None:
        report_failure(error, name)
        self._failed += 1
