"""What the engine does: explain, predict."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import LayerError, ScoreError
from onnx_cam.explanation.explaining import explain
from onnx_cam.explanation.targets import Target, likeliest
from onnx_cam.image.files import ImageFile, image_file
from onnx_cam.runtime.scorer import Progress
from onnx_cam.server.answers import answer_of
from onnx_cam.server.command import command_of
from onnx_cam.server.form import Upload
from onnx_cam.server.order import ExplainOrder, PredictOrder

if TYPE_CHECKING:
    from onnx_cam.server.service import Service

__all__ = ["explain_upload", "predict_upload"]

_TOP = 5


def explain_upload(service: Service, order: ExplainOrder, progress: Progress) -> bytes:
    """Return the answer of ``/api/explain``.

    Parameters
    ----------
    service : Service
    order : ExplainOrder
        What is asked for.
    progress : callable
        It raises where nobody waits for the answer any more.
    """
    # Decode the image, and make the network's input of it, as for a file on the command line.
    classifier, preprocess = service.classifier, order.settings.get("preprocess")
    picture = classifier.open_picture(_file(order.upload), classifier.preprocessing_for(preprocess))
    progress(0, 0)
    # The map of each class, from the same passes.
    found = explain(classifier, picture, method=order.method, progress=progress, **order.settings)
    # The record and the pictures of each.
    answers = []
    for result in found if isinstance(found, list) else [found]:
        progress(0, 0)
        command = command_of(classifier.name, service.loading, order, result)
        answers.append(answer_of(result, order, service.folders, service.kept, command))
    return _json({"results": answers})


def predict_upload(service: Service, order: PredictOrder, progress: Progress) -> bytes:
    """Return the answer of ``/api/predict``."""
    classifier = service.classifier
    picture = classifier.open_picture(_file(order.upload), classifier.preprocessing_for(order.preprocess))
    progress(0, 0)
    with classifier.in_use:
        scores = _scores(classifier, picture.network_input)
    top = [Target(i, classifier.labels.name(i), float(scores[i])) for i in likeliest(scores, _TOP)]
    return _json({"top": [asdict(target) for target in top]})


def _scores(classifier: Classifier, network_input: Any) -> Any:
    """Return the scores of an image (C, H, W), (classes,), by the run that a map of it needs, too."""
    try:
        layer = classifier.layer()
    except LayerError:  # nothing can be explained, but it still classifies
        scores = classifier.sessions.scores(network_input[None])[0]
        if not np.isfinite(scores).all():
            raise ScoreError(f"{classifier.name} gives NaN or infinite scores for this image") from None
        return scores
    return classifier.sessions.activations(layer, network_input).probabilities


def _file(upload: Upload) -> ImageFile:
    return image_file(upload.name, upload.content)


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
