"""The values of a model's constants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray
from onnx import helper

from onnx_cam.graph.external_data import inlined, inlined_node, stored_array
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.walk_protobuf import find_attribute, subgraphs

__all__ = ["Constants"]

Floats = NDArray[np.float32]


class Constants:
    """The values of a model's constants, wherever in the main graph they are kept.

    Parameters
    ----------
    model : ModelFile or onnx.ModelProto
        The model. Weights in files beside it are read where a ModelFile says in which folder they are.

    Examples
    --------
    >>> weight = onnx.numpy_helper.from_array(np.array([2.0, 3.0]), "weight")
    >>> nodes = [
    ...     onnx.helper.make_node("Identity", ["weight"], ["same"]),
    ...     onnx.helper.make_node("Neg", ["weight"], ["negative"]),
    ...     onnx.helper.make_node("Add", ["image", "weight"], ["sum"]),
    ... ]
    >>> graph = onnx.helper.make_graph(nodes, "main", [], [], [weight])
    >>> constants = Constants(onnx.helper.make_model(graph))
    >>> constants.value("same")
    array([2., 3.])
    >>> constants.value("negative") is None  # it is computed
    True
    >>> constants.evaluated("negative")
    array([-2., -3.])
    >>> constants.evaluated("sum") is None  # it depends on the image
    True
    """

    def __init__(self, model: ModelFile | onnx.ModelProto) -> None:
        proto = model.proto if isinstance(model, ModelFile) else model
        self._weights = model.weights if isinstance(model, ModelFile) else None
        self._nodes = list(proto.graph.node)
        self._opsets = list(proto.opset_import)
        self._initializers = {tensor.name: tensor for tensor in proto.graph.initializer}
        self._makers = {name: node for node in proto.graph.node for name in node.output if name}

    def value(self, tensor: gs.Tensor | str) -> NDArray[Any] | None:
        """Return the value that the file stores for a tensor; None where a run computes it.

        An Identity, Transpose or DequantizeLinear between the stored value and the tensor is applied.

        Parameters
        ----------
        tensor : onnx_graphsurgeon.Tensor or str
            A tensor of the main graph, or its name.
        """
        name = tensor if isinstance(tensor, str) else tensor.name
        if name in self._initializers:
            return self._array(self._initializers[name])
        maker = self._makers.get(name)
        return None if maker is None else self._output(maker)

    def _output(self, node: onnx.NodeProto) -> NDArray[Any] | None:
        """Return the output of a node that holds a constant or hands one on; None for any other node."""
        value: NDArray[Any] | None = None
        if node.op_type == "Constant":
            stored = find_attribute(node, "value")
            value = None if stored is None else self._array(stored.t)
        elif node.op_type == "Identity":
            value = self.value(node.input[0])
        elif node.op_type == "Transpose" and (source := self.value(node.input[0])) is not None:
            permutation = find_attribute(node, "perm")
            value = np.transpose(source, None if permutation is None else list(permutation.ints))
        elif node.op_type == "DequantizeLinear":
            axis = find_attribute(node, "axis")
            value = self.dequantized(node.input, 1 if axis is None else axis.i)
        return value

    def dequantized(self, tensors: Sequence[gs.Tensor | str], axis: int) -> Floats | None:
        """Return the numbers that stored integers stand for: ``(integers − zero point) · scale``.

        Parameters
        ----------
        tensors : sequence of onnx_graphsurgeon.Tensor or str
            The integers, their scale, and their zero point if there is one.
        axis : int
            Along which the scale varies, if it does.

        Returns
        -------
        ndarray of the integers' shape, float32, or None
            None where one of the tensors is computed.
        """
        values = [self.value(tensor) for tensor in tensors]
        if any(value is None for value in values):
            return None
        integers, scale, *zero_points = (np.asarray(value, np.float32) for value in values)
        axis = axis % integers.ndim if integers.ndim else 0
        if scale.ndim == integers.ndim > 1 and scale.size > 1:  # a scale for each block along the axis
            return _dequantized_blocks(integers, scale, zero_points[0] if zero_points else None, axis)
        # One scale and zero point per slice along `axis`, broadcast along the other axes.
        shape = [-1 if i == axis and scale.size > 1 else 1 for i in range(integers.ndim)]
        zero_point = zero_points[0].reshape(shape) if zero_points else np.zeros(shape, np.float32)
        return np.asarray((integers - zero_point) * scale.reshape(shape), np.float32)

    def evaluated(self, name: str) -> NDArray[Any] | None:
        """Return a tensor's value even where it is computed, as long as it is computed from constants only.

        None also where that fails: for weights in a file of an unknown folder, or an operator that onnx does not know.
        """
        if not name or name not in self._constant_names:
            return None
        try:
            stored = self.value(name)
            return self._evaluate(name) if stored is None else stored
        except Exception:  # the reference implementation raises whatever an odd node makes it raise
            return None

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a tensor that is constant or computed from constants only; None for any other."""
        if name in self._initializers:
            return tuple(self._initializers[name].dims)
        value = self.evaluated(name)
        return None if value is None else value.shape

    def _array(self, tensor: onnx.TensorProto) -> NDArray[Any]:
        return stored_array(tensor, self._weights)

    @cached_property
    def _constant_names(self) -> set[str]:
        """The names of initializers, and of tensors computed from them; ``""`` is an optional input left out."""
        return {"", *self._initializers, *(name for node in self._constant_nodes for name in node.output)}

    @cached_property
    def _constant_nodes(self) -> list[onnx.NodeProto]:
        names = {"", *self._initializers}
        constant_nodes = []
        for node in self._nodes:
            if names.issuperset(node.input) and not subgraphs(node):
                names.update(node.output)
                constant_nodes.append(node)
        return constant_nodes

    def _evaluate(self, name: str) -> NDArray[Any]:
        """Run the nodes before a tensor: PyTorch writes an Expand's shape as a Where over a ConstantOfShape."""
        from onnx.reference import ReferenceEvaluator

        nodes: list[onnx.NodeProto] = []
        names = {name}
        for node in reversed(self._constant_nodes):
            if not names.isdisjoint(node.output):
                names.update(node.input)
                nodes.insert(0, inlined_node(node, self._weights))
        weights = [inlined(self._initializers[name], self._weights) for name in names.intersection(self._initializers)]
        graph = helper.make_graph(nodes, "constant", [], [onnx.ValueInfoProto(name=name)], weights)
        evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=self._opsets))
        return np.asarray(next(iter(evaluator.run(None, {}))))


def _dequantized_blocks(integers: Floats, scale: Floats, zero_point: Floats | None, axis: int) -> Floats:
    """Return the numbers that integers stand for, where each block of them along an axis has a scale of its own."""
    block = -(-integers.shape[axis] // scale.shape[axis])
    length = integers.shape[axis]

    def spread(values: Floats) -> Floats:
        return np.take(np.repeat(values, block, axis=axis), range(length), axis=axis)

    shifted = integers if zero_point is None else integers - spread(zero_point)
    return np.asarray(shifted * spread(scale), np.float32)
