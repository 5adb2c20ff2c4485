"""A model's own heatmap as an extra output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx_cam.errors import ModelError
from onnx_cam.graph.backward import TensorFacts, add_gradient
from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.emission import emission_opset
from onnx_cam.graph.head import Head
from onnx_cam.graph.heatmap.class_rows import emit_class_weights
from onnx_cam.graph.heatmap.formulas import GRADIENT_FORMULAS, weighted_sum
from onnx_cam.graph.heatmap.maps import FlatLayer, oriented
from onnx_cam.graph.heatmap.normalise import Upsampling, normalised, upsampled
from onnx_cam.graph.heatmap.own_weights import separate_weights
from onnx_cam.graph.heatmap.target import emit_fixed_class, emit_likeliest, emit_requested, emit_seed
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.linear_head import LinearHead
from onnx_cam.graph.walk_protobuf import all_names

__all__ = ["CLASS", "HEATMAP", "TARGET", "HeatmapPlan", "add_heatmap"]

HEATMAP, CLASS = "heatmap", "heatmap_class"
"""The new outputs: the map of each image, and the class that it explains."""

TARGET = "heatmap_target"
"""The new input with the classes to explain, where they are given at run time."""

_PART = "heatmap"


@dataclass(frozen=True, eq=False)
class HeatmapPlan:
    """What a heatmap is made of.

    Attributes
    ----------
    method : str
        ``cam``, or a method of `GRADIENT_FORMULAS`.
    target : int or {"top1", "input"}
        A class, the likeliest of each image, or that of the input `TARGET`.
    layer : Layer
    head : Head
    classes : int
    binary : bool
        Whether the output holds a single number for two classes.
    facts : mapping of str to TensorFacts
        Of each tensor between the layer and the logits.
    batch : int, str or None
        The first size of the new outputs: the number of images, or what the model calls it.
    upsampling : Upsampling or None
        For a map of the input's size; None for one of the layer's.
    linear : LinearHead or None
        What ``cam`` weighs the maps by.
    stored_weights : ndarray or None
        The initializer that holds them, where there is one.

    Examples
    --------
    >>> from onnx_cam.graph.heads import Logits
    >>> layer, head = Layer("relu2", "Relu", (6, 5, 5), True), Head("logits", Logits(), "logits", "")
    >>> HeatmapPlan("gradcam", "top1", layer, head, classes=4, binary=False, facts={}, batch="N").size
    (5, 5)
    """

    method: str
    target: int | str
    layer: Layer
    head: Head
    classes: int
    binary: bool
    facts: Mapping[str, TensorFacts]
    batch: int | str | None
    upsampling: Upsampling | None = None
    linear: LinearHead | None = None
    stored_weights: NDArray[np.generic] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """The height and width of the heatmap."""
        if self.upsampling is None:
            return self.layer.shape[1:]
        return self.upsampling.rows.shape[0], self.upsampling.columns.shape[1]


def add_heatmap(proto: onnx.ModelProto, plan: HeatmapPlan, name: str) -> None:
    """Add the nodes that compute a heatmap, and the outputs `HEATMAP` and `CLASS`, to a model.

    Its own nodes, inputs and outputs stay as they are, and only ONNX's own operators are added, at the model's opset.

    Parameters
    ----------
    proto : onnx.ModelProto
        A model without local functions between the layer and the logits; it is changed.
    plan : HeatmapPlan
    name : str
        The file's name, for messages.

    Raises
    ------
    ModelError
        It has tensors of these names, or its opset is below 7.
    MissingRuleError, LayerError
        There is no gradient at the layer, as `onnx_cam.graph.backward.add_gradient` says.

    Examples
    --------
    >>> import onnx_cam
    >>> model, proto = onnx_cam.load("model.onnx"), onnx.load("model.onnx")
    >>> layer = model.layer()
    >>> facts = model.gradients.tensor_facts(layer)
    >>> plan = HeatmapPlan("gradcam", 1, layer, model.head, classes=4, binary=False, facts=facts, batch="N")
    >>> add_heatmap(proto, plan, "model.onnx")
    >>> [output.name for output in proto.graph.output]
    ['logits', 'heatmap', 'heatmap_class']
    """
    _check_names(proto, name)
    opset, own_nodes = emission_opset(proto), len(proto.graph.node)
    # The class of each image: (N,) int64.
    start = Emitter(opset, all_names(proto.graph), _PART)
    class_index = _emit_class(proto, start, plan)
    seed = emit_seed(start, class_index, plan.classes, binary=plan.binary) if plan.method != "cam" else ""
    proto.graph.node.extend(start.nodes)
    # What weighs the maps: the gradient of its logit at the layer, which adds its nodes itself, or the rows of CAM.
    layer = FlatLayer(plan.layer, plan.facts[plan.layer.name])
    if plan.method != "cam":
        border = plan.layer.quantization or plan.layer.name
        gradient = add_gradient(proto, border, plan.head.tapped_logits, plan.facts, name, seed=seed)
    # L from both: P numbers an image, then (N, h, w) turned the way the input is.
    end = Emitter(opset, all_names(proto.graph), _PART)
    maps = layer.emit_maps(end)
    if plan.method != "cam":
        flat = GRADIENT_FORMULAS[plan.method](end, maps, layer.flat(end, gradient))
    else:
        assert plan.linear is not None
        weights = emit_class_weights(end, plan.linear, plan.stored_weights, class_index, binary=plan.binary)
        flat = weighted_sum(end, weights, maps)
    cam = oriented(end, flat, layer)
    # s(L), (N, h, w), or s(U(L)), (N, H, W).
    heatmap = normalised(end, cam) if plan.upsampling is None else upsampled(end, cam, plan.upsampling)
    proto.graph.node.extend(end.nodes)
    separate_weights(proto.graph, own_nodes, plan.facts)
    _rename(proto.graph, {heatmap: HEATMAP, class_index: CLASS})
    proto.graph.output.append(helper.make_tensor_value_info(HEATMAP, TensorProto.FLOAT, [plan.batch, *plan.size]))
    proto.graph.output.append(helper.make_tensor_value_info(CLASS, TensorProto.INT64, [plan.batch]))


def _emit_class(proto: onnx.ModelProto, emitter: Emitter, plan: HeatmapPlan) -> str:
    if isinstance(plan.target, int):
        return emit_fixed_class(emitter, plan.head, plan.target)
    likeliest = emit_likeliest(proto, emitter, plan.head, binary=plan.binary)
    if plan.target == "top1":
        return likeliest
    proto.graph.input.append(helper.make_tensor_value_info(TARGET, TensorProto.INT64, [plan.batch]))
    return emit_requested(emitter, TARGET, likeliest, plan.classes)


def _check_names(proto: onnx.ModelProto, name: str) -> None:
    taken = [one for one in (HEATMAP, CLASS, TARGET) if one in all_names(proto.graph)]
    if taken:
        raise ModelError(
            f"{name} already has a tensor {taken[0]!r}, a name that a heatmap needs; if it holds a heatmap, export the "
            "model that it was made from, otherwise rename that tensor"
        )


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        for tensors in (node.input, node.output):
            for place, tensor in enumerate(tensors):
                if tensor in names:
                    tensors[place] = names[tensor]
