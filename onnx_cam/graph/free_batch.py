"""Free a batch size that the file fixes: a graph that takes one image becomes one that takes any number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.walk_protobuf import all_graphs, all_names, find_attribute, subgraphs

__all__ = ["free_batch"]

_DEFAULT_DOMAINS = ("", "ai.onnx")
_EXPAND_SINCE = 8  # the opset that brought Expand
_INFERRED = -1  # in a Reshape's shape: what is left of the elements
_COPIED = 0  # in a Reshape's shape: as in the input


def free_batch(proto: onnx.ModelProto, image_input: str) -> onnx.ModelProto:
    """Return the model with the first dimension of its image input and outputs free.

    Whatever else depends on the fixed batch size is rewritten too, in the main graph:

    * A Reshape to a constant ``[1, n]`` becomes one to ``[-1, n]``, or to ``[0, -1]`` where n is -1 already.
    * A constant such as a class token, which is concatenated to tensors computed from the image, or is expanded to the
      fixed batch, is expanded to the batch of the run.
    * The shapes of intermediate tensors that the file lists for information (``value_info``) are dropped.

    A graph is never refused: nodes that are not understood stay as they are. The result is therefore a proposal, and
    only a run can prove it: several *different* images in one batch must give what each of them gives alone.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    image_input : str
        The input that takes the image.

    Returns
    -------
    onnx.ModelProto
        A copy; without changes where the input has no fixed batch.

    Examples
    --------
    >>> info = onnx.helper.make_tensor_value_info
    >>> image, scores = (info(name, onnx.TensorProto.FLOAT, [1, 3]) for name in ("image", "scores"))
    >>> nodes = [onnx.helper.make_node("Identity", ["image"], ["scores"])]
    >>> model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "main", [image], [scores]))
    >>> free_batch(model, "image").graph.input[0].type.tensor_type.shape.dim[0].dim_param
    'batch'
    """
    freed = onnx.ModelProto()
    freed.CopyFrom(proto)
    batch = _fixed_batch(freed.graph, image_input)
    if batch is not None:
        _free_dimensions(freed.graph, image_input, batch)
        _Rewriting(freed, image_input, batch).run()
    return freed


def _fixed_batch(graph: onnx.GraphProto, image_input: str) -> int | None:
    """Return the batch size that the input states; None where it is free."""
    for info in graph.input:
        if info.name == image_input and info.type.tensor_type.shape.dim:
            size = info.type.tensor_type.shape.dim[0].dim_value
            return size if size > 0 else None
    return None


def _free_dimensions(graph: onnx.GraphProto, image_input: str, batch: int) -> None:
    del graph.value_info[:]
    for info in [*(info for info in graph.input if info.name == image_input), *graph.output]:
        dimensions = info.type.tensor_type.shape.dim
        if dimensions and dimensions[0].dim_value == batch:
            dimensions[0].dim_param = "batch"


class _Rewriting:
    """One walk along the nodes, in the order in which they run, that keeps track of the tensors that carry the batch.

    Attributes
    ----------
    batch_tensors : set of str
        The tensors that are computed from the image.
    uncertain_tensors : set of str
        Those of them whose first dimension may be something else than the batch.
    certain_tensors : set of str
        Those whose first dimension is the batch again, after a Reshape that says so.
    old_inputs : set of str
        The constants that nodes read before and that were replaced; nothing may need them any more.
    """

    def __init__(self, model: onnx.ModelProto, image_input: str, batch: int) -> None:
        self.graph = model.graph
        self.opset = next((o.version for o in model.opset_import if o.domain in _DEFAULT_DOMAINS), 1)
        self.image_input = image_input
        self.batch = batch
        self.constants = Constants(model)
        self.batch_tensors = {image_input}
        self.uncertain_tensors: set[str] = set()
        self.certain_tensors: set[str] = set()
        self.old_inputs: set[str] = set()
        self.names = all_names(model.graph)
        self.nodes: list[onnx.NodeProto] = []
        self.runtime_batch = ""

    def run(self) -> None:
        rewrites = {"Reshape": self._reshape, "Concat": self._concat, "Expand": self._expand}
        for node in self.graph.node:
            # Rewrite the node; the nodes that this adds come before it in the new list.
            if node.op_type in rewrites and node.domain in _DEFAULT_DOMAINS:
                rewrites[node.op_type](node)
            self._follow_batch(node)
            self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        _drop_unused(self.graph, self.old_inputs)

    def _follow_batch(self, node: onnx.NodeProto) -> None:
        """Note whether a node's outputs carry the batch, and whether it may have moved away from the first place."""
        sources = self.batch_tensors.intersection(node.input)
        if node.op_type in ("Shape", "Size") or not (sources or subgraphs(node)):
            return
        self.batch_tensors.update(filter(None, node.output))  # an optional output left out is called ""
        moves = bool(sources & self.uncertain_tensors) or _may_move_batch(node)
        if moves and self.certain_tensors.isdisjoint(node.output):
            self.uncertain_tensors.update(node.output)

    def _reshape(self, node: onnx.NodeProto) -> None:
        """Free the batch in a Reshape's constant shape: the first element becomes -1, 0, or the batch of the run."""
        attribute = find_attribute(node, "shape")  # before opset 5
        shape = list(attribute.ints) if attribute else self._constant_input(node, 1)
        if not shape or not self._carries_batch(node):
            return
        zero_copies = not (find_attribute(node, "allowzero") or onnx.AttributeProto()).i
        starts_with_batch = shape[0] == self.batch
        if starts_with_batch:
            self.certain_tensors.update(node.output)
        if _INFERRED not in shape and shape[0] > 0 and (zero_copies or _COPIED not in shape):
            # Correct also where the batch is a factor of the first element: (B·windows, n, c).
            self._set_shape(node, [_INFERRED, *shape[1:]])
        elif starts_with_batch and zero_copies and node.input[0] not in self.uncertain_tensors:
            self._set_shape(node, [_COPIED, *shape[1:]])
        elif starts_with_batch and not attribute:
            self._replace_input(node, 1, self._batch_and(shape[1:]))

    def _concat(self, node: onnx.NodeProto) -> None:
        """Expand the constants that are joined to batches: a class token (1, 1, D) becomes (B, 1, D)."""
        attribute = find_attribute(node, "axis")
        axis = attribute.i if attribute else 1
        if self.batch != 1 or self.opset < _EXPAND_SINCE or self.batch_tensors.isdisjoint(node.input):
            return
        for index, name in enumerate(node.input):
            shape = None if name in self.batch_tensors else self.constants.shape(name)
            if shape and shape[0] == 1 and axis not in (0, -len(shape)):
                node.input[index] = self._add("Expand", [name, self._batch_and(shape[1:])])

    def _expand(self, node: onnx.NodeProto) -> None:
        """Expand a constant to the batch of the run; let a batch of any size pass the Expand of a computed tensor."""
        shape = self._constant_input(node, 1)
        if not shape or shape[0] != self.batch or len(shape) < 2:
            return
        if not self._carries_batch(node):
            source_shape = self.constants.shape(node.input[0])
            if source_shape is not None and (len(source_shape) < len(shape) or source_shape[0] == 1):
                self._replace_input(node, 1, self._batch_and(shape[1:]))
                self.batch_tensors.update(node.output)
        elif self.batch > 1:
            self._set_shape(node, [1, *shape[1:]])

    def _carries_batch(self, node: onnx.NodeProto) -> bool:
        return bool(node.input) and node.input[0] in self.batch_tensors

    def _constant_input(self, node: onnx.NodeProto, index: int) -> list[int] | None:
        """Return a list of integers that a node reads, where it is constant."""
        value = self.constants.evaluated(node.input[index]) if index < len(node.input) else None
        return value.tolist() if value is not None and value.ndim == 1 and value.dtype.kind == "i" else None

    def _set_shape(self, node: onnx.NodeProto, shape: Sequence[int]) -> None:
        attribute = find_attribute(node, "shape")
        if attribute:
            attribute.ints[:] = shape
        else:
            self._replace_input(node, 1, self._add_constant(shape))

    def _replace_input(self, node: onnx.NodeProto, index: int, name: str) -> None:
        self.old_inputs.add(node.input[index])
        node.input[index] = name

    def _batch_and(self, rest: Sequence[int]) -> str:
        """Return the name of a shape: the batch of the run, then `rest`."""
        if not self.runtime_batch:
            shape = self._add("Shape", [self.image_input])
            self.runtime_batch = self._add("Gather", [shape, self._add_constant([0])], axis=0)
        return self._add("Concat", [self.runtime_batch, self._add_constant(rest)], axis=0)

    def _add_constant(self, values: Sequence[int]) -> str:
        # A node and not an initializer: up to IR 3 an initializer must be listed among the inputs.
        return self._add("Constant", [], value=numpy_helper.from_array(np.array(values, np.int64)))

    def _add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        number = 0
        while (name := f"free_batch/{op}_{number}") in self.names:
            number += 1
        self.names.add(name)
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


def _may_move_batch(node: onnx.NodeProto) -> bool:
    if node.op_type == "Transpose":
        permutation = find_attribute(node, "perm")
        return permutation is None or list(permutation.ints[:1]) != [0]
    return node.op_type == "Reshape"


def _drop_unused(graph: onnx.GraphProto, names: set[str]) -> None:
    """Remove those of the named constants that nothing reads any more; ONNX Runtime would warn of each."""
    graphs = list(all_graphs(graph))
    read_names = {name for inner in graphs for node in inner.node for name in node.input}
    unused = names - read_names - {output.name for inner in graphs for output in inner.output}
    constants = {tensor.name for tensor in graph.initializer} & unused
    for entries in (graph.initializer, graph.input):
        for index in reversed(range(len(entries))):
            if entries[index].name in constants:
                del entries[index]
    for index in reversed(range(len(graph.node))):
        if graph.node[index].op_type == "Constant" and unused.issuperset(graph.node[index].output):
            del graph.node[index]
