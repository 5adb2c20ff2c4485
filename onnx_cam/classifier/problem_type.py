"""What a configuration beside the model says of its task: whether the output's logits are those of one choice."""

from __future__ import annotations

from onnx_cam.errors import PreprocessingError
from onnx_cam.graph.heads import HEADS, HeadKind
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.configurations.files_beside import json_beside
from onnx_cam.image.configurations.reading import read_configuration

__all__ = ["stated_kind"]

_KEY = "problem_type"  # of Hugging Face's config.json
_KINDS = {"multi_label_classification": "multi-label", "regression": "raw"}


def stated_kind(model: ModelFile) -> tuple[HeadKind, str] | None:
    """Return what a model's metadata or configuration says of the numbers of its last linear layer, and where.

    Returns
    -------
    tuple of HeadKind and str, or None
        None where nothing says that they are other than logits.

    Examples
    --------
    >>> from pathlib import Path
    >>> from onnx_cam.graph.read import read_model
    >>> _ = Path("config.json").write_text('{"problem_type": "multi_label_classification"}')
    >>> kind, source = stated_kind(read_model("model.onnx"))
    >>> str(kind)
    'multi-label'
    """
    places: list[tuple[object, str]] = [(model.metadata.get(_KEY), "the model's metadata")]
    for path in json_beside(model.path):
        try:
            places.append((read_configuration(path).get(_KEY), str(path)))
        except PreprocessingError:  # what else it holds is read elsewhere, and named there
            continue
    for value, where in places:
        if isinstance(value, str) and value in _KINDS:
            return HEADS[_KINDS[value]], f"{where}, {_KEY}: {value}"
    return None
