"""A classifier at another input size, where its file leaves height and width free."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.sessions import ModelSessions
from onnx_cam.errors import ModelError, OutOfMemoryError, ScoreError
from onnx_cam.graph.inputs.image_input import describe_image_input, with_size
from onnx_cam.graph.layer import Layer

__all__ = ["enlarged"]


def enlarged(classifier: Classifier, layer: Layer, size: tuple[int, int]) -> Classifier | None:
    """Return a model that takes inputs of another size; None where its file or a run says that it cannot.

    What is known of its head and batch holds for both. A run proves that it gives as many scores at the other size, and
    maps of the layer that have grown with the input.

    Parameters
    ----------
    classifier : Classifier
    layer : Layer
    size : tuple of int
        ``(H, W)`` in pixels, larger than the model's own.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> enlarged(model, model.layer(), (40, 40)) is None  # its file fixes 20×20
    True
    """
    declared = describe_image_input(classifier.facts.prepared)
    if declared.height is not None or declared.width is not None:
        return None
    image_input = with_size(declared, size, classifier.name)
    facts = replace(classifier.facts, input=image_input, size=size, run_key=None)
    sessions = ModelSessions.late(replace(classifier.sessions.opener, image_input=image_input), facts)
    made = classifier.derived(facts, sessions, partial(_again, layer=layer.name, size=size), same_layers=False)
    return made if _runs(made, layer) else None


def _again(classifier: Classifier, layer: str, size: tuple[int, int]) -> Classifier:
    made = enlarged(classifier, classifier.layer(layer), size)
    assert made is not None
    return made


def _runs(made: Classifier, layer: Layer) -> bool:
    try:
        activations = made.sessions.activations(made.layer(layer), made.trial_images(1)[0])
    except OutOfMemoryError:
        raise
    except (ModelError, ScoreError):
        return False
    grown = bool(np.all(np.array(activations.maps.shape[1:]) > layer.shape[1:]))
    return len(activations.probabilities) == made.classes and grown
