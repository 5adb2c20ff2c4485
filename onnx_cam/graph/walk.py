"""Walk a graphsurgeon graph from a tensor to the nodes that read it and to those that compute it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_graphsurgeon as gs

__all__ = [
    "follow",
    "input_names",
    "leading_to",
    "makers",
    "only_consumer",
    "output_names",
    "readers",
    "tensors_read",
]


def leading_to(graph: gs.Graph, *tensors: str) -> set[str]:
    """Return the names of the tensors that tensors are computed from, their own included.

    Examples
    --------
    >>> x, y, z = (gs.Variable(name) for name in "xyz")
    >>> nodes = [gs.Node("Relu", inputs=[x], outputs=[y]), gs.Node("Neg", inputs=[x], outputs=[z])]
    >>> sorted(leading_to(gs.Graph(nodes), "y"))
    ['x', 'y']
    """
    names = set(tensors)
    for node in reversed(graph.nodes):  # the nodes of an ONNX file are sorted
        if not names.isdisjoint(output_names(node)):
            names.update(tensors_read(node))
    return names


def only_consumer(tensor: gs.Tensor) -> gs.Node | None:
    """Return the one node that reads a tensor, where there is one; a Shape beside it does not count.

    Examples
    --------
    >>> x = gs.Variable("x")
    >>> relu = gs.Node("Relu", inputs=[x], outputs=[gs.Variable("y")])
    >>> only_consumer(x).op
    'Relu'
    """
    consumers = [node for node in tensor.outputs if node.op != "Shape"]
    return consumers[0] if len(consumers) == 1 and consumers[0].outputs else None


def follow(tensor: gs.Tensor, passes: Callable[[gs.Node], bool]) -> Iterator[gs.Tensor]:
    """Yield a tensor and those after it, as long as only one node reads each, and `passes` accepts that node.

    Examples
    --------
    >>> x, y, z = (gs.Variable(name) for name in "xyz")
    >>> nodes = gs.Node("Flatten", inputs=[x], outputs=[y]), gs.Node("Relu", inputs=[y], outputs=[z])
    >>> [tensor.name for tensor in follow(x, lambda node: node.op == "Flatten")]
    ['x', 'y']
    """
    yield tensor
    while (node := only_consumer(tensor)) is not None and passes(node):
        tensor = node.outputs[0]
        yield tensor


def readers(graph: gs.Graph) -> dict[str, list[gs.Node]]:
    """Return the nodes of the main graph that read each tensor, by its name.

    A tensor's own ``outputs`` list the nodes within the branches of an If too.

    Examples
    --------
    >>> node = gs.Node("Add", inputs=[gs.Variable("x"), gs.Variable("w")], outputs=[gs.Variable("y")])
    >>> [node.op for node in readers(gs.Graph([node]))["w"]]
    ['Add']
    """
    nodes: dict[str, list[gs.Node]] = {}
    for node in graph.nodes:
        for name in input_names(node):
            nodes.setdefault(name, []).append(node)
    return nodes


def makers(graph: gs.Graph) -> dict[str, gs.Node]:
    """Return the node of the main graph that computes each tensor, by its name.

    Examples
    --------
    >>> node = gs.Node("Relu", inputs=[gs.Variable("x")], outputs=[gs.Variable("y")])
    >>> makers(gs.Graph([node]))["y"].op
    'Relu'
    """
    return {name: node for node in graph.nodes for name in output_names(node)}


def output_names(node: gs.Node) -> list[str]:
    """Return the names of a node's outputs; an optional one that is left out has none.

    Examples
    --------
    >>> output_names(gs.Node("Dropout", outputs=[gs.Variable("y"), gs.Variable.empty()]))
    ['y']
    """
    return [tensor.name for tensor in node.outputs if tensor.name]


def input_names(node: gs.Node) -> list[str]:
    """Return the names of a node's own inputs, in their order; an optional one that is left out is ``""``.

    Examples
    --------
    >>> input_names(gs.Node("Clip", inputs=[gs.Variable("x"), gs.Variable.empty(), gs.Variable("high")]))
    ['x', '', 'high']
    """
    return [tensor.name for tensor in node.inputs]


def tensors_read(node: gs.Node) -> list[str]:
    """Return the names of the tensors that a node reads: its inputs, and what its subgraphs read.

    Examples
    --------
    >>> inner = gs.Node("Relu", inputs=[gs.Variable("outside")], outputs=[gs.Variable("y")])
    >>> branch = gs.Graph([inner], outputs=inner.outputs)
    >>> tensors_read(gs.Node("If", inputs=[gs.Variable("condition")], attrs={"then_branch": branch}))
    ['condition', 'y', 'outside']
    """
    names = input_names(node)
    for attribute in node.attrs.values():
        if isinstance(attribute, gs.Graph):
            names += [tensor.name for tensor in attribute.outputs]
            names += [name for inner in attribute.nodes for name in tensors_read(inner)]
    return names
