"""Nodes that are put into a graph's protobuf, and names for what they make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper

__all__ = ["constant_node", "replace_nodes", "unused_name"]


def constant_node(name: str, value: ArrayLike) -> onnx.NodeProto:
    """Return a Constant that makes a tensor of that name.

    It is a node and not an initializer: up to IR 3 an initializer must be listed among the inputs.

    Examples
    --------
    >>> constant_node("axes", [0, 1]).output
    ['axes']
    """
    tensor: Any = numpy_helper.from_array(np.asarray(value))
    return helper.make_node("Constant", [], [name], name=name, value=tensor)


def unused_name(name: str, names: set[str]) -> str:
    """Return a name that is not among those in use, as near to the wanted one as possible, and add it to them.

    Examples
    --------
    >>> unused_name("shape", {"shape"})
    'shape_'
    """
    while name in names:
        name += "_"
    names.add(name)
    return name


def replace_nodes(graph: onnx.GraphProto | onnx.FunctionProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Replace the nodes of a graph, of which some may be among the new ones.

    Examples
    --------
    >>> graph = onnx.load("model.onnx").graph
    >>> replace_nodes(graph, graph.node[:2])
    >>> [node.op_type for node in graph.node]
    ['Conv', 'Relu']
    """
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
