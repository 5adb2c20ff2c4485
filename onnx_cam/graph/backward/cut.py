"""The part of a model behind a layer, as a model of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from onnx_cam.graph.backward.facts import TensorFacts
from onnx_cam.graph.backward.path import Path, tensors_read
from onnx_cam.graph.walk_protobuf import subgraphs

__all__ = ["Cut", "cut_at"]


@dataclass(frozen=True, eq=False)
class Cut:
    """The part of a model behind a layer.

    Attributes
    ----------
    proto : onnx.ModelProto
        A model whose inputs are `border`, without outputs.
    border : tuple of str
        The tensors that it takes from the part before: the layer, and what else the path reads of it, such as the other
        operand of a residual sum.
    """

    proto: onnx.ModelProto
    border: tuple[str, ...]


def cut_at(proto: onnx.ModelProto, path: Path, layer: str, facts: Mapping[str, TensorFacts]) -> Cut:
    """Return the part of a model that a path runs through, and that the gradient at the layer needs.

    Parameters
    ----------
    proto : onnx.ModelProto
        A model without local functions; it is not changed.
    path : Path
    layer : str
        The tensor at which the path begins.
    facts : mapping of str to TensorFacts
        Of each tensor that the path touches.

    Examples
    --------
    >>> from onnx_cam.graph.backward.path import find_path
    >>> model = onnx.load("model.onnx")
    >>> path = find_path(model.graph, "relu2", "logits", {})
    >>> facts = {name: TensorFacts((None,), "float32") for name in path.touched}
    >>> cut = cut_at(model, path, "relu2", facts)
    >>> cut.border, [node.op_type for node in cut.proto.graph.node]
    (('relu2',), ['GlobalAveragePool', 'Flatten', 'Gemm'])
    """
    graph = proto.graph
    stored = {tensor.name for tensor in graph.initializer} | {one.values.name for one in graph.sparse_initializer}
    fixed = _computed_from(graph, stored)
    inside = {name for node in path.nodes for name in node.output}
    read = {name for node in path.nodes for name in tensors_read(node)} | {layer} | path.scales
    border = tuple(name for name in dict.fromkeys([layer, *sorted(read)]) if name not in inside and name not in fixed)

    # The path's own nodes, and those that make the constants that they read, in the model's order.
    needed, nodes = read - set(border), []
    on_path = {id(node) for node in path.nodes}
    for node in reversed(graph.node):
        if id(node) in on_path or (not needed.isdisjoint(node.output) and fixed.issuperset(filter(None, node.output))):
            needed |= tensors_read(node)
            nodes.append(node)
    part = onnx.ModelProto(ir_version=proto.ir_version, producer_name=proto.producer_name)
    part.opset_import.extend(proto.opset_import)
    part.graph.name = graph.name
    part.graph.node.extend(reversed(nodes))
    part.graph.initializer.extend(tensor for tensor in graph.initializer if tensor.name in needed)
    part.graph.sparse_initializer.extend(one for one in graph.sparse_initializer if one.values.name in needed)
    part.graph.input.extend(_declared(name, facts[name]) for name in border)
    if proto.ir_version < 4:  # weights are inputs, too
        part.graph.input.extend(info for info in graph.input if info.name in needed & stored)
    return Cut(part, border)


def _computed_from(graph: onnx.GraphProto, stored: set[str]) -> set[str]:
    """Return the tensors that are stored, or computed from stored ones only."""
    fixed = set(stored)
    for node in graph.node:
        if not subgraphs(node) and fixed.issuperset(filter(None, node.input)):
            fixed.update(filter(None, node.output))
    return fixed


def _declared(name: str, facts: TensorFacts) -> onnx.ValueInfoProto:

    data_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(facts.dtype))
    sizes = [f"{name}_{axis}" if size is None else size for axis, size in enumerate(facts.shape)]
    return onnx.helper.make_tensor_value_info(name, data_type, sizes)
