"""Weights that the gradient reads transposed are constants of their own, for OpenVINO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx
from onnx import helper

from onnx_cam.graph.backward import TensorFacts
from onnx_cam.graph.emission import PREFIX
from onnx_cam.graph.new_nodes import replace_nodes, unused_name
from onnx_cam.graph.walk_protobuf import all_names, find_attribute, subgraphs

__all__ = ["separate_weights"]

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def separate_weights(graph: onnx.GraphProto, count: int, facts: Mapping[str, TensorFacts]) -> None:
    """Let new nodes read a copy of square weights that the model's own nodes multiply by as well.

    OpenVINO (2026.4 at least) rearranges weights for a product once and shares them between all products of the same
    weights, also where one reads them transposed: where both have the same sizes, the gradient is silently wrong. Two
    Neg make a constant of its own: exactly the same numbers, no larger file, and a runtime computes them when it loads
    the model.

    Parameters
    ----------
    graph : onnx.GraphProto
        It is changed.
    count : int
        How many of its nodes, the first ones, are the model's own.
    facts : mapping of str to TensorFacts
        For the shapes of weights that are computed from stored ones.
    """
    own, new = list(graph.node[:count]), list(graph.node[count:])
    shapes = {name: one.shape for name, one in facts.items()} | {one.name: tuple(one.dims) for one in graph.initializer}
    shared = _fixed(graph) & {name for node in own if node.op_type in _PRODUCTS for name in node.input}
    copies: dict[str, str] = {}
    names = all_names(graph)
    added: list[onnx.NodeProto] = []
    for node in new:
        for place, tensor in enumerate(node.input[:2]):
            if node.op_type in _PRODUCTS and tensor in shared and _is_square(shapes.get(tensor, ()), node):
                if tensor not in copies:
                    added += _copied(tensor, names)
                    copies[tensor] = added[-1].output[0]
                node.input[place] = copies[tensor]
    replace_nodes(graph, [*own, *added, *new])


def _copied(tensor: str, names: set[str]) -> Iterator[onnx.NodeProto]:
    for _ in range(2):
        output = unused_name(f"{PREFIX}heatmap/{len(names)}_Neg", names)
        yield helper.make_node("Neg", [tensor], [output], name=output)
        tensor = output


def _is_square(shape: Sequence[int | None], node: onnx.NodeProto) -> bool:
    """Whether weights have the same sizes transposed: for each group of a convolution, and more than one channel."""
    if len(shape) < 2:
        return False
    group = find_attribute(node, "group")
    rows, columns = shape[:2] if "Conv" in node.op_type else shape[-2:]
    return rows is not None and rows == (columns or 0) * (group.i if group else 1) and columns != 1


def _fixed(graph: onnx.GraphProto) -> set[str]:
    """Return the tensors that are stored, or computed from stored ones only."""
    fixed = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if not subgraphs(node) and fixed.issuperset(filter(None, node.input)):
            fixed.update(filter(None, node.output))
    return fixed
