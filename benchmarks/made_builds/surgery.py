"""What changes of a graph have in common: its convolutions, its weights, and operators at its ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = [
    "Floats",
    "add_constant",
    "change",
    "convolutions",
    "feed_through",
    "head",
    "insert_after",
    "last_maps",
    "make",
    "rename_output",
]

Floats = NDArray[np.float32]


def convolutions(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the convolutions in the graph's order."""
    return [node for node in model.graph.node if node.op_type == "Conv"]


def head(model: onnx.ModelProto) -> onnx.NodeProto:
    """Return the linear layer that gives the logits."""
    gemm: onnx.NodeProto = next(node for node in reversed(model.graph.node) if node.op_type == "Gemm")
    return gemm


def last_maps(model: onnx.ModelProto) -> onnx.NodeProto:
    """Return the operator whose output the global average is taken of."""
    pool = next(node for node in model.graph.node if node.op_type == "GlobalAveragePool")
    last: onnx.NodeProto = next(node for node in model.graph.node if pool.input[0] in node.output)
    return last


def change(model: onnx.ModelProto, name: str, function: Callable[[Floats], NDArray[Any]]) -> None:
    """Replace a weight by what a function makes of it."""
    for weight in model.graph.initializer:
        if weight.name == name:
            changed = np.asarray(function(numpy_helper.to_array(weight).copy()), np.float32)
            weight.CopyFrom(numpy_helper.from_array(changed, name))
            return
    raise KeyError(name)


def add_constant(model: onnx.ModelProto, name: str, value: NDArray[Any]) -> str:
    """Add a weight; return its name."""
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def rename_output(model: onnx.ModelProto, node: onnx.NodeProto, name: str) -> str:
    """Give a node's output another name, which nothing reads; return the old name."""
    old: str = node.output[0]
    node.output[0] = name
    return old


def feed_through(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], name: str) -> None:
    """Put nodes between the image input and what reads it; the last one's output must be called `name`."""
    image = model.graph.input[0].name
    for node in model.graph.node:
        for position, tensor in enumerate(node.input):
            if tensor == image:
                node.input[position] = name
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def insert_after(model: onnx.ModelProto, node: onnx.NodeProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Put nodes behind another one, in the graph's order."""
    position = list(model.graph.node).index(node) + 1
    for offset, one in enumerate(nodes):
        model.graph.node.insert(position + offset, one)


def make(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    """Return a node with one output, called like it."""
    return helper.make_node(operator, list(inputs), [output], name=output, **attributes)
