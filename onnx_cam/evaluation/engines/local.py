"""The engine of one process, and what every engine is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from onnx_cam.errors import DatasetError, ImageError, OnnxCamError, OutOfMemoryError, ScoreError
from onnx_cam.evaluation.image_evaluator import ImageEvaluator
from onnx_cam.evaluation.results.records import MeasuredMap, MoreFigures, SeenImage
from onnx_cam.evaluation.task import Task

__all__ = ["Engine", "LocalEngine", "Outcome"]

Outcome = SeenImage | MeasuredMap | MoreFigures | OnnxCamError
"""What comes of an image: what the model sees, each map, and its further figures; or an error that leaves it out."""


class Engine(Protocol):
    """Evaluates images somewhere.

    Examples
    --------
    >>> class Nothing:
    ...     def work(self, tasks):
    ...         yield from ()
    >>> engine: Engine = Nothing()
    """

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield everything that comes of each task, as soon as it is there. The tasks may come in any order."""
        ...


class LocalEngine:
    """Evaluates one image after the other in this process.

    Parameters
    ----------
    evaluator : ImageEvaluator

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation.datasets import open_dataset
    >>> from onnx_cam.evaluation.method_names import choose_named_methods
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluator = ImageEvaluator(model, choose_named_methods("equal"), (), layer=None, seed=0, batch_size=16)
    >>> tasks = [Task(sample) for sample in open_dataset("photos.csv").samples]
    >>> [type(outcome).__name__ for _, outcome in LocalEngine(evaluator).work(tasks)]
    ['SeenImage', 'MeasuredMap', 'SeenImage', 'MeasuredMap']
    """

    def __init__(self, evaluator: ImageEvaluator) -> None:
        self._evaluator = evaluator

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield everything that comes of each task, as soon as it is there.

        Raises
        ------
        OnnxCamError
            An error that is not about one image, for example of the device or of memory.
        """
        for task in tasks:
            try:
                for outcome in self._evaluator.evaluate(task):
                    yield task, outcome
            except OutOfMemoryError:
                raise
            except (ImageError, DatasetError, ScoreError) as error:
                yield task, error
