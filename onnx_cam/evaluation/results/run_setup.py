"""What all results of a file have in common: results of another model or setting do not go into the same file."""

from __future__ import annotations

from typing import Any

from onnx_cam._version import __version__
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import OutputError
from onnx_cam.evaluation.results.results_file import ResultsFile
from onnx_cam.explanation.versions import package_versions
from onnx_cam.graph.layer import Layer

__all__ = ["record_setup"]

_WITHOUT_EFFECT = ("name", "source")
"""The parts of a preprocessing that change no result: what it is called, and where it was found."""


def record_setup(results: ResultsFile, classifier: Classifier, layer: Layer) -> None:
    """Store what all results of a run have in common, or check that it is the same as in the results so far.

    Parameters
    ----------
    results : ResultsFile
    classifier : Classifier
    layer : Layer

    Raises
    ------
    OutputError
        The results in the file are of another model, version, layer, preprocessing or execution provider.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> with ResultsFile("results.sqlite", write=True) as results:
    ...     record_setup(results, model, model.layer(None))
    ...     results.run["layer"]
    'relu2'
    """
    setup = _setup(classifier, layer)
    before = results.run
    for key, value in setup.items():
        if before and _effective(before.get(key)) != _effective(value):
            stored, new = _differing_parts(before.get(key), value)
            raise OutputError(
                f"'{results.path}' holds results of {key.replace('_', ' ')} {stored}, this run has {new}; "
                "choose another folder, or give the same model and options as then"
            )
    results.set_run({**setup, "model": str(classifier.file.path or classifier.name)})


def _effective(value: object) -> object:
    """Return a fact without the parts that change no result."""
    if not isinstance(value, dict):
        return value
    return {key: part for key, part in value.items() if key not in _WITHOUT_EFFECT}


def _differing_parts(before: object, now: object) -> tuple[str, str]:
    """Return two facts as text; of facts with several parts only those that differ."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return repr(before), repr(now)
    names = [name for name in {**before, **now} if name != "source" and before.get(name) != now.get(name)]
    texts = [", ".join(f"{name} {side.get(name)}" for name in names) for side in (before, now)]
    return texts[0], texts[1]


def _setup(classifier: Classifier, layer: Layer) -> dict[str, Any]:
    preprocessing = classifier.preprocessing
    described = preprocessing.describe() if preprocessing else {"name": "none"}
    return {
        "model_sha256": classifier.file.sha256,
        "onnx_cam_version": __version__,
        "onnxruntime_version": package_versions()["onnxruntime"],
        "provider": classifier.provider,
        "input": classifier.input.name,
        "constants": classifier.facts.prepared.describe_constants(),
        "output": classifier.head.output,
        "head": classifier.head.kind.name,
        "layer": layer.name,
        "layer_shape": list(layer.shape),
        "preprocessing": {**described, "size": list(classifier.size)},
    }
