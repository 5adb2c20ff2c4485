"""Free a batch that the file fixes: a graph that takes one image made to take any number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = ["free_batch"]

_DEFAULT_DOMAINS = ("", "ai.onnx")
_EXPAND_SINCE = 8  # the opset that brought Expand


def free_batch(proto: onnx.ModelProto, image_input: str) -> onnx.ModelProto:
    """Return the model with the first dimension of its image input and outputs free.

    What else bakes the batch in is rewritten with it, in the main graph:

    * a Reshape to a constant ``[1, n]`` becomes one to ``[-1, n]``, or to ``[0, -1]`` where another -1 stands already;
    * a constant (a class token) that is concatenated to what is computed from the image, or expanded to the batch, is
      expanded to the batch that a run brings;
    * shapes that the file merely notes down (``value_info``) are dropped.

    A graph is never refused: what is not understood stays as it is. So the result is a proposal, which only a run can
    prove: several *different* images together must give what each gives alone.

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
    """
    freed = onnx.ModelProto()
    freed.CopyFrom(proto)
    batch = _fixed_batch(freed.graph, image_input)
    if batch is not None:
        _free_dimensions(freed.graph, image_input, batch)
        _Rewriting(freed, image_input, batch).run()
    return freed


def _fixed_batch(graph: onnx.GraphProto, image_input: str) -> int | None:
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
    """One walk along the nodes, which takes note of the tensors that carry the batch."""

    def __init__(self, model: onnx.ModelProto, image_input: str, batch: int) -> None:
        self.graph = model.graph
        self.opset = next((o.version for o in model.opset_import if o.domain in _DEFAULT_DOMAINS), 1)
        self.image_input = image_input
        self.batch = batch
        self.constants = _Constants(model)
        self.batched = {image_input}
        self.folded: set[str] = set()  # batched, but dimension 0 may be something else than the batch
        self.unfolded: set[str] = set()
        self.replaced: set[str] = set()
        self.taken = _names(model.graph)
        self.nodes: list[onnx.NodeProto] = []
        self.runtime_batch = ""

    def run(self) -> None:
        rewrite = {"Reshape": self._reshape, "Concat": self._concat, "Expand": self._expand}
        for node in self.graph.node:
            if node.op_type in rewrite and node.domain in _DEFAULT_DOMAINS:
                rewrite[node.op_type](node)
            self._follow_batch(node)
            self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        _drop_unused(self.graph, self.replaced)

    def _follow_batch(self, node: onnx.NodeProto) -> None:
        sources = self.batched.intersection(node.input)
        if node.op_type in ("Shape", "Size") or not (sources or _has_subgraph(node)):
            return
        self.batched.update(filter(None, node.output))  # an optional output left out is called ""
        if (sources & self.folded or _may_fold(node)) and self.unfolded.isdisjoint(node.output):
            self.folded.update(node.output)

    def _reshape(self, node: onnx.NodeProto) -> None:
        attribute = _attribute(node, "shape")  # before opset 5
        shape = list(attribute.ints) if attribute else self._constant_input(node, 1)
        if not shape or not self._carries_batch(node):
            return
        zero_copies = not (_attribute(node, "allowzero") or onnx.AttributeProto()).i
        led_by_batch = shape[0] == self.batch
        if led_by_batch:
            self.unfolded.update(node.output)
        if -1 not in shape and shape[0] > 0 and (zero_copies or 0 not in shape):
            # Right also where the batch is folded into the first element, as a factor: (B·windows, n, c).
            self._set_shape(node, [-1, *shape[1:]])
        elif led_by_batch and zero_copies and node.input[0] not in self.folded:
            self._set_shape(node, [0, *shape[1:]])
        elif led_by_batch and not attribute:
            self._replace_input(node, 1, self._batch_and(shape[1:]))

    def _concat(self, node: onnx.NodeProto) -> None:
        attribute = _attribute(node, "axis")
        axis = attribute.i if attribute else 1
        if self.batch != 1 or self.opset < _EXPAND_SINCE or self.batched.isdisjoint(node.input):
            return
        for index, name in enumerate(node.input):
            shape = None if name in self.batched else self.constants.shape(name)
            if shape and shape[0] == 1 and axis not in (0, -len(shape)):
                node.input[index] = self._add("Expand", [name, self._batch_and(shape[1:])])

    def _expand(self, node: onnx.NodeProto) -> None:
        shape = self._constant_input(node, 1)
        if not shape or shape[0] != self.batch or len(shape) < 2:
            return
        if not self._carries_batch(node):
            expanded = self.constants.shape(node.input[0])
            if expanded is not None and (len(expanded) < len(shape) or expanded[0] == 1):
                self._replace_input(node, 1, self._batch_and(shape[1:]))
                self.batched.update(node.output)
        elif self.batch > 1:
            self._set_shape(node, [1, *shape[1:]])

    def _carries_batch(self, node: onnx.NodeProto) -> bool:
        return bool(node.input) and node.input[0] in self.batched

    def _constant_input(self, node: onnx.NodeProto, index: int) -> list[int] | None:
        value = self.constants.value(node.input[index]) if index < len(node.input) else None
        return value.tolist() if value is not None and value.ndim == 1 and value.dtype.kind == "i" else None

    def _set_shape(self, node: onnx.NodeProto, shape: Sequence[int]) -> None:
        attribute = _attribute(node, "shape")
        if attribute:
            attribute.ints[:] = shape
        else:
            self._replace_input(node, 1, self._add_constant(shape))

    def _replace_input(self, node: onnx.NodeProto, index: int, name: str) -> None:
        self.replaced.add(node.input[index])
        node.input[index] = name

    def _batch_and(self, rest: Sequence[int]) -> str:
        """Return the name of a shape: the batch of the run, then `rest`."""
        if not self.runtime_batch:
            shape = self._add("Shape", [self.image_input])
            self.runtime_batch = self._add("Gather", [shape, self._add_constant([0])], axis=0)
        return self._add("Concat", [self.runtime_batch, self._add_constant(rest)], axis=0)

    def _add_constant(self, values: Sequence[int]) -> str:
        # A node, not an initializer: up to IR 3 an initializer must be listed among the inputs.
        return self._add("Constant", [], value=numpy_helper.from_array(np.array(values, np.int64)))

    def _add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        number = 0
        while (name := f"free_batch/{op}_{number}") in self.taken:
            number += 1
        self.taken.add(name)
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


class _Constants:
    """The tensors that depend on nothing but what the file holds."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.opsets = list(model.opset_import)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.names = {"", *self.initializers}  # "" stands for an optional input left out
        self.nodes: list[onnx.NodeProto] = []
        for node in model.graph.node:
            if self.names.issuperset(node.input) and not _has_subgraph(node):
                self.names.update(node.output)
                self.nodes.append(node)

    def value(self, name: str) -> NDArray[Any] | None:
        if not name or name not in self.names:
            return None
        try:
            if name in self.initializers:
                return numpy_helper.to_array(self.initializers[name])
            return self._evaluate(name)
        except Exception:  # weights beside the file, an operator that onnx does not know, …: then it is not understood
            return None

    def shape(self, name: str) -> tuple[int, ...] | None:
        if name in self.initializers:
            return tuple(self.initializers[name].dims)
        value = self.value(name)
        return None if value is None else value.shape

    def _evaluate(self, name: str) -> NDArray[Any]:
        """Run the nodes behind a tensor: PyTorch writes an Expand's shape as a Where over a ConstantOfShape."""
        from onnx.reference import ReferenceEvaluator

        nodes: list[onnx.NodeProto] = []
        needed = {name}
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.output):
                needed.update(node.input)
                nodes.insert(0, node)
        weights = [self.initializers[name] for name in needed.intersection(self.initializers)]
        graph = helper.make_graph(nodes, "constant", [], [onnx.ValueInfoProto(name=name)], weights)
        results = ReferenceEvaluator(helper.make_model(graph, opset_imports=self.opsets)).run(None, {})
        return np.asarray(next(iter(results)))


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto | None:
    return next((attribute for attribute in node.attribute if attribute.name == name), None)


