"""What one call of ``evaluate`` measures, as it is stored in the results file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnx_cam.metrics import METRICS, Metric

__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """The images, methods and metrics of one call. The results file may hold more of each.

    Attributes
    ----------
    images : tuple of str
        The SHA-256 of each image's file, in the order of the dataset.
    methods : mapping of str to str
        Each method's name in tables, and the key that its maps are stored under.
    metrics : tuple of Metric
    facts : mapping
        Plain JSON values about the call: see :class:`onnx_cam.evaluation.Evaluation`.

    Examples
    --------
    >>> from onnx_cam.metrics import Pointing
    >>> request = Request(("ab12",), {"equal": "[...]"}, (Pointing(),), {"seed": 0})
    >>> Request.from_json(request.as_json()) == request
    True
    """

    images: tuple[str, ...]
    methods: Mapping[str, str]
    metrics: tuple[Metric, ...]
    facts: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the request as plain JSON values."""
        return {
            "images": list(self.images),
            "methods": dict(self.methods),
            "metrics": [[metric.name, metric.parameters] for metric in self.metrics],
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, content: Any) -> Request:
        """Return the request that `as_json` wrote; a damaged one raises KeyError, TypeError or ValueError."""
        metrics = tuple(METRICS[name](**parameters) for name, parameters in content["metrics"])
        return cls(tuple(content["images"]), content["methods"], metrics, content["facts"])
