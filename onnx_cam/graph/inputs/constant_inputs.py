"""Turn inputs beside the image into constants of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.inputs.values import InputValue
from onnx_cam.graph.new_nodes import constant_node, replace_nodes
from onnx_cam.graph.walk_protobuf import all_names, subgraphs

__all__ = ["fix_inputs"]

_BROADCASTING = {
    *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Div", "Equal", "Exp", "Floor", "Greater"),
    *("GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "Not"),
    *("Or", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sqrt", "Sub", "Sum", "Tanh", "Where", "Xor"),
}
"""Operators to which a value for one image is the same as one that is repeated for each image."""


def fix_inputs(proto: onnx.ModelProto, values: Mapping[str, InputValue], image: str | None) -> onnx.ModelProto:
    """Return the model with inputs replaced by constants of the same names.

    A value that follows the batch has one entry; where an operator does not broadcast it, it is repeated for each image
    of a run. Whether images then still score in a batch as they do alone is for runs to prove.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    values : mapping of str to InputValue
        The inputs by name.
    image : str or None
        The input that takes the image; without it, nothing is repeated.

    Examples
    --------
    >>> flag = onnx.helper.make_tensor_value_info("training", onnx.TensorProto.BOOL, [])
    >>> model = onnx.load("model.onnx")
    >>> model.graph.input.extend([flag])
    >>> fixed = fix_inputs(model, {"training": InputValue(np.array(False), follows_batch=False)}, "image")
    >>> [info.name for info in fixed.graph.input], fixed.graph.node[0].op_type
    (['image'], 'Constant')
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    graph = fixed.graph
    for entries in (graph.input, graph.initializer):  # an input with an initializer has a default
        for index in reversed(range(len(entries))):
            if entries[index].name in values:
                del entries[index]
    constants = [constant_node(name, value.array) for name, value in values.items()]
    single = {name for name, value in values.items() if value.follows_batch}
    replace_nodes(graph, [*constants, *graph.node])
    if image is not None and single:
        replace_nodes(graph, _Repeats(fixed, image).nodes(single))
    return fixed


class _Repeats:
    """The nodes of a graph, with values for one image repeated where an operator does not broadcast them."""

    def __init__(self, proto: onnx.ModelProto, image: str) -> None:
        self._graph = proto.graph
        self._constants = Constants(proto)
        self._image = image
        self._names = all_names(proto.graph)
        self._nodes: list[onnx.NodeProto] = []
        self._repeated: dict[str, str] = {}
        self._batch = ""

    def nodes(self, single: set[str]) -> list[onnx.NodeProto]:
        """Return the nodes, given the tensors that hold a value for one image."""
        single = set(single)
        constants = {"", *(tensor.name for tensor in self._graph.initializer)}
        for node in self._graph.node:
            if node.op_type == "Constant":
                constants.update(node.output)
            if node.op_type in _BROADCASTING and not subgraphs(node):
                # What is made of such values and constants alone is one value for one image, too.
                if single.intersection(node.input) and single | constants >= set(node.input):
                    single.update(node.output)
            else:
                for index, name in enumerate(node.input):
                    if name in single:
                        node.input[index] = self._repeat(name)
            self._nodes.append(node)
        return self._nodes

    def _repeat(self, name: str) -> str:
        """Return the name of a tensor that repeats a value for each image of the run's batch."""
        value = self._constants.evaluated(name)
        if value is None or value.dtype.kind == "V":  # ONNX Runtime cannot repeat the short types
            return name
        if name not in self._repeated:
            if not self._batch:
                shape = self._add("Shape", [self._image])
                self._batch = self._add("Gather", [shape, self._add("Constant", [], value=_integers([0]))], axis=0)
            ones = self._add("Constant", [], value=_integers([1] * (value.ndim - 1)))
            repeats = self._add("Concat", [self._batch, ones], axis=0) if value.ndim > 1 else self._batch
            self._repeated[name] = self._add("Tile", [name, repeats])
        return self._repeated[name]

    def _add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        number = 0
        while (name := f"constant_inputs/{op}_{number}") in self._names:
            number += 1
        self._names.add(name)
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


def _integers(numbers: list[int]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.int64))
