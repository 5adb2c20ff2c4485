"""A worker: one loaded model that evaluates image after image, wherever Ray starts it."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx_cam.classifier.labels import Labels
from onnx_cam.classifier.loading import load
from onnx_cam.errors import DeviceError, ModelError, OnnxCamError, ScoreError, SettingError
from onnx_cam.evaluation.engines.local import LocalEngine
from onnx_cam.evaluation.engines.ray_rows import COLUMNS, DONE, STOP, Row, write_error, write_outcome
from onnx_cam.evaluation.image_evaluator import ImageEvaluator
from onnx_cam.evaluation.task import Task
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.methods import Method
from onnx_cam.metrics import Metric
from onnx_cam.names import HEADS
from onnx_cam.runtime.devices import running_device

__all__ = ["Attempts", "Worker", "WorkerSettings"]

_MAX_ATTEMPTS = 3
"""At an image whose worker dies. If it dies again and again, the image is what kills it."""


@dataclass(frozen=True)
class WorkerSettings:
    """Everything that a worker needs to evaluate images as the driver does.

    Attributes
    ----------
    model : str
        The path of the file.
    model_sha256 : str
    provider : str
        The execution provider that must run the model.
    preprocessing : Preprocessing or None
    labels : Labels
    size : tuple of int or None
        ``(H, W)`` of the network's input, where the model leaves it free.
    input, output, head : str
        The tensors that take the image and hold the scores.
    threads : int or None
        The threads that the user asked for.
    workers_per_machine : int
        The workers that share the cores of a machine.
    layer : str
    methods : mapping of str to Method
    metrics : tuple of Metric
    seed : int
    batch_size : int or None
    lenient : bool

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation.method_names import choose_named_methods
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluator = ImageEvaluator(model, choose_named_methods("equal"), (), layer=None, seed=0, batch_size=16)
    >>> WorkerSettings.of(evaluator, workers_per_machine=1).load().layer.name
    'relu2'
    """

    model: str
    model_sha256: str
    provider: str
    preprocessing: Preprocessing | None
    labels: Labels
    size: tuple[int, int] | None
    input: str
    output: str
    head: str
    constants: Mapping[str, object]
    custom_ops: tuple[str, ...]
    threads: int | None
    workers_per_machine: int
    layer: str
    methods: Mapping[str, Method]
    metrics: tuple[Metric, ...]
    seed: int
    batch_size: int | None
    lenient: bool

    @classmethod
    def of(cls, evaluator: ImageEvaluator, workers_per_machine: int) -> WorkerSettings:
        """Return the settings of workers that do what an evaluator of this process does."""
        classifier = evaluator.classifier
        if classifier.file.path is None:
            raise SettingError("the engine ray loads the model on every machine; load it from a file, not from memory")
        return cls(
            model=os.path.abspath(classifier.file.path),  # not what it links to: what lies beside the link counts
            model_sha256=classifier.file.sha256,
            provider=classifier.provider,
            preprocessing=classifier.preprocessing,
            labels=classifier.labels,
            size=None if classifier.input.height is None or classifier.input.width is None else classifier.size,
            input=classifier.input.name,
            output=classifier.head.output,
            head=classifier.head.kind.name if classifier.head.kind.name in HEADS else "auto",
            constants={name: value.array for name, value in classifier.facts.prepared.constants.items()},
            custom_ops=classifier.sessions.opener.libraries,
            threads=classifier.sessions.opener.threads,
            workers_per_machine=workers_per_machine,
            layer=evaluator.layer.name,
            methods=dict(evaluator.methods),
            metrics=evaluator.metrics,
            seed=evaluator.seed,
            batch_size=evaluator.batch_size,
            lenient=evaluator.lenient,
        )

    def load(self) -> ImageEvaluator:
        """Load the model on this machine.

        Raises
        ------
        OnnxCamError
            The file is missing here or differs, or it does not run on the driver's kind of device.
        """
        classifier = load(
            self.model,
            device=running_device(self.provider).name,
            preprocess=self.preprocessing or "none",
            size=self.size,
            input=self.input,
            output=self.output,
            head=self.head,
            constants=self.constants,
            custom_ops=self.custom_ops,
            threads=self.threads or self._threads,
        )
        if classifier.file.sha256 != self.model_sha256:
            raise ModelError(f"'{self.model}' differs from the driver's file; copy the same model to every machine")
        if classifier.provider != self.provider:
            raise DeviceError(f"{classifier.provider} would run the model here; expected {self.provider}, as elsewhere")
        return ImageEvaluator(
            classifier.with_labels(self.labels),
            self.methods,
            self.metrics,
            layer=self.layer,
            seed=self.seed,
            batch_size=self.batch_size,
            lenient=self.lenient,
        )

    @property
    def most_rows(self) -> int:
        """The most rows that a task can give: the image, each map and each figure that follows it, and the last row."""
        following = sum(bool(metric.explanations) for metric in self.metrics)
        return 2 + len(self.methods) * (1 + following)

    @property
    def _threads(self) -> int | None:
        """Its share of the cores; ONNX Runtime's own choice where it has all of them.

        The digits stay the same: on a CPU, ONNX Runtime divides the outputs of an operator between threads, not the
        terms of a sum.
        """
        if self.workers_per_machine == 1:
            return None
        return max(1, (os.cpu_count() or 1) // self.workers_per_machine)


class Attempts:
    """Counts how often each task was begun. It runs as an actor that all workers share.

    Examples
    --------
    >>> attempts = Attempts()
    >>> attempts.begin(7), attempts.begin(7)
    (1, 2)
    """

    def __init__(self) -> None:
        self._times: Counter[int] = Counter()

    def begin(self, task: int) -> int:
        """Return how often a task was begun, including this time."""
        self._times[task] += 1
        return self._times[task]


class Worker:
    """What Ray Data starts in a process of its own, and calls with one row for each task.

    Errors travel as rows, never as exceptions.

    Parameters
    ----------
    settings : WorkerSettings
    tasks : sequence of Task
        All tasks. A row that comes in names one of them by its position.
    attempts : handle of an actor of Attempts

    Examples
    --------
    This needs Ray:

    >>> worker = Worker(settings, tasks, attempts)  # doctest: +SKIP
    >>> tables = list(worker(table_of_task_numbers))  # doctest: +SKIP
    """

    def __init__(self, settings: WorkerSettings, tasks: Sequence[Task], attempts: Any) -> None:
        self._settings = settings
        self._tasks = tasks
        self._attempts = attempts
        self._evaluator: ImageEvaluator | None = None

    def __call__(self, numbers: Any) -> Iterator[Any]:
        """Yield a table of one row for everything that comes of a task, as soon as it is there."""
        import pyarrow

        types = (pyarrow.int64(), pyarrow.int64(), pyarrow.string(), pyarrow.string(), pyarrow.binary())
        schema = pyarrow.schema(list(zip(COLUMNS, types, strict=True)))
        for number in numbers["task"].to_pylist():
            for row in self._rows(number):
                yield pyarrow.table({name: [getattr(row, name)] for name in COLUMNS}, schema)

    def _rows(self, number: int) -> Iterator[Row]:
        """Yield what comes of a task, and at its end a row that says so."""
        part = 0
        try:
            self._begin(number)
            # The model is loaded here, since Ray would make an unreadable error of one in the constructor.
            self._evaluator = self._evaluator or self._settings.load()
            for _, outcome in LocalEngine(self._evaluator).work([self._tasks[number]]):
                yield write_outcome(number, part, outcome)
                part += 1
        except OnnxCamError as error:
            text = write_error(type(error)(f"{error} (a worker on {socket.gethostname()})"))
            # When a task is repeated, Ray skips as many rows as the first attempt gave. The error must come after them,
            # so it is sent once for every row that a task can give.
            yield from (Row(number, part, STOP, text) for part in range(part, self._settings.most_rows))
            return
        yield Row(number, part, DONE, json.dumps(self._evaluator.left_out))

    def _begin(self, number: int) -> None:
        """Do not let Ray repeat a task for ever."""
        import ray

        if ray.get(self._attempts.begin.remote(number)) > _MAX_ATTEMPTS:
            raise ScoreError(
                f"{_MAX_ATTEMPTS} workers died while they evaluated {self._tasks[number].sample.name}, perhaps because "
                "memory ran out; try fewer workers or a smaller --batch-size, and run the command again to continue"
            )
