"""A command's images as a pipeline: while one is explained, the next is read and the last one's results are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
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
        try:
            return sum(_results(names, stages, reader, writer))
        finally:
            for pool in (reader, writer):
                pool.shutdown(wait=False, cancel_futures=True)


def _results(
    names: Sequence[str], stages: Stages[Read, Worked, Written], reader: ThreadPoolExecutor, writer: ThreadPoolExecutor
) -> Iterator[bool]:
    """Yield for each image whether it failed."""
    rest = iter(names)
    ahead: deque[tuple[str, Future[Read]]] = deque()
    behind: deque[tuple[str, Worked, Future[Written]]] = deque()

    def fill() -> None:
        while len(ahead) < _AHEAD and (name := next(rest, None)) is not None:
            ahead.append((name, reader.submit(stages.read, name)))

    def show(most: int) -> Iterator[bool]:
        """Show results in order, until at most so many are still to be written."""
        while behind and (len(behind) > most or behind[0][2].done()):
            name, worked, written = behind.popleft()
            yield _failed(name, lambda: stages.show(name, worked, written.result()))  # noqa: B023 - called at once

    fill()
    while ahead:
        name, picture = ahead.popleft()
        fill()
        worked: list[Worked] = []
        if _failed(name, lambda: worked.append(stages.work(name, picture.result()))):  # noqa: B023 - called at once
            yield from show(0)
            yield True
        else:
            behind.append((name, worked[0], writer.submit(stages.write, name, worked[0])))
            yield from show(_AHEAD)
    yield from show(0)


def _failed(name: str, stage: Callable[[], None]) -> bool:
    """Run a stage, report its error if it is one of the image alone, and return whether there was one."""
    try:
        stage()
    except Exception as error:
        report_failure(error, name)
        return True
    return False
