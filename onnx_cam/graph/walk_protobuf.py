"""Walk a model's protobuf: its graphs, nodes, attributes and stored tensors, subgraphs included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

__all__ = ["all_graphs", "all_names", "all_nodes", "all_tensors", "find_attribute", "subgraphs", "tensors_read"]


def find_attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto | None:
    """Return a node's attribute of that name; None where the file leaves it to its default.

    Examples
    --------
    >>> node = onnx.helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])
    >>> find_attribute(node, "perm").ints
    [0, 2, 3, 1]
    """
    return next((attribute for attribute in node.attribute if attribute.name == name), None)


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs that a node holds: the branches of an If, the body of a Loop or Scan.

    Examples
    --------
    >>> branch = onnx.helper.make_graph([], "then", [], [])
    >>> [graph.name for graph in subgraphs(onnx.helper.make_node("If", ["c"], ["y"], then_branch=branch))]
    ['then']
    """
    graphs: list[onnx.GraphProto] = []
    for attribute in node.attribute:
        graphs += attribute.graphs
        if attribute.HasField("g"):
            graphs.append(attribute.g)
    return graphs


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes, each followed by the nodes of its subgraphs.

    Examples
    --------
    >>> inner = onnx.helper.make_node("Relu", ["x"], ["y"])
    >>> branch = onnx.helper.make_graph([inner], "then", [], [])
    >>> outer = onnx.helper.make_node("If", ["c"], ["z"], then_branch=branch)
    >>> [node.op_type for node in all_nodes([outer])]
    ['If', 'Relu']
    """
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from all_nodes(graph.node)


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and all the graphs within it.

    Examples
    --------
    >>> branch = onnx.helper.make_graph([], "then", [], [])
    >>> outer = onnx.helper.make_node("If", ["c"], ["z"], then_branch=branch)
    >>> [graph.name for graph in all_graphs(onnx.helper.make_graph([outer], "main", [], []))]
    ['main', 'then']
    """
    yield graph
    for node in all_nodes(graph.node):
        yield from subgraphs(node)


def all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor that a model stores: initializers and attributes, in subgraphs and local functions too.

    Examples
    --------
    >>> weight = onnx.TensorProto(name="w")
    >>> model = onnx.ModelProto(graph=onnx.GraphProto(initializer=[weight]))
    >>> [tensor.name for tensor in all_tensors(model)]
    ['w']
    """
    for graph in all_graphs(model.graph):
        yield from _initializers(graph)
    for node in all_nodes(model.graph.node):
        yield from _attribute_tensors(node)
    for node in all_nodes(node for function in model.functions for node in function.node):
        yield from _attribute_tensors(node)
        for graph in subgraphs(node):
            yield from _initializers(graph)


def _initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices


def _attribute_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield attribute.sparse_tensor.values
            yield attribute.sparse_tensor.indices


def all_names(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the nodes and tensors of a graph and of its subgraphs.

    Examples
    --------
    >>> node = onnx.helper.make_node("Relu", ["x"], ["y"], name="first")
    >>> sorted(all_names(onnx.helper.make_graph([node], "main", [], [])))
    ['first', 'x', 'y']
    """
    names: set[str] = set()
    for inner in all_graphs(graph):
        names.update(info.name for info in [*inner.input, *inner.output])
        names.update(tensor.name for tensor in inner.initializer)
        names.update(sparse.values.name for sparse in inner.sparse_initializer)
        for node in inner.node:
            names.update([node.name, *node.input, *node.output])
    return names


def tensors_read(node: onnx.NodeProto) -> set[str]:
    """Return the tensors that a node reads, those that its subgraphs capture included.

    Examples
    --------
    >>> inner = onnx.helper.make_node("Add", ["x", "bias"], ["y"])
    >>> branch = onnx.helper.make_graph([inner], "then", [], [onnx.ValueInfoProto(name="y")])
    >>> sorted(tensors_read(onnx.helper.make_node("If", ["c"], ["z"], then_branch=branch)))
    ['bias', 'c', 'x']
    """
    inner = [one for graph in subgraphs(node) for one in all_nodes(graph.node)]
    made = {name for one in inner for name in one.output}
    captured = {name for one in inner for name in one.input} | {
        output.name for graph in subgraphs(node) for output in graph.output
    }
    return {name for name in {*node.input, *(captured - made)} if name}
