"""Walk a graph from tensor to consumer and producer."""

from __future__ import annotations

import onnx_graphsurgeon as gs

__all__ = ["leading_to", "makes", "only_consumer", "reads"]


def leading_to(graph: gs.Graph, tensor: str) -> set[str]:
    """Return the tensors that a tensor is computed from, itself included."""
    names = {tensor}
    for node in reversed(graph.nodes):  # an ONNX file is sorted
        if not names.isdisjoint(makes(node)):
            names.update(reads(node))
    return names


def only_consumer(tensor: gs.Tensor) -> gs.Node | None:
    """Return the one node that reads a tensor; a Shape beside it does not count."""
    consumers = [node for node in tensor.outputs if node.op != "Shape"]
    return consumers[0] if len(consumers) == 1 and consumers[0].outputs else None


def makes(node: gs.Node) -> list[str]:
    """Return the tensors that a node makes."""
    return [tensor.name for tensor in node.outputs if tensor.name]


def reads(node: gs.Node) -> list[str]:
    """Return the tensors that a node reads; an If's branches read them too."""
    names = [tensor.name for tensor in node.inputs]
    for attribute in node.attrs.values():
        if isinstance(attribute, gs.Graph):
            names += [tensor.name for tensor in attribute.outputs]
            names += [name for inner in attribute.nodes for name in reads(inner)]
    return names
