"""Work on images, here and one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from onnx_cam.errors import DatasetError, ImageError, OnnxCamError, OutOfMemoryError, ScoreError
from onnx_cam.evaluation.measuring import Measuring, Task
from onnx_cam.evaluation.results.records import MeasuredMap, SeenImage

__all__ = ["Engine", "LocalEngine", "Outcome"]

Outcome = SeenImage | MeasuredMap | OnnxCamError
"""What the model saw, then each map, or why there is none."""


class Engine(Protocol):
    """Where the work is done."""

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield all that comes of each task, in any order of the tasks."""
        ...


class LocalEngine:
    """Works on one image after the other, in this process."""

    def __init__(self, measuring: Measuring) -> None:
        self._measuring = measuring

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield what comes of each task as soon as it is there."""
        for task in tasks:
            try:
                for found in self._measuring.work(task):
                    yield task, found
            except OutOfMemoryError:
                raise
            except (ImageError, DatasetError, ScoreError) as error:
                yield task, error
