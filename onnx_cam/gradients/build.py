"""From a protobuf to nodes with rules and to constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from onnx_cam.errors import ModelError, one_line
from onnx_cam.gradients.creation import constant
from onnx_cam.gradients.dtypes import as_tensor
from onnx_cam.gradients.node import Block, Node, Rule
from onnx_cam.gradients.operators import RULES

__all__ = ["Builder", "inlined", "needed"]

_LOOPS = ("Loop", "Scan")


def inlined(proto: onnx.ModelProto, model: str) -> onnx.ModelProto:
    """Return the model with its own functions written out.

    Raises
    ------
    ModelError
        They cannot be.
    """
    if not proto.functions:
        return proto
    from onnx import inliner

    try:
        return inliner.inline_local_functions(proto)
    except Exception as error:  # the inliner, in C++, raises what it likes
        raise ModelError(
            f"the functions of {model} cannot be written out: {one_line(error)}; export it again"
        ) from error


class Builder:
    """Makes blocks of a model's graphs, and collects their constants.

    Parameters
    ----------
    proto : onnx.ModelProto
        Without functions.
    model : str
        The file's name, for messages.
    folder : Path, optional
        Where external weights lie.

    Attributes
    ----------
    buffers : dict of str to Tensor
        Constants by the name of their buffer: a tensor's own may hold dots.
    """

    def __init__(self, proto: onnx.ModelProto, model: str, folder: Path | None) -> None:
        self.buffers: dict[str, Tensor] = {}
        self._model = model
        self._folder = "" if folder is None else str(folder)
        self._opsets = {_domain(entry.domain): entry.version for entry in proto.opset_import}

    def block(self, graph: onnx.GraphProto) -> Block:
        """Return a graph as the nodes that its outputs need, and its constants.

        Raises
        ------
        ModelError
            An operator has no rule.
        """
        outputs = tuple(output.name for output in graph.output)
        constants = {weight.name: self._keep(self._weight(weight)) for weight in graph.initializer if _held(weight)}
        constants |= {w.values.name: self._keep(self._sparse(w)) for w in graph.sparse_initializer}
        nodes = []
        for proto in needed(graph, outputs):
            node = self._node(proto)
            if node.operator == "Constant":
                constants[node.outputs[0]] = self._keep(self._constant(node))
            else:
                nodes.append(node)
        return Block(tuple(nodes), constants, outputs)

    def _node(self, proto: onnx.NodeProto) -> Node:
        domain = _domain(proto.domain)
        plain = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute if not _is_graph(a)}
        graphs = {
            a.name: self.block(a.g) for a in proto.attribute if a.type == onnx.AttributeProto.GRAPH and _is_if(proto)
        }
        return Node(
            proto.op_type,
            domain,
            self._opsets.get(domain, 1),
            proto.name or next(filter(None, proto.output), ""),
            tuple(proto.input),
            tuple(proto.output),
            plain,
            self._rule(proto, domain),
            graphs,
        )

    def _rule(self, proto: onnx.NodeProto, domain: str) -> Rule:
        if _is_if(proto):
            return _never
        rule = RULES.get(domain, {}).get(proto.op_type)
        if rule is not None:
            return rule
        advice = "unroll it" if proto.op_type in _LOOPS else "use a method that needs no gradient, such as scorecam"
        raise ModelError(
            f"{self._model} cannot be differentiated: no rule for operator {proto.op_type} of domain "
            f"{domain or 'ai.onnx'!r}, version {self._opsets.get(domain, 1)}, node "
            f"{proto.name or next(filter(None, proto.output), '')!r}; {advice}"
        )

    def _constant(self, node: Node) -> Tensor:
        try:
            if "sparse_value" in node.attributes:
                return self._sparse(node.attributes["sparse_value"])
            value = constant(node)
        except (TypeError, KeyError, ValueError) as error:
            raise ModelError(
                f"the constant of {node} in {self._model} cannot be used: {one_line(error)}; expected numbers"
            ) from error
        assert isinstance(value, Tensor)
        return value

    def _weight(self, weight: onnx.TensorProto) -> Tensor:
        try:
            return as_tensor(self._array(weight))
        except TypeError as error:
            raise ModelError(
                f"the weight {weight.name!r} of {self._model} has type {error}, which is not supported"
            ) from error

    def _array(self, weight: onnx.TensorProto) -> NDArray[Any]:
        return numpy_helper.to_array(weight, base_dir=self._folder)

    def _sparse(self, weight: onnx.SparseTensorProto) -> Tensor:
        values, indices = self._array(weight.values), self._array(weight.indices)
        dense = np.zeros(tuple(weight.dims), values.dtype)
        places = np.unravel_index(indices, dense.shape) if indices.ndim == 1 else tuple(indices.T)
        dense[places] = values
        return as_tensor(dense)

    def _keep(self, tensor: Tensor) -> str:
        name = f"constant_{len(self.buffers)}"
        self.buffers[name] = tensor
        return name


def needed(graph: onnx.GraphProto, outputs: tuple[str, ...]) -> list[onnx.NodeProto]:
    """Return the nodes that outputs are computed from, in their order."""
    wanted, found = set(outputs), []
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output):
            found.append(node)
            wanted.update(_reads(node))
    return found[::-1]


def _reads(node: onnx.NodeProto) -> set[str]:
    inner = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    names = {name for graph in inner for child in graph.node for name in _reads(child)}
    return names | set(node.input) | {output.name for graph in inner for output in graph.output}


def _held(weight: onnx.TensorProto) -> bool:
    return weight.data_type != onnx.TensorProto.STRING


def _is_graph(attribute: onnx.AttributeProto) -> bool:
    return attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


def _is_if(node: onnx.NodeProto) -> bool:
    return node.op_type == "If" and not _domain(node.domain)


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _never(node: Node, *inputs: Tensor) -> Tensor:
    raise AssertionError("a branch is run by the module")
