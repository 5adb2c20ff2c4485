"""Shows which pixels the decision of a deployed ONNX image classifier rests on.

Examples
--------
>>> import onnx_cam
>>> model = onnx_cam.load("model.onnx")
>>> result = onnx_cam.explain(model, "cat.jpg", method="sscam2")
>>> result.target.label
'cat'
>>> sorted(result.save("out/"))
['map', 'overlay', 'record']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onnx_cam._version import __version__ as __version__

if TYPE_CHECKING:
    from onnx_cam.builds.result import Diff
    from onnx_cam.builds.run import diff
    from onnx_cam.builds.saving import save_baseline
    from onnx_cam.classifier.classifier import Classifier
    from onnx_cam.classifier.exporting import export
    from onnx_cam.classifier.inspection import Finding, inspect
    from onnx_cam.classifier.loading import load
    from onnx_cam.comparison.comparing import compare
    from onnx_cam.comparison.result import Comparison
    from onnx_cam.errors import OnnxCamError
    from onnx_cam.explanation.embedding import EmbeddedHeatmap, export_heatmap
    from onnx_cam.explanation.explaining import explain
    from onnx_cam.explanation.result import Explanation
    from onnx_cam.explanation.saving import read_saved
    from onnx_cam.explanation.targets import Target
    from onnx_cam.graph.layer import Layer
    from onnx_cam.image.files import list_images
    from onnx_cam.image.preprocessing import PRESETS, Preprocessing
    from onnx_cam.methods import (
        CAM,
        ISCAM,
        METHODS,
        SSCAM1,
        SSCAM2,
        FinerCAM,
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
    from onnx_cam.runtime.self_test import check

__all__ = [
    "CAM",
    "ISCAM",
    "METHODS",
    "PRESETS",
    "SSCAM1",
    "SSCAM2",
    "Classifier",
    "Comparison",
    "Diff",
    "EmbeddedHeatmap",
    "Explanation",
    "Finding",
    "FinerCAM",
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
    "diff",
    "explain",
    "export",
    "export_heatmap",
    "inspect",
    "list_images",
    "load",
    "read_saved",
    "save_baseline",
]

# Each name is imported when it is first used, so that ``import onnx_cam`` loads neither ONNX Runtime nor OpenCV.
_HOMES = {
    "CAM": "methods",
    "ISCAM": "methods",
    "METHODS": "methods",
    "PRESETS": "image.preprocessing",
    "SSCAM1": "methods",
    "SSCAM2": "methods",
    "Classifier": "classifier.classifier",
    "Comparison": "comparison.result",
    "Diff": "builds.result",
    "EmbeddedHeatmap": "explanation.embedding",
    "Explanation": "explanation.result",
    "Finding": "classifier.inspection",
    "FinerCAM": "methods",
    "GradCAM": "methods",
    "GradCAMpp": "methods",
    "GradPPScoreCAM": "methods",
    "HiResCAM": "methods",
    "Layer": "graph.layer",
    "LayerCAM": "methods",
    "Method": "methods",
    "OnnxCamError": "errors",
    "Preprocessing": "image.preprocessing",
    "SSCAMMax": "methods",
    "ScoreCAM": "methods",
    "SmoothGradCAMpp": "methods",
    "Target": "explanation.targets",
    "XGradCAM": "methods",
    "check": "runtime.self_test",
    "compare": "comparison.comparing",
    "diff": "builds.run",
    "explain": "explanation.explaining",
    "export": "classifier.exporting",
    "export_heatmap": "explanation.embedding",
    "inspect": "classifier.inspection",
    "list_images": "image.files",
    "load": "classifier.loading",
    "read_saved": "explanation.saving",
    "save_baseline": "builds.saving",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'onnx_cam' has no attribute {name!r}")
    value = getattr(import_module(f"onnx_cam.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
