"""The nodes of a gradient as a model of their own, beside the model that runs forwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from onnx_cam.graph.backward.facts import TensorFacts
from onnx_cam.graph.backward.reverse import SEED, Gradient
from onnx_cam.graph.walk_protobuf import subgraphs

__all__ = ["BackwardModel", "backward_model"]


@dataclass(frozen=True, eq=False)
class BackwardModel:
    """A model that computes the gradient at a layer from what a run of the network left.

    Attributes
    ----------
    proto : onnx.ModelProto
        Its inputs are `border` and the seed, `SEED`; its only output is the gradient.
    border : tuple of str
        The tensors of the network that the nodes read, such as the outputs of a ReLU; none where weights are enough.
    """

    proto: onnx.ModelProto
    border: tuple[str, ...]


def backward_model(proto: onnx.ModelProto, gradient: Gradient, facts: Mapping[str, TensorFacts]) -> BackwardModel:
    """Return a model of the nodes that compute a gradient.

    The network itself is run once, with the tensors that these nodes read as extra outputs; any number of classes
    share that run.

    Parameters
    ----------
    proto : onnx.ModelProto
        The network, without local functions; it is not changed.
    gradient : Gradient
        Its seed is `SEED`.
    facts : mapping of str to TensorFacts
        Of each tensor that the path touches.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.graph.backward.reverse import find_gradient
    >>> model, proto = onnx_cam.load("model.onnx"), onnx.load("model.onnx")
    >>> facts = model.gradients.tensor_facts(model.layer("relu1"))
    >>> gradient = find_gradient(proto, "relu1", "logits", facts, "model.onnx")
    >>> backward_model(proto, gradient, facts).border
    ('relu2',)
    """
    graph = proto.graph
    stored = {tensor.name for tensor in graph.initializer} | {one.values.name for one in graph.sparse_initializer}
    fixed = _computed_from(graph, stored)
    made = {name for node in gradient.nodes for name in node.output}
    read = {name for node in gradient.nodes for name in node.input if name} - made - {SEED}
    border = tuple(sorted(read - fixed))

    # The nodes themselves, and before them those of the network that make the constants that they read.
    needed, makers = read - set(border), []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output) and fixed.issuperset(filter(None, node.output)):
            needed |= {name for name in node.input if name}
            makers.append(node)
    part = onnx.ModelProto(ir_version=proto.ir_version, producer_name=proto.producer_name)
    part.opset_import.extend(proto.opset_import)
    part.graph.name = graph.name
    part.graph.node.extend([*reversed(makers), *gradient.nodes])
    part.graph.initializer.extend(tensor for tensor in graph.initializer if tensor.name in needed)
    part.graph.sparse_initializer.extend(one for one in graph.sparse_initializer if one.values.name in needed)
    part.graph.input.extend(_declared(name, facts[name]) for name in border)
    part.graph.input.append(onnx.helper.make_tensor_value_info(SEED, onnx.TensorProto.FLOAT, ["N", gradient.classes]))
    if proto.ir_version < 4:  # weights are inputs, too
        part.graph.input.extend(info for info in graph.input if info.name in needed & stored)
    part.graph.output.append(onnx.helper.make_tensor_value_info(gradient.output, onnx.TensorProto.FLOAT, None))
    return BackwardModel(part, border)


def _computed_from(graph: onnx.GraphProto, stored: set[str]) -> set[str]:
    """Return the tensors that are stored, or computed from stored ones only."""
    fixed = set(stored)
    for node in graph.node:
        if not subgraphs(node) and fixed.issuperset(filter(None, node.input)):
            fixed.update(filter(None, node.output))
    return fixed


def _declared(name: str, facts: TensorFacts) -> onnx.ValueInfoProto:
    data_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(facts.dtype))
    sizes = [f"{name}_{axis}" if size is None else size for axis, size in enumerate(facts.shape)]
    return onnx.helper.make_tensor_value_info(name, data_type, sizes)
