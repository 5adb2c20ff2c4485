"""What comes of an image, as a row of plain columns: so it travels from a worker to the driver."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_cam import errors
from onnx_cam.errors import OnnxCamError
from onnx_cam.evaluation.engines.local import Outcome
from onnx_cam.evaluation.results.records import ImageFacts, MeasuredMap, SeenImage
from onnx_cam.metrics.base import Measurement

__all__ = ["COLUMNS", "DONE", "STOP", "Row", "read_error", "read_outcome", "write_error", "write_outcome"]

COLUMNS = ("task", "part", "kind", "text", "content")

DONE = "done"
"""The kind of the last row of a task: it names the methods that cannot work, and says why."""

STOP = "stop"
"""The kind of a row with an error that ends the run."""

_ERRORS = {
    name: value
    for name in errors.__all__
    if inspect.isclass(value := getattr(errors, name)) and issubclass(value, OnnxCamError)
}


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes
    ----------
    task : int
        The task's position in the list that all workers have.
    part : int
        The row's position among those of its task: the same if the task is done again.
    kind : str
    text : str
        JSON.
    content : bytes
        A JPEG or an ``.npy`` file.
    """

    task: int
    part: int
    kind: str
    text: str = "{}"
    content: bytes = b""

    @property
    def facts(self) -> Any:
        """The text, read."""
        return json.loads(self.text)


def write_outcome(task: int, part: int, outcome: Outcome) -> Row:
    """Return the row of an outcome."""
    if isinstance(outcome, OnnxCamError):
        return Row(task, part, "error", write_error(outcome))
    if isinstance(outcome, SeenImage):
        facts = outcome.facts.as_json()
        values = {"sha256": outcome.sha256, "name": outcome.name, "path": outcome.path, "facts": facts}
        return Row(task, part, "image", json.dumps(values), outcome.picture)
    cam = io.BytesIO()
    np.save(cam, outcome.cam, allow_pickle=False)
    values = {
        "image": outcome.image,
        "method": outcome.method,
        "record": outcome.record,
        "figures": {key: [figure.value, figure.curve] for key, figure in outcome.figures.items()},
    }
    return Row(task, part, "map", json.dumps(values), cam.getvalue())


def read_outcome(row: Row) -> Outcome:
    """Return the outcome that a row was made of; JSON gives every float back as it was."""
    if row.kind == "error":
        return read_error(row.facts)
    facts: dict[str, Any] = row.facts
    if row.kind == "image":
        image = ImageFacts.from_json(facts["facts"])
        return SeenImage(facts["sha256"], facts["name"], facts["path"], image, row.content)
    figures = {key: Measurement(value, tuple(curve)) for key, (value, curve) in facts["figures"].items()}
    cam = np.load(io.BytesIO(row.content), allow_pickle=False)
    return MeasuredMap(facts["image"], facts["method"], cam, facts["record"], figures)


def write_error(error: OnnxCamError) -> str:
    """Return an error as JSON: the name of its class, and what it says."""
    return json.dumps({"error": type(error).__name__, "text": str(error)})


def read_error(facts: Mapping[str, str]) -> OnnxCamError:
    """Return an error of this package by its name."""
    return _ERRORS[facts["error"]](facts["text"])
