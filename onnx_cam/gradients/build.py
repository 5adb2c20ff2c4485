"""From a protobuf to nodes with rules, and to constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import Tensor

from onnx_cam.errors import ModelError, one_line
from onnx_cam.gradients.creation import constant
from onnx_cam.gradients.dtypes import as_tensor
from onnx_cam.gradients.node import Node, Rule, Subgraph
from onnx_cam.gradients.operators import RULES
from onnx_cam.graph.detached import DetachedWeights
from onnx_cam.graph.external_data import WeightSource, inlined_node, stored_array
from onnx_cam.graph.walk_protobuf import tensors_read

__all__ = ["Builder", "needed_nodes"]

_LOOPS = ("Loop", "Scan")
_UNVERSIONED = 1  # the opset of a domain that the model does not import


class Builder:
    """Translates a model's graphs into nodes with rules, and collects their constants.

    Parameters
    ----------
    proto : onnx.ModelProto
        A model without functions.
    model : str
        The file's name, for messages.
    weights : Path or DetachedWeights, optional
        Where the weights are that the model does not store itself.

    Attributes
    ----------
    buffers : dict of str to Tensor
        The constants, by the names of the module's buffers. These are numbered, since a tensor's own name may contain
        dots, which torch does not allow.

    Examples
    --------
    >>> model = onnx.load("model.onnx")
    >>> builder = Builder(model, "model.onnx", weights=None)
    >>> [node.operator for node in builder.subgraph(model.graph).nodes]
    ['Conv', 'Relu', 'Conv', 'Relu', 'GlobalAveragePool', 'Flatten', 'Gemm']
    >>> len(builder.buffers)
    6
    """

    def __init__(self, proto: onnx.ModelProto, model: str, weights: WeightSource) -> None:
        self.buffers: dict[str, Tensor] = {}
        self._model = model
        self._weights = weights
        self._opsets = {_domain(opset.domain): opset.version for opset in proto.opset_import}

    def subgraph(self, graph: onnx.GraphProto) -> Subgraph:
        """Return a graph as the nodes that its outputs need, and its constants.

        Raises
        ------
        ModelError
            An operator has no rule, or a constant has a type that torch lacks.
        """
        # Weights become buffers, dense ones and sparse ones. Strings are left out: no rule reads them.
        weights = [weight for weight in graph.initializer if weight.data_type != onnx.TensorProto.STRING]
        constants = {weight.name: self._keep(self._weight(weight)) for weight in weights}
        constants |= {weight.values.name: self._keep(self._sparse(weight)) for weight in graph.sparse_initializer}

        # Of the nodes only those are translated that the outputs need, so an unused one may be of any type.
        outputs = tuple(output.name for output in graph.output)
        nodes = []
        for proto in needed_nodes(graph, outputs):
            node = self._node(proto)
            if node.operator == "Constant":
                constants[node.outputs[0]] = self._keep(self._constant(node))
            else:
                nodes.append(node)
        return Subgraph(tuple(nodes), constants, outputs)

    def _node(self, proto: onnx.NodeProto) -> Node:
        """Return a node with its rule; the branches of an If become subgraphs of their own."""
        proto = inlined_node(proto, self._weights)
        domain = _domain(proto.domain)
        attributes = {a.name: self._attribute(a, proto) for a in proto.attribute if not _is_graph(a)}
        subgraph_attributes = [a for a in proto.attribute if a.type == onnx.AttributeProto.GRAPH and _is_if(proto)]
        return Node(
            operator=proto.op_type,
            domain=domain,
            opset=self._opsets.get(domain, _UNVERSIONED),
            name=_name(proto),
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
            attributes=attributes,
            rule=self._rule(proto, domain),
            branches={a.name: self.subgraph(a.g) for a in subgraph_attributes},
        )

    def _attribute(self, attribute: onnx.AttributeProto, proto: onnx.NodeProto) -> Any:
        try:
            return onnx.helper.get_attribute_value(attribute)
        except ValueError as error:  # it refers to an attribute of a function, outside of one, or has no known type
            raise ModelError(
                f"cannot differentiate {self._model}: the attribute {attribute.name!r} of node {_name(proto)!r} "
                "has no value; choose a method that needs no gradient, such as scorecam"
            ) from error

    def _rule(self, proto: onnx.NodeProto, domain: str) -> Rule:
        if _is_if(proto):
            return _run_by_module
        rule = RULES.get(domain, {}).get(proto.op_type)
        if rule is not None:
            return rule
        gradient_free = "choose a method that needs no gradient, such as scorecam"
        advice = f"unroll it, or {gradient_free}" if proto.op_type in _LOOPS else gradient_free
        raise ModelError(
            f"cannot differentiate {self._model}: operator {proto.op_type} of domain {domain or 'ai.onnx'!r}, version "
            f"{self._opsets.get(domain, _UNVERSIONED)}, node {_name(proto)!r} is not supported; {advice}"
        )

    def _constant(self, node: Node) -> Tensor:
        try:
            if "sparse_value" in node.attributes:
                return self._sparse(node.attributes["sparse_value"])
            value = constant(node)
        except (TypeError, KeyError, ValueError) as error:
            raise ModelError(
                f"cannot use the constant of {node} in {self._model}: {one_line(error)}; expected a tensor of numbers"
            ) from error
        assert isinstance(value, Tensor)
        return value

    def _weight(self, weight: onnx.TensorProto) -> Tensor:
        try:
            # Nothing writes to a buffer: those in memory need no copy of their own.
            is_shared = isinstance(self._weights, DetachedWeights) and weight.data_location == onnx.TensorProto.EXTERNAL
            return as_tensor(self._array(weight), copy=not is_shared)
        except TypeError as error:
            raise ModelError(
                f"the weight {weight.name!r} of {self._model} has the unsupported type {error}; convert it to float32"
            ) from error

    def _array(self, weight: onnx.TensorProto) -> NDArray[Any]:
        return stored_array(weight, self._weights)

    def _sparse(self, weight: onnx.SparseTensorProto) -> Tensor:
        """Return a sparse weight as a dense tensor; its indices are (n,) into the flat tensor, or (n, rank)."""
        values, indices = self._array(weight.values), self._array(weight.indices)
        try:
            dense = np.zeros(tuple(weight.dims), values.dtype)
            positions = np.unravel_index(indices, dense.shape) if indices.ndim == 1 else tuple(indices.T)
            dense[positions] = values
            return as_tensor(dense)
        except (ValueError, IndexError, TypeError, MemoryError) as error:
            raise ModelError(
                f"the sparse weight {weight.values.name!r} of {self._model} is damaged: {one_line(error, 120)}; "
                "copy or export the model again"
            ) from error

    def _keep(self, tensor: Tensor) -> str:
        """Store a tensor as a buffer and return the buffer's name."""
        name = f"constant_{len(self.buffers)}"
        self.buffers[name] = tensor
        return name


def needed_nodes(graph: onnx.GraphProto, outputs: tuple[str, ...]) -> list[onnx.NodeProto]:
    """Return the nodes that outputs are computed from, in their order.

    Examples
    --------
    >>> model = onnx.load("model.onnx")
    >>> [node.op_type for node in needed_nodes(model.graph, ("relu1",))]
    ['Conv', 'Relu']
    """
    tensors, nodes = set(outputs), []
    for node in reversed(graph.node):
        if not tensors.isdisjoint(node.output):
            nodes.append(node)
            tensors.update(tensors_read(node))
    return nodes[::-1]


def _is_graph(attribute: onnx.AttributeProto) -> bool:
    return attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


def _is_if(node: onnx.NodeProto) -> bool:
    return node.op_type == "If" and not _domain(node.domain)


def _domain(name: str) -> str:
    """Return a domain's name; ONNX's own has two names, and the empty one is used here."""
    return "" if name == "ai.onnx" else name


def _name(node: onnx.NodeProto) -> str:
    """Return a node's name, or that of its first output."""
    return node.name or next(filter(None, node.output), "")


def _run_by_module(node: Node, *inputs: Tensor) -> Tensor:
    raise AssertionError("the module runs the branches of an If itself")
