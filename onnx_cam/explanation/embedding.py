"""A model with its own heatmap as an extra output: for programs that run the model and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from onnx_cam._version import __version__
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.exporting import check_layer, check_place
from onnx_cam.classifier.loading import load
from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.explanation.embedding_plan import deployed_model, make_plan
from onnx_cam.explanation.embedding_proof import Proof, prove_heatmap
from onnx_cam.explanation.warnings import geometry_warnings
from onnx_cam.files import results_folder, staged_file
from onnx_cam.graph.external_copies import copy_external_data, remove_copies
from onnx_cam.graph.heatmap import HeatmapPlan, add_heatmap
from onnx_cam.graph.inputs.declared import declared_sizes
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.read import ModelSource
from onnx_cam.methods import METHODS
from onnx_cam.names import HEATMAP_METHODS, HEATMAP_RESOLUTIONS

__all__ = ["METADATA_KEY", "EmbeddedHeatmap", "check_heatmap", "export_heatmap"]

METADATA_KEY = "onnx_cam.heatmap"
"""The metadata property that says how an embedded heatmap is made, as JSON."""

HeatmapTarget = int | Literal["top1", "input"]


@dataclass(frozen=True)
class EmbeddedHeatmap:
    """How a model's own heatmap is made, and how well it agrees with `explain`.

    Attributes
    ----------
    method : str
    layer : Layer
    target : int or {"top1", "input"}
        A class, the likeliest of each image, or that of the input ``heatmap_target``.
    resolution : {"layer", "input"}
    size : tuple of int
        The height and width of the heatmap.
    proof : Proof
        The largest differences on trial images.
    notes : tuple of str
        What whoever uses the heatmap should know, a line each.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.export_heatmap("model.onnx", "explaining.onnx").method
    'cam'
    """

    method: str
    layer: Layer
    target: HeatmapTarget
    resolution: str
    size: tuple[int, int]
    proof: Proof
    notes: tuple[str, ...]


def export_heatmap(
    model: Classifier | ModelSource,
    out: str | Path,
    *,
    method: str | None = None,
    target: HeatmapTarget = "top1",
    resolution: str = "layer",
    layer: str | Layer | None = None,
) -> EmbeddedHeatmap:
    """Write the model with its own heatmap as an extra output: the file needs nothing but a runtime to explain itself.

    Beside its own outputs, the new model has ``heatmap``, float32 from 0 to 1, and ``heatmap_class``, (N,) int64, the
    class that each map explains. Its own nodes, inputs, outputs, batch and metadata stay as they are; only operators of
    ONNX itself are added, at the model's opset. The file is run before it takes its name: its own outputs must be the
    original's, and its heatmaps those of :func:`onnx_cam.explain`.

    Parameters
    ----------
    model : Classifier, path, bytes or onnx.ModelProto
        What :func:`onnx_cam.load` returned, or a model to load with its default settings.
    out : str or Path
        The file to write; an existing one is replaced whole or not at all. Weights in files beside the model are copied
        to its folder.
    method : {"cam", "gradcam", "gradcam++", "xgradcam", "layercam", "hirescam"}, optional
        By default ``cam`` where one linear layer follows the layer's global average, and ``gradcam`` elsewhere.
    target : int or {"top1", "input"}
        The class to explain: the likeliest of each image; always the same; or what a new input ``heatmap_target``, (N,)
        int64, names for each image, where -1 and any number that is no class stand for the likeliest.
    resolution : {"layer", "input"}
        ``layer``: s(L), (N, h, w), L the layer's map and s min-max normalisation. ``input``: s(U(L)), (N, H, W), U
        bilinear upsampling to the network's input. Zeros where the map is empty or constant.
    layer : str or Layer, optional
        The layer's output tensor or node; by default the default layer.

    Returns
    -------
    EmbeddedHeatmap
        What was written, and how far it is from the original and from `explain`.

    Raises
    ------
    SettingError, TargetError, LayerError
        The method cannot be embedded, there is no such class or layer, or the layer does not lead to the logits.
    MissingRuleError
        The gradient of an operator between the layer and the logits is not known.
    ModelError
        The model has a tensor of one of these names, or the new one does not agree with it.
    OutputError
        The file cannot be written, or it is the model itself.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> embedded = onnx_cam.export_heatmap(model, "explaining.onnx", method="gradcam", resolution="input")
    >>> embedded.layer.name, embedded.size, embedded.proof.heatmap < 1e-4
    ('relu2', (20, 20), True)
    """
    check_heatmap(method, target, resolution)
    path = Path(out)
    classifier = model if isinstance(model, Classifier) else load(model)
    explained = classifier.layer(layer)
    if not isinstance(target, str):
        classifier.labels.index(int(target))
    with results_folder(path.parent):
        check_place(classifier, path)
        check_layer(classifier, explained)
        # Build: the deployed graph with the nodes of the heatmap behind its own.
        proto = deployed_model(classifier)
        plan = make_plan(classifier, proto, method=method, target=target, resolution=resolution, layer=explained)
        add_heatmap(proto, plan, classifier.name)
        _describe(proto, plan, resolution, classifier.size)
        # Write, read back, and prove: only then does the file take its name.
        detached = classifier.file.detached
        content = (proto if detached is None else detached.attached(proto)).SerializeToString()
        with _weights_beside(classifier, proto, path), staged_file(path, content) as staged:
            written = onnx.load(staged, load_external_data=False)
            proof = prove_heatmap(classifier, written, plan, path.resolve().parent if classifier.file.folder else None)
    return EmbeddedHeatmap(
        method=plan.method,
        layer=explained,
        target=target,
        resolution=resolution,
        size=plan.size,
        proof=proof,
        notes=(*_size_notes(classifier), *_fusion_notes(proof), *geometry_warnings(explained)),
    )


def check_heatmap(method: str | None = None, target: object = "top1", resolution: str = "layer") -> None:
    """Check what can be judged without a model.

    Raises
    ------
    SettingError

    Examples
    --------
    >>> check_heatmap("gradcam", "top1", "layer")
    """
    if method is not None and method not in METHODS:
        raise SettingError(
            f"unknown method {method!r}{did_you_mean(str(method), HEATMAP_METHODS)} Expected one of "
            f"{', '.join(HEATMAP_METHODS)}"
        )
    if method is not None and method not in HEATMAP_METHODS:
        raise SettingError(
            f"a heatmap of {method} takes many runs of the model, so that it cannot be an output of a single one; "
            f"expected one of {', '.join(HEATMAP_METHODS)}"
        )
    is_index = isinstance(target, int | np.integer) and not isinstance(target, bool)
    if not is_index and target not in ("top1", "input"):
        raise SettingError(f"invalid target {target!r} of a heatmap: expected top1, input or the index of a class")
    if resolution not in HEATMAP_RESOLUTIONS:
        raise SettingError(f"unknown resolution {resolution!r}: expected one of {', '.join(HEATMAP_RESOLUTIONS)}")


def _describe(proto: onnx.ModelProto, plan: HeatmapPlan, resolution: str, size: tuple[int, int]) -> None:
    """Say in the metadata how the heatmap is made."""
    content = {
        "method": plan.method,
        "layer": plan.layer.name,
        "target": plan.target,
        "resolution": resolution,
        "input_size": list(size),
        "version": __version__,
    }
    proto.metadata_props.add(key=METADATA_KEY, value=json.dumps(content, ensure_ascii=False))


@contextmanager
def _weights_beside(model: Classifier, proto: onnx.ModelProto, path: Path) -> Iterator[None]:
    """Copy the files with the model's weights beside the new one; where that fails, they are removed again."""
    written = copy_external_data(proto, model.file.folder, path.resolve().parent)
    try:
        yield
    except BaseException:
        remove_copies(written)
        raise


def _size_notes(model: Classifier) -> tuple[str, ...]:
    """Return a note where the file itself leaves height or width of the input free, also where --size gave them."""
    inputs = model.facts.prepared.file.proto.graph.input
    sizes = declared_sizes(next(info for info in inputs if info.name == model.input.name))
    if None not in (sizes[2:] if model.input.layout == "NCHW" else sizes[1:3]):
        return ()
    height, width = model.size
    return (
        f"the file leaves height and width of the input free, and the heatmap only holds for {height}×{width} pixels "
        "(height × width), the size used here: for another, export it with another --size",
    )


def _fusion_notes(proof: Proof) -> tuple[str, ...]:
    if not proof.is_fused_otherwise:
        return ()
    return (
        f"the model's own outputs differ by up to {100 * proof.outputs:.2g} % of the largest: a heatmap keeps ONNX "
        "Runtime from fusing some quantized operators, and without its graph optimisations the outputs are the same",
    )
