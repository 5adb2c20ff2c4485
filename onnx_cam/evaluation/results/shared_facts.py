"""What all results of a file have in common: results of another model do not go into it."""

from __future__ import annotations

from typing import Any

from onnx_cam._version import __version__
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import OutputError
from onnx_cam.evaluation.results.store import Results
from onnx_cam.explanation.explaining import package_versions
from onnx_cam.graph.find_layers import Layer

__all__ = ["bind"]


_ONLY_SAID = ("name", "source")


def bind(results: Results, classifier: Classifier, layer: Layer) -> None:
    """Write what all results have in common, or check it where there are results already.

    Raises
    ------
    OutputError
        The results there are of another model, another version, or were made otherwise.
    """
    wanted = _facts(classifier, layer)
    there = results.run
    for key, value in wanted.items():
        if there and _alike(there.get(key)) != _alike(value):
            before, now = _differing(there.get(key), value)
            raise OutputError(
                f"'{results.path}' holds results of {key.replace('_', ' ')} {before}, this run has {now}; expected the "
                "same: choose another folder, or say what was said then"
            )
    results.set_run({**wanted, "model": str(classifier.file.path)})


def _alike(value: Any) -> Any:
    """Return a fact without what changes no result: where a preprocessing was found, and what it is called."""
    return {key: part for key, part in value.items() if key not in _ONLY_SAID} if isinstance(value, dict) else value


def _differing(before: Any, now: Any) -> tuple[str, str]:
    """Return two facts as text; of two with several parts those that differ."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return repr(before), repr(now)
    names = [name for name in {**before, **now} if name != "source" and before.get(name) != now.get(name)]
    texts = [", ".join(f"{name} {side.get(name)}" for name in names) for side in (before, now)]
    return texts[0], texts[1]


def _facts(classifier: Classifier, layer: Layer) -> dict[str, Any]:
    preprocessing = classifier.preprocessing
    described = preprocessing.describe() if preprocessing else {"name": "none"}
    return {
        "model_sha256": classifier.file.sha256,
        "onnx_cam_version": __version__,
        "onnxruntime_version": package_versions()["onnxruntime"],
        "provider": classifier.provider,
        "input": classifier.input.name,
        "output": classifier.head.output,
        "layer": layer.name,
        "layer_shape": list(layer.shape),
        "preprocessing": {**described, "size": list(classifier.size)},
    }
