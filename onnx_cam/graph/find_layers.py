"""Find the tensors that can be explained: convolutions, and what follows them up to the next one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnx_cam.errors import LayerError, did_you_mean

__all__ = ["Candidate", "Layer", "find_candidates", "name_layer", "rank_layers"]

_CONVOLUTIONS = {"Conv", "ConvTranspose"}
_MAP_ENDS = {
    *("Shape", "Size", "ConstantOfShape", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"),
    *("MatMul", "Gemm", "Einsum", "Gather", "GatherND", "GatherElements"),
}
"""Behind these a tensor of four dimensions need not be channels of a map any more."""


@dataclass(frozen=True)
class Layer:
    """A layer that can be explained.

    Attributes
    ----------
    name : str
        Its output tensor, which is unique in the graph.
    op_type : str
        The operator that makes it.
    shape : tuple of int
        ``(K, h, w)``: channels, height, width.
    is_default : bool
        Whether it is taken when no layer is named.
    node : str
        The operator's own name; empty where the file gives it none.
    """

    name: str
    op_type: str
    shape: tuple[int, int, int]
    is_default: bool
    node: str = ""


@dataclass(frozen=True)
class Candidate:
    """A tensor that is a layer if its shape turns out to be spatial."""

    name: str
    op_type: str
    node: str


def find_candidates(graph: gs.Graph, score: str) -> list[Candidate]:
    """Return the tensors that a convolution leads to and that lead to the scores, in the graph's own order.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    score : str
        The output that holds the scores.
    """
    needed = _ancestors(graph, score)
    convolved: set[str] = set()
    found = []
    for node in graph.nodes:  # an ONNX file is sorted
        behind = node.op in _CONVOLUTIONS or not convolved.isdisjoint(_read_by(node))
        if not behind or node.op in _MAP_ENDS:
            continue
        convolved.update(tensor.name for tensor in node.outputs if tensor.name)
        first = node.outputs[0].name if node.outputs else ""
        if first in needed:
            found.append(Candidate(first, node.op, node.name))
    return found


def _ancestors(graph: gs.Graph, tensor: str) -> set[str]:
    producers = {output.name: node for node in graph.nodes for output in node.outputs}
    seen: set[str] = set()
    waiting = [tensor]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in producers:
            waiting.extend(_read_by(producers[name]))
    return seen


def _read_by(node: gs.Node) -> set[str]:
    """Return the tensors that a node reads; an If's branches read them too."""
    names = {tensor.name for tensor in node.inputs}
    for attribute in node.attrs.values():
        if isinstance(attribute, gs.Graph):
            names.update(tensor.name for tensor in attribute.outputs)
            names.update(*(_read_by(inner) for inner in attribute.nodes))
    return names


def rank_layers(candidates: Sequence[Candidate], shapes: dict[str, tuple[int, ...]]) -> list[Layer]:
    """Return the spatial candidates, the one nearest to the scores first: it is the default.

    Parameters
    ----------
    candidates : sequence of Candidate
        In the graph's own order.
    shapes : dict of str to tuple of int
        Each tensor's shape ``(N, K, h, w)``; a tensor that is left out or has another rank is no layer.
    """
    spatial = [c for c in candidates if is_spatial(shapes.get(c.name, ()))]
    last = spatial[-1].name if spatial else None
    return [
        Layer(c.name, c.op_type, (shapes[c.name][1], shapes[c.name][2], shapes[c.name][3]), c.name == last, c.node)
        for c in reversed(spatial)
    ]


def is_spatial(shape: Sequence[int]) -> bool:
    """Whether a shape ``(N, K, h, w)`` has a map worth showing: h and w above 1."""
    return len(shape) == 4 and min(shape[2:]) > 1


def name_layer(layers: Iterable[Layer], graph: gs.Graph, name: str, model: str) -> Layer:
    """Return the layer of that name: an output tensor's, or a node's.

    Raises
    ------
    LayerError
        No such tensor or node, or one without a spatial map.
    """
    layers = list(layers)
    by_tensor = {layer.name: layer for layer in layers}
    by_node = {layer.node: layer for layer in reversed(layers) if layer.node}
    found = by_tensor.get(name) or by_node.get(name)
    if found:
        return found
    hint = f"List them with: onnx-cam layers {model}"
    if name in graph.tensors() or any(node.name == name for node in graph.nodes if node.name):
        raise LayerError(f"{name!r} in {model} is no layer to explain: no spatial map behind a convolution. {hint}")
    raise LayerError(f"no tensor or node {name!r} in {model}{did_you_mean(name, [*by_tensor, *by_node])} {hint}")
