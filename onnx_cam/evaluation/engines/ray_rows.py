"""What comes of an image as a row of plain columns, which travels from a worker to the driver."""

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
from onnx_cam.evaluation.results.records import ImageFacts, MeasuredMap, MoreFigures, SeenImage
from onnx_cam.metrics.base import Measurement

__all__ = ["COLUMNS", "DONE", "STOP", "Row", "read_error", "read_outcome", "write_error", "write_outcome"]

COLUMNS = ("task", "part", "kind", "text", "content")

DONE = "done"
"""The kind of the last row of a task. It holds the methods that do not work on the model, and why."""

STOP = "stop"
"""The kind of a row with an error that ends the run."""

_IMAGE, _MAP, _FIGURES, _ERROR = "image", "map", "figures", "error"

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
        The row's position among those of its task. It is the same when the task is repeated.
    kind : str
        ``image``, ``map``, ``figures``, ``error``, `DONE` or `STOP`.
    text : str
        JSON.
    content : bytes
        A JPEG or an ``.npy`` file.

    Examples
    --------
    >>> Row(0, 2, DONE, '{"cam": "no linear layer"}').facts
    {'cam': 'no linear layer'}
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
    """Return the row of an outcome.

    Parameters
    ----------
    task, part : int
        See `Row`.
    outcome : Outcome

    Examples
    --------
    >>> from onnx_cam.errors import ImageError
    >>> write_outcome(0, 0, ImageError("cannot read 'a.jpg'")).kind
    'error'
    """
    if isinstance(outcome, OnnxCamError):
        return Row(task, part, _ERROR, write_error(outcome))
    if isinstance(outcome, SeenImage):
        facts = outcome.facts.as_json()
        image = {"sha256": outcome.sha256, "name": outcome.name, "path": outcome.path, "facts": facts}
        return Row(task, part, _IMAGE, json.dumps(image), outcome.picture)
    values = {
        "image": outcome.image,
        "method": outcome.method,
        "figures": {key: figure.as_json() for key, figure in outcome.figures.items()},
        "is_last": outcome.is_last,
    }
    if isinstance(outcome, MoreFigures):
        return Row(task, part, _FIGURES, json.dumps({**values, "passes": outcome.passes}))
    cam = io.BytesIO()
    np.save(cam, outcome.cam, allow_pickle=False)
    return Row(task, part, _MAP, json.dumps({**values, "record": outcome.record}), cam.getvalue())


def read_outcome(row: Row) -> Outcome:
    """Return the outcome of a row. JSON gives every float back exactly.

    Examples
    --------
    >>> from onnx_cam.errors import ImageError
    >>> read_outcome(write_outcome(0, 0, ImageError("cannot read 'a.jpg'")))
    ImageError("cannot read 'a.jpg'")
    """
    if row.kind == _ERROR:
        return read_error(row.facts)
    values = row.facts
    if row.kind == _IMAGE:
        facts = ImageFacts.from_json(values["facts"])
        return SeenImage(values["sha256"], values["name"], values["path"], facts, row.content)
    values["figures"] = {key: Measurement.from_json(figure) for key, figure in values["figures"].items()}
    if row.kind == _FIGURES:
        return MoreFigures(**values)
    return MeasuredMap(cam=np.load(io.BytesIO(row.content), allow_pickle=False), **values)


def write_error(error: OnnxCamError) -> str:
    r"""Return an error as JSON: the name of its class and its message.

    Examples
    --------
    >>> from onnx_cam.errors import ImageError
    >>> write_error(ImageError("cannot read 'a.jpg'"))
    '{"error": "ImageError", "text": "cannot read \'a.jpg\'"}'
    """
    return json.dumps({"error": type(error).__name__, "text": str(error)})


def read_error(facts: Mapping[str, str]) -> OnnxCamError:
    """Return the error that `write_error` wrote, of its own class.

    Examples
    --------
    >>> read_error({"error": "ImageError", "text": "cannot read 'a.jpg'"})
    ImageError("cannot read 'a.jpg'")
    """
    return _ERRORS[facts["error"]](facts["text"])
