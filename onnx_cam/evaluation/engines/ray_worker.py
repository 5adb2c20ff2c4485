"""A worker: one session of the model, which works on one image after the other, wherever Ray starts it."""

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
from onnx_cam.errors import DeviceError, ModelError, OnnxCamError, ScoreError
from onnx_cam.evaluation.engines.local import LocalEngine
from onnx_cam.evaluation.engines.ray_rows import COLUMNS, DONE, STOP, Row, write_error, write_outcome
from onnx_cam.evaluation.measuring import Measuring, Task
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.methods import Method
from onnx_cam.metrics import Metric
from onnx_cam.runtime.devices import running_device

__all__ = ["Attempts", "Worker", "WorkerSettings"]

_ATTEMPTS = 3  # at an image whose worker dies: after these it is the image that kills them


@dataclass(frozen=True)
class WorkerSettings:
    """All that a worker needs to know to do as the driver does.

    Attributes
    ----------
    model : str
        The path of the file.
    model_sha256 : str
    provider : str
        The execution provider that must run it.
    preprocessing : Preprocessing or None
    labels : Labels
    size : tuple of int or None
    input, output : str
    threads : int or None
        As the user said.
    share : int
        Workers on a machine: they share its cores.
    layer : str
    methods : mapping of str to Method
    metrics : tuple of Metric
    seed : int
    batch_size : int or None
    lenient : bool
    """

    model: str
    model_sha256: str
    provider: str
    preprocessing: Preprocessing | None
    labels: Labels
    size: tuple[int, int] | None
    input: str
    output: str
    threads: int | None
    share: int
    layer: str
    methods: Mapping[str, Method]
    metrics: tuple[Metric, ...]
    seed: int
    batch_size: int | None
    lenient: bool

    @classmethod
    def of(cls, measuring: Measuring, share: int) -> WorkerSettings:
        """Return the settings of workers that measure as this one does."""
        classifier = measuring.classifier
        return cls(
            str(classifier.file.path.resolve()),
            classifier.file.sha256,
            classifier.provider,
            classifier.preprocessing,
            classifier.labels,
            classifier.size if classifier.input.height and classifier.input.width else None,
            classifier.input.name,
            classifier.head.output,
            classifier.sessions.opener.threads,
            share,
            measuring.layer.name,
            dict(measuring.methods),
            measuring.metrics,
            measuring.seed,
            measuring.batch_size,
            measuring.lenient,
        )

    def load(self) -> Measuring:
        """Load the model.

        Raises
        ------
        OnnxCamError
            The file is missing here or another one, or it does not run on the driver's kind of device.
        """
        classifier = load(
            self.model,
            device=running_device(self.provider).name,
            preprocess=self.preprocessing or "none",
            size=self.size,
            input=self.input,
            output=self.output,
            threads=self.threads or self._threads,
        )
        if classifier.file.sha256 != self.model_sha256:
            raise ModelError(f"'{self.model}' is another file here; expected the same model on every machine: copy it")
        if classifier.provider != self.provider:
            raise DeviceError(f"{classifier.provider} would run the model here; expected {self.provider}, as elsewhere")
        return Measuring(
            classifier.with_labels(self.labels),
            self.methods,
            self.metrics,
            layer=self.layer,
            seed=self.seed,
            batch_size=self.batch_size,
            lenient=self.lenient,
        )

    @property
    def _threads(self) -> int | None:
        """Its share of the cores; ONNX Runtime's own choice where it has them all.

        The digits stay the same: ONNX Runtime on a CPU gives its threads outputs, not parts of a sum.
        """
        return None if self.share == 1 else max(1, (os.cpu_count() or 1) // self.share)


class Attempts:
    """Counts how often each task was begun: an actor of which all workers know."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, task: int) -> int:
        """Return how often a task was begun, this time included."""
        self._begun[task] += 1
        return self._begun[task]


class Worker:
    """What Ray Data starts in a process of its own, and calls with one row a task.

    What fails is said in a row: no exception travels.

    Parameters
    ----------
    settings : WorkerSettings
    tasks : sequence of Task
        All of them; a row that comes in names one by its position.
    attempts : handle of an actor of Attempts
    """

    def __init__(self, settings: WorkerSettings, tasks: Sequence[Task], attempts: Any) -> None:
        self._settings = settings
        self._tasks = tasks
        self._attempts = attempts
        self._measuring: Measuring | None = None

    def __call__(self, numbers: Any) -> Iterator[Any]:
        """Yield a table of one row for each thing that comes of a task, as soon as it is there."""
        import pyarrow

        types = (pyarrow.int64(), pyarrow.int64(), pyarrow.string(), pyarrow.string(), pyarrow.binary())
        schema = pyarrow.schema(list(zip(COLUMNS, types, strict=True)))
        for number in numbers["task"].to_pylist():
            for row in self._rows(number):
                yield pyarrow.table({name: [getattr(row, name)] for name in COLUMNS}, schema)

    def _rows(self, number: int) -> Iterator[Row]:
        """Yield what comes of a task, and a row that says that this was all."""
        part = 0
        try:
            self._begin(number)
            # Not in the constructor, where Ray would make an unreadable error of it.
            self._measuring = self._measuring or self._settings.load()
            for _, outcome in LocalEngine(self._measuring).work([self._tasks[number]]):
                yield write_outcome(number, part, outcome)
                part += 1
        except OnnxCamError as error:
            told = write_error(type(error)(f"{error} (a worker on {socket.gethostname()})"))
            # Of a task that is done again Ray skips as many rows as came before: the news must come after them.
            yield from (Row(number, part, STOP, told) for part in range(part, len(self._settings.methods) + 2))
            return
        yield Row(number, part, DONE, json.dumps(self._measuring.left_out))

    def _begin(self, number: int) -> None:
        """Do not let Ray try for ever."""
        import ray

        if ray.get(self._attempts.begin.remote(number)) > _ATTEMPTS:
            raise ScoreError(
                f"{_ATTEMPTS} workers died at work on {self._tasks[number].sample.name}, as they do where memory runs "
                "out; try fewer workers or a smaller --batch-size, and run the same command again to go on"
            )
