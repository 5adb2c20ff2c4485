"""Weights that a gradient reads are constants of their own where sharing them with the model would harm either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx_cam.graph.backward import TensorFacts
from onnx_cam.graph.emission import PREFIX
from onnx_cam.graph.new_nodes import constant_node, replace_nodes, unused_name
from onnx_cam.graph.walk_protobuf import all_names, find_attribute, subgraphs

__all__ = ["separate_weights"]

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_INTEGERS = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32)


def separate_weights(graph: onnx.GraphProto, count: int, facts: Mapping[str, TensorFacts]) -> None:
    """Let new nodes read their own form of some weights, which a runtime computes when it loads the model.

    * Dequantized weights: ONNX Runtime runs a convolution or product on integers only where nothing else reads what
      its DequantizeLinear makes. The new nodes dequantize the same integers by themselves.
    * Square weights that the model's own nodes multiply by: OpenVINO (2026.4 at least) rearranges weights for a product
      once and shares that between all products of the same weights, also where one reads them transposed; where both
      have the same sizes, the gradient is silently wrong. Two Neg make a constant of its own of exactly the same
      numbers.

    Neither makes the file larger.

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
    copies = _Copies(graph)
    dequantizers = {node.output[0]: node for node in own if node.op_type == "DequantizeLinear"}
    shapes = {name: one.shape for name, one in facts.items()} | {one.name: tuple(one.dims) for one in graph.initializer}
    shared = _fixed(graph) & {name for node in own if node.op_type in _PRODUCTS for name in node.input}
    for node in new:
        for place, tensor in enumerate(node.input):
            if tensor in dequantizers and copies.can_dequantize(dequantizers[tensor]):
                node.input[place] = copies.dequantized(dequantizers[tensor])
            elif place < 2 and tensor in shared and node.op_type in _PRODUCTS and _is_square(shapes.get(tensor), node):
                node.input[place] = copies.negated_twice(tensor)
    replace_nodes(graph, [*own, *copies.nodes, *new])


class _Copies:
    """The nodes that make other forms of stored tensors, each once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._names = all_names(graph)
        self._made: dict[str, str] = {}

    def negated_twice(self, tensor: str) -> str:
        if tensor not in self._made:
            self._made[tensor] = self._add("Neg", self._add("Neg", tensor))
        return self._made[tensor]

    def can_dequantize(self, node: onnx.NodeProto) -> bool:
        """Whether a DequantizeLinear reads stored 8-bit integers or biases, with one scale, or one along an axis."""
        if not all(name in self._stored for name in node.input if name):
            return False
        integers, scale = self._stored[node.input[0]], self._stored[node.input[1]]
        is_plain = integers.data_type in _INTEGERS and scale.data_type == TensorProto.FLOAT
        return is_plain and len(scale.dims) <= 1 and "block_size" not in {one.name for one in node.attribute}

    def dequantized(self, node: onnx.NodeProto) -> str:
        """Return ``(integers − zero point) · scale``, as the operator computes it."""
        tensor = node.output[0]
        if tensor not in self._made:
            integers, scale, *zero_point = filter(None, node.input)
            numbers = self._add("Cast", integers, to=TensorProto.FLOAT)
            if zero_point:
                numbers = self._add(
                    "Sub", numbers, self._along(node, self._add("Cast", *zero_point, to=TensorProto.FLOAT))
                )
            self._made[tensor] = self._add("Mul", numbers, self._along(node, scale))
        return self._made[tensor]

    def _along(self, node: onnx.NodeProto, parameter: str) -> str:
        """Return a scale or a zero point as it is broadcast to the integers."""
        integers, scale = (self._stored[name] for name in node.input[:2])
        if scale.dims in ([], [1]):
            return parameter
        attribute = find_attribute(node, "axis")
        shape = np.ones(len(integers.dims), np.int64)
        shape[1 if attribute is None else attribute.i] = -1
        name = unused_name(f"{PREFIX}heatmap/{len(self._names)}_Constant", self._names)
        self.nodes.append(constant_node(name, shape))
        return self._add("Reshape", parameter, name)

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = unused_name(f"{PREFIX}heatmap/{len(self._names)}_{operator}", self._names)
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name


def _is_square(shape: Sequence[int | None] | None, node: onnx.NodeProto) -> bool:
    """Whether weights have the same sizes transposed: for each group of a convolution, and more than one channel."""
    if shape is None or len(shape) < 2:
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
