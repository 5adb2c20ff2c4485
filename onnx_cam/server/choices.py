"""What a page offers: methods, layers, classes, colours."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from onnx_cam._version import __version__
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.graph.layer import Layer
from onnx_cam.methods import METHODS, Method, setting_names
from onnx_cam.names import BASELINES, COLORMAPS, PREPROCESSINGS, SCORES
from onnx_cam.server.limits import Limits

__all__ = ["choices_of", "quick_method"]


def choices_of(classifier: Classifier, limits: Limits) -> dict[str, Any]:
    """Return what can be asked of a model, as plain JSON values.

    Parameters
    ----------
    classifier : Classifier
    limits : Limits
    """
    height, width = classifier.size
    names = [classifier.labels.name(index) for index in range(classifier.classes)]
    return {
        "version": __version__,
        "model": classifier.name,
        "size": [height, width],
        "classes": classifier.classes,
        "labels": names if classifier.labels.names is not None else None,
        "gives_probabilities": classifier.head.kind.gives_probabilities,
        "notes": list(classifier.notes),
        "methods": [_method(cls) for cls in METHODS.values()],
        "layers": [_layer(classifier, layer) for layer in classifier.layers()],
        "scores": list(SCORES),
        "baselines": list(BASELINES),
        "preprocessings": list(PREPROCESSINGS),
        "colormaps": {name: _colours(name) for name in COLORMAPS},
        "body_bytes": limits.body_bytes,
    }


def quick_method(classifier: Classifier, layer: Layer | None = None) -> str:
    """Return the cheapest method that fits a layer, the default one if none is given.

    That is ``cam`` where one linear layer follows its global average, and ``gradcam`` elsewhere.

    Raises
    ------
    LayerError
        The model has no layer that can be explained.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> quick_method(model), quick_method(model, model.layer("relu1"))
    ('cam', 'gradcam')
    """
    layer = layer or classifier.layer()
    weights = classifier.linear_head(layer)  # (classes, K); one row where a single logit stands for two classes
    return "cam" if weights is not None and weights.shape[1] == layer.shape[0] else "gradcam"


def _method(cls: type[Method]) -> dict[str, Any]:
    return {
        "name": cls.name,
        "summary": (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " "),
        "variants": list(cls.variants),
        "settings": sorted(setting_names(cls)),
        "needs_gradient": cls.needs_gradient,
    }


def _layer(classifier: Classifier, layer: Layer) -> dict[str, Any]:
    return {**layer.describe(), "quick": quick_method(classifier, layer)}


def _colours(name: str) -> str:
    """Return the 256 colours of a colour map, from 0 to 1, as hexadecimal digits RRGGBB."""
    import cv2

    levels = np.arange(256, dtype=np.uint8)[:, None]
    colours = cv2.applyColorMap(levels, getattr(cv2, f"COLORMAP_{name.upper()}"))[:, 0, ::-1]  # (256, 3) RGB
    return np.ascontiguousarray(colours, np.uint8).tobytes().hex()