def _may_fold(node: onnx.NodeProto) -> bool:
    if node.op_type == "Transpose":
        permutation = _attribute(node, "perm")
        return permutation is None or list(permutation.ints[:1]) != [0]
    return node.op_type == "Reshape"


def _has_subgraph(node: onnx.NodeProto) -> bool:
    return any(attribute.graphs or attribute.HasField("g") for attribute in node.attribute)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from _graphs(inner)


def _names(graph: onnx.GraphProto) -> set[str]:
    names: set[str] = set()
    for inner in _graphs(graph):
        names.update(info.name for info in [*inner.input, *inner.output])
        names.update(tensor.name for tensor in inner.initializer)
        names.update(sparse.values.name for sparse in inner.sparse_initializer)
        for node in inner.node:
            names.update([node.name, *node.input, *node.output])
    return names


def _drop_unused(graph: onnx.GraphProto, names: set[str]) -> None:
    """Remove constants that nothing reads any more; ONNX Runtime would warn of each."""
    used = {name for inner in _graphs(graph) for node in inner.node for name in node.input}
    unused = names - used - {output.name for inner in _graphs(graph) for output in inner.output}
    constants = {tensor.name for tensor in graph.initializer} & unused
    for entries in (graph.initializer, graph.input):
        for index in reversed(range(len(entries))):
            if entries[index].name in constants:
                del entries[index]
    for index in reversed(range(len(graph.node))):
        if graph.node[index].op_type == "Constant" and unused.issuperset(graph.node[index].output):
            del graph.node[index]
