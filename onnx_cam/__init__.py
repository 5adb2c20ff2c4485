"""Shows which pixels the decision of a deployed ONNX image classifier rests on.

>>> import onnx_cam
>>> model = onnx_cam.load("resnet50.onnx")                          # doctest: +SKIP
>>> result = onnx_cam.explain(model, "cat.jpg", method="sscam2")    # doctest: +SKIP
>>> result.save("out/")                                             # doctest: +SKIP
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx_cam.classifier import Classifier
    from onnx_cam.compare import compare
    from onnx_cam.comparison import Comparison
    from onnx_cam.errors import OnnxCamError
    from onnx_cam.explain import explain
    from onnx_cam.explanation import Explanation, Target, read_saved
    from onnx_cam.export import export
    from onnx_cam.graph.find_layers import Layer
    from onnx_cam.image_files import list_images
    from onnx_cam.inspection import Finding, inspect
    from onnx_cam.loading import load
    from onnx_cam.methods import (
        CAM,
        ISCAM,
        METHODS,
        SSCAM1,
        SSCAM2,
        GradCAM,
        GradCAMpp,
        GradPPScoreCAM,
        HiResCAM,
        LayerCAM,
        Method,
        ScoreCAM,
        SmoothGradCAMpp,
        SSCAMMax,
        XGradCAM,
    )
    from onnx_cam.preprocess import PRESETS, Preprocessing
    from onnx_cam.self_test import check

__version__ = "0.1.0"

__all__ = [
    "CAM",
    "ISCAM",
    "METHODS",
    "PRESETS",
    "SSCAM1",
    "SSCAM2",
    "Classifier",
    "Comparison",
    "Explanation",
    "Finding",
    "GradCAM",
    "GradCAMpp",
    "GradPPScoreCAM",
    "HiResCAM",
    "Layer",
    "LayerCAM",
    "Method",
    "OnnxCamError",
    "Preprocessing",
    "SSCAMMax",
    "ScoreCAM",
    "SmoothGradCAMpp",
    "Target",
    "XGradCAM",
    "check",
    "compare",
    "explain",
    "export",
    "inspect",
    "list_images",
    "load",
    "read_saved",
]

# Each name is imported when it is first asked for: ``import onnx_cam`` loads neither ONNX Runtime nor OpenCV.
_HOMES = {
    "CAM": "methods",
    "ISCAM": "methods",
    "METHODS": "methods",
    "PRESETS": "preprocess",
    "SSCAM1": "methods",
    "SSCAM2": "methods",
    "Classifier": "classifier",
    "Comparison": "comparison",
    "Explanation": "explanation",
    "Finding": "inspection",
    "GradCAM": "methods",
    "GradCAMpp": "methods",
    "GradPPScoreCAM": "methods",
    "HiResCAM": "methods",
    "Layer": "graph.find_layers",
    "LayerCAM": "methods",
    "Method": "methods",
    "OnnxCamError": "errors",
    "Preprocessing": "preprocess",
    "SSCAMMax": "methods",
    "ScoreCAM": "methods",
    "SmoothGradCAMpp": "methods",
    "Target": "explanation",
    "XGradCAM": "methods",
    "check": "self_test",
    "compare": "compare",
    "explain": "explain",
    "export": "export",
    "inspect": "inspection",
    "list_images": "image_files",
    "load": "loading",
    "read_saved": "explanation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'onnx_cam' has no attribute {name!r}")
    value = getattr(import_module(f"onnx_cam.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """Keeps ``onnx_cam.explain`` and its like the functions: importing a submodule of that name would replace them."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
