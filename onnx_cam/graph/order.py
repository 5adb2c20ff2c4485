"""The order of a graph's nodes: each comes after those that it reads."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import onnx

from onnx_cam.graph.new_nodes import replace_nodes
from onnx_cam.graph.walk_protobuf import subgraphs

__all__ = ["free_names", "sort_nodes"]


def sort_nodes(graph: onnx.GraphProto | onnx.FunctionProto) -> str | None:
    """Sort the nodes of a graph in place, where they are not sorted.

    Returns
    -------
    str or None
        Why that is impossible: a tensor that is computed from itself.

    Examples
    --------
    >>> nodes = [onnx.helper.make_node("Relu", ["y"], ["z"]), onnx.helper.make_node("Neg", ["x"], ["y"])]
    >>> graph = onnx.helper.make_graph(nodes, "main", [], [])
    >>> sort_nodes(graph)
    >>> [node.op_type for node in graph.node]
    ['Neg', 'Relu']
    >>> cycle = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "y"], ["y"])], "main", [], [])
    >>> sort_nodes(cycle)
    "'y' is computed from itself"
    """
    makers = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    sources = [{makers[name] for name in _names_read(node) if name in makers} for node in graph.node]
    if all(max(places, default=-1) < place for place, places in enumerate(sources)):
        return None
    order = _sorted(sources)
    if len(order) < len(sources):
        rest = set(range(len(sources))).difference(order)
        return f"{_on_cycle(graph.node[place] for place in rest)!r} is computed from itself"
    replace_nodes(graph, [graph.node[place] for place in order])
    return None


def _sorted(sources: Sequence[set[int]]) -> list[int]:
    """Return the nodes that are in no cycle and do not depend on one, each after its sources, otherwise in order."""
    readers: list[list[int]] = [[] for _ in sources]
    for place, places in enumerate(sources):
        for source in places:
            readers[source].append(place)
    missing = [len(places) for places in sources]
    ready = [place for place, count in enumerate(missing) if count == 0]
    order = []
    while ready:
        place = heapq.heappop(ready)
        order.append(place)
        for reader in readers[place]:
            missing[reader] -= 1
            if missing[reader] == 0:
                heapq.heappush(ready, reader)
    return order


def _on_cycle(nodes: Iterable[onnx.NodeProto]) -> str:
    """Return a tensor of a cycle, of nodes that are in cycles or depend on one."""
    makers: dict[str, onnx.NodeProto] = {name: node for node in nodes for name in node.output if name}
    name, passed = min(makers), set[str]()
    while name not in passed:  # backwards from any of them, until a tensor is met again
        passed.add(name)
        name = min(_names_read(makers[name]) & makers.keys())
    return name


def _names_read(node: onnx.NodeProto) -> set[str]:
    names = set(node.input) - {""}
    for inner in subgraphs(node):
        names |= free_names(inner)
    return names


def free_names(graph: onnx.GraphProto) -> set[str]:
    """Return the tensors that a subgraph reads from the graphs around it.

    Examples
    --------
    >>> node = onnx.helper.make_node("Add", ["own", "outer"], ["y"])
    >>> own = onnx.helper.make_tensor_value_info("own", onnx.TensorProto.FLOAT, None)
    >>> sorted(free_names(onnx.helper.make_graph([node], "branch", [own], [])))
    ['outer']
    """
    read = {name for node in graph.node for name in _names_read(node)} | {output.name for output in graph.output}
    own = {name for node in graph.node for name in node.output}
    own |= {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {sparse.values.name for sparse in graph.sparse_initializer}
    return read - own - {""}
