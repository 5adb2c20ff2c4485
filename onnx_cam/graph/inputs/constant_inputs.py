"""Turn inputs beside the image into constants of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnx_cam.graph.inputs.values import InputValue
from onnx_cam.graph.walk_protobuf import all_names

__all__ = ["fix_inputs"]


def fix_inputs(proto: onnx.ModelProto, values: Mapping[str, InputValue], image: str) -> onnx.ModelProto:
    """Return the model with inputs replaced by constants of the same names.

    A value that follows the batch is repeated for each image of a run. Whether images then still score in a batch as
    they do alone is for runs to prove.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    values : mapping of str to InputValue
        The inputs by name.
    image : str
        The input that takes the image.

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
    image_info = next(info for info in graph.input if info.name == image)
    batch = image_info.type.tensor_type.shape.dim[0]
    nodes = _Nodes(graph, image)
    for name, value in values.items():
        if not value.follows_batch:
            nodes.add_constant(name, value.array)
        elif batch.dim_value > 0:
            nodes.add_constant(name, np.repeat(value.array, batch.dim_value, axis=0))
        else:
            nodes.add_repeated(name, value.array)
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes.nodes, *kept])
    return fixed


class _Nodes:
    """The nodes that take the place of inputs."""

    def __init__(self, graph: onnx.GraphProto, image: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._names = all_names(graph)
        self._image = image
        self._batch = ""

    def add_constant(self, name: str, value: NDArray[Any]) -> str:
        # A node and not an initializer: up to IR 3 an initializer must be listed among the inputs.
        tensor = numpy_helper.from_array(value)
        self.nodes.append(helper.make_node("Constant", [], [name], name=name, value=tensor))
        return name

    def add_repeated(self, name: str, value: NDArray[Any]) -> None:
        """Add a value that is repeated for each image of the run's batch."""
        if not self._batch:
            shape = self._add("Shape", [self._image])
            first = self.add_constant(self._new_name("first"), np.array([0]))
            self._batch = self._add("Gather", [shape, first], axis=0)
        ones = self.add_constant(self._new_name("ones"), np.ones(value.ndim - 1, np.int64))
        repeats = self._add("Concat", [self._batch, ones], axis=0) if value.ndim > 1 else self._batch
        single = self.add_constant(self._new_name(name), value)
        self.nodes.append(helper.make_node("Tile", [single, repeats], [name], name=name))

    def _add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        name = self._new_name(op)
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def _new_name(self, stem: str) -> str:
        number = 0
        while (name := f"constant_inputs/{stem}_{number}") in self._names:
            number += 1
        self._names.add(name)
        return name
