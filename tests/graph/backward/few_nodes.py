"""Models of a few nodes, for what a single node does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.gradients.one_node import Array, Case

__all__ = ["Nodes", "node"]


@dataclass(frozen=True)
class Nodes(Case):
    """Nodes from the image, `input0`, to `output0`; `weights` are constants by their name."""

    nodes: Sequence[onnx.NodeProto] = ()
    weights: Mapping[str, Array] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("input0", onnx.TensorProto.FLOAT, self.image().shape)
        output = helper.make_empty_tensor_value_info("output0")
        weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in self.weights.items()]
        graph = helper.make_graph(self.nodes, "few", [image], [output], weights)
        return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", self.opset)])


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """Return a node; the names of several tensors are separated by spaces."""
    return helper.make_node(operator, inputs.split(" "), outputs.split(" "), **attributes)
