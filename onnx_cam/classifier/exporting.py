"""Export: the model with one of its layers as an extra output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import LayerError, ModelError, OutputError
from onnx_cam.files import results_folder, write_files
from onnx_cam.graph.external_data import external_files
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.tap import tap

__all__ = ["by_chance", "check_layer", "check_place", "export", "same_outputs"]

_ELEMENTS = {
    "tensor(float)": onnx.TensorProto.FLOAT,
    "tensor(float16)": onnx.TensorProto.FLOAT16,
    "tensor(uint8)": onnx.TensorProto.UINT8,
    "tensor(int8)": onnx.TensorProto.INT8,
}


def export(model: Classifier, path: str | Path, *, layer: str | None = None) -> Layer:
    """Write the model with a layer as an extra output, after its own; nothing else in it changes.

    It is run before it is written: its own outputs must be those of the original.

    Parameters
    ----------
    model : Classifier
    path : str or Path
        The file to write; an existing one is replaced whole or not at all.
    layer : str, optional
        The layer's output tensor or node; by default the default layer.

    Returns
    -------
    Layer
        The layer that was added.

    Raises
    ------
    LayerError, OutputError, ModelError
        There is no such layer; the file cannot be written; the new model does not give the original's outputs.

    Examples
    --------
    >>> import onnx_cam
    >>> layer = onnx_cam.export(onnx_cam.load("model.onnx"), "tapped.onnx", layer="relu1")
    >>> layer.name, layer.shape
    ('relu1', (6, 10, 10))
    """
    path = Path(path)
    explained = model.layer(layer)
    with results_folder(path.parent):
        check_place(model, path)
        _check_folder(model, path)
        check_layer(model, explained)
        output = explained.blocked or _value_info(model, explained)
        tapped = tap(model.file.proto, [output])
        _prove(model, tapped, explained)
        whole = tapped if model.file.detached is None else model.file.detached.attached(tapped)
        write_files({path: whole.SerializeToString()})
    return explained


def check_place(model: Classifier, path: Path) -> None:
    """Refuse a path that is no file, or that is the model itself or one of its files of weights.

    Raises
    ------
    OutputError
    """
    if os.path.exists(path) and not path.is_file():
        raise OutputError(f"'{path}' is a folder or a device; expected the path of a file to write")
    if model.file.path is not None and _is_same_file(path, model.file.path):
        raise OutputError(f"'{path}' is the model itself; give another path with -o")
    if any(_is_same_file(path, weights) for weights in external_files(model.file.proto, model.file.folder)):
        raise OutputError(f"'{path}' holds weights of the model; give another path with -o")


def _is_same_file(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, by links of either kind as well."""
    if path.resolve() == other.resolve():
        return True
    return os.path.exists(path) and os.path.exists(other) and path.samefile(other)


def _check_folder(model: Classifier, path: Path) -> None:
    if model.file.folder is not None and path.resolve().parent != model.file.folder:
        raise OutputError(
            f"{model.name} keeps weights in files beside it; write the new model to their folder: "
            f"{model.file.folder / path.name}"
        )


def check_layer(model: Classifier, layer: Layer) -> None:
    """Refuse a layer that the file's main graph does not have.

    Raises
    ------
    LayerError
    """
    if not any(layer.name in node.output for node in model.file.proto.graph.node):
        raise LayerError(
            f"layer {layer.name!r} of {model.name} lies in the branch of an If that a given value decides on; only "
            "layers of the main graph can be exported: choose another --layer"
        )


def _value_info(model: Classifier, layer: Layer) -> onnx.ValueInfoProto:
    """Return the layer's type and shape, open where the runtime's inference leaves it open."""
    tapped = tap(model.facts.prepared.file.proto, [layer.name])
    shape, kind = model.sessions.open(tapped, optimise=False).outputs[layer.name]
    return onnx.helper.make_tensor_value_info(layer.name, _ELEMENTS[kind], shape or None)


def same_outputs(old: Any, new: Any) -> bool:
    """Tell whether two runs gave the same output: to 1e-4 + 0.1 % where it holds floating-point numbers."""
    if np.array_equal(old, new):
        return True
    return getattr(old, "dtype", np.dtype(int)).kind == "f" and np.allclose(
        old, new, rtol=1e-3, atol=1e-4, equal_nan=True
    )


def _prove(model: Classifier, tapped: onnx.ModelProto, layer: Layer) -> None:
    images = model.trial_images(model.input.batch or 1)
    names = [output.name for output in model.file.proto.graph.output]
    before = model.sessions.open(model.facts.prepared.file.proto).run_once(images, names)
    after = model.sessions.open(model.facts.prepared.with_proto(tapped)).run_once(images, names)
    for name, old, new in zip(names, before, after, strict=True):
        if not same_outputs(old, new):
            raise ModelError(
                f"with {layer.name!r} as an extra output, output {name!r} of {model.name} changes"
                f"{by_chance(model)}; nothing was written"
            )


def by_chance(model: Classifier) -> str:
    """Return what to add to a message about numbers that differ, where two equal runs differ as well."""
    return f", but equal runs differ anyway: {model.facts.randomness}" if model.facts.randomness else ""
