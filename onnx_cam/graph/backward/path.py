"""The part of a graph between a layer and the logits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from onnx_cam.graph.walk_protobuf import subgraphs, tensors_read

__all__ = ["PARAMETERS", "Path", "ends_gradient", "find_path"]

_SHAPES = ("Shape", "Size")
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)

PARAMETERS: Mapping[str, tuple[int, ...]] = {
    "BitShift": (1,),
    "Clip": (1, 2),
    "CumSum": (1,),
    "Expand": (1,),
    "Gather": (1,),
    "GatherElements": (1,),
    "GatherND": (1,),
    "OneHot": (0, 1, 2),
    "Pad": (1, 2, 3),
    "Pow": (1,),
    "QuantizeLinear": (2,),
    "ReduceL1": (1,),
    "ReduceL2": (1,),
    "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceProd": (1,),
    "ReduceSum": (1,),
    "ReduceSumSquare": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Scatter": (1,),
    "ScatterElements": (1,),
    "ScatterND": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""Inputs that say what an operator does, not what it does it to: a rule may need their values."""


@dataclass(frozen=True, eq=False)
class Path:
    """The nodes that a gradient passes on its way from the logits back to a layer.

    Attributes
    ----------
    nodes : tuple of onnx.NodeProto
        In the order in which they run.
    tensors : frozenset of str
        The tensors with a gradient, the layer and the logits included.
    parameters : frozenset of str
        Tensors that say what an operator of the path does, and that neither the image nor a weight enters but by its
        shape.
    scales : frozenset of str
        The scales of a layer or logits of integers, which the path itself may not read.
    """

    nodes: tuple[onnx.NodeProto, ...]
    tensors: frozenset[str]
    parameters: frozenset[str]
    scales: frozenset[str] = frozenset()

    @property
    def touched(self) -> list[str]:
        """Every tensor that a node of the path reads or makes, each once, and the scales.

        Tensors with a gradient that only a branch reads are among them.
        """
        names = [name for node in self.nodes for name in (*node.input, *node.output) if name]
        return list(dict.fromkeys([*names, *sorted(self.tensors), *sorted(self.scales)]))


def find_path(graph: onnx.GraphProto, layer: str, logits: str, ends: Mapping[str, Iterable[str]]) -> Path:
    """Return the part of a graph between a layer and the logits, empty where the logits do not depend on the layer.

    Parameters
    ----------
    graph : onnx.GraphProto
        With its nodes in the order in which they run.
    layer, logits : str
        Tensors.
    ends : mapping of str to iterable of str
        For each domain the operators whose output has no gradient, such as Shape and ArgMax.

    Examples
    --------
    >>> path = find_path(onnx.load("model.onnx").graph, "relu2", "logits", {"": ["Shape"]})
    >>> [node.op_type for node in path.nodes]
    ['GlobalAveragePool', 'Flatten', 'Gemm']
    """
    # Forwards: what the layer leads to by a way that a gradient can take.
    reached = {layer}
    after = []
    for node in graph.node:
        if ends_gradient(node, ends) or layer in node.output or reached.isdisjoint(tensors_read(node)):
            continue
        reached.update(filter(None, node.output))
        after.append(node)
    # Backwards: what of that leads to the logits.
    needed, nodes = {logits}, []
    for node in reversed(after):
        if not needed.isdisjoint(node.output):
            needed.update(tensors_read(node))
            nodes.append(node)
    return Path(tuple(reversed(nodes)), frozenset(needed & reached), frozenset(_parameters(graph, nodes)))


def _parameters(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> set[str]:
    fixed = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if (node.op_type in _SHAPES and not node.domain) or (
            not subgraphs(node) and fixed.issuperset(tensors_read(node))
        ):
            fixed.update(node.output)
    read = {node.input[i] for node in nodes for i in PARAMETERS.get(node.op_type, ()) if i < len(node.input)}
    return {name for name in read if name in fixed}


def ends_gradient(node: onnx.NodeProto, ends: Mapping[str, Iterable[str]]) -> bool:
    """Return whether a node's outputs have no gradient: by its operator, or as a Cast to integers."""
    if node.op_type not in ends.get("" if node.domain == "ai.onnx" else node.domain, ()):
        return False
    return node.op_type != "Cast" or next(one.i for one in node.attribute if one.name == "to") not in _FLOATS
