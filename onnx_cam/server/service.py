"""What the routes share: the model, the engine before it, and what was said of the model once."""

from __future__ import annotations

import json
from collections.abc import Sequence

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.inspection import inspect
from onnx_cam.server.choices import choices_of
from onnx_cam.server.engine import Engine
from onnx_cam.server.folders import Folders
from onnx_cam.server.holding import Holding
from onnx_cam.server.kept import KeptResults
from onnx_cam.server.limits import Limits

__all__ = ["Service"]


class Service:
    """What the routes share.

    Parameters
    ----------
    classifier : Classifier
    limits : Limits
    loading : sequence of (str, str)
        The options that the model was loaded with, for the command line that repeats a request.

    Attributes
    ----------
    classifier, limits, loading
        As given.
    engine : Engine
        Runs the model.
    holding : Holding
        The requests in memory.
    kept : KeptResults
        The results that can be downloaded.
    folders : Folders
        What no answer names.
    inspection, choices : bytes
        What was detected about the model, and what can be asked of it, as JSON.
    """

    def __init__(self, classifier: Classifier, limits: Limits, loading: Sequence[tuple[str, str]] = ()) -> None:
        self.classifier = classifier
        self.limits = limits
        self.loading = tuple(loading)
        self.folders = Folders.of(classifier.file.path)
        self.engine = Engine(limits, self.folders)
        self.holding = Holding(limits)
        self.kept = KeptResults(limits)
        findings = {one.what: {"value": one.value, "source": one.source} for one in inspect(classifier)}
        self.inspection = _json(findings)
        self.choices = _json(self.folders.without(choices_of(classifier, limits)))


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
