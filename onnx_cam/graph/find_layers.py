"""Find the tensors that can be explained: convolutions and what follows them up to the next one, and tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.errors import LayerError, did_you_mean
from onnx_cam.graph.tap import Dequantized
from onnx_cam.graph.tokens import TokenCandidate, TokenGrid, choose_default, token_grid, tokens_to_maps
from onnx_cam.graph.walk import leading_to, reads

__all__ = ["METADATA_KEY", "Candidate", "Layer", "Layout", "find_candidates", "name_layer", "prefer", "rank_layers"]

METADATA_KEY = "onnx_cam.layer"
"""The metadata property that names the layer to explain where the user names none."""

Layout = Literal["NCHW", "NHWC", "tokens"]

_CONVOLUTIONS = {"Conv", "ConvTranspose", "QLinearConv", "FusedConv", "ConvInteger"}
_MAP_ENDS = {
    *("Shape", "Size", "ConstantOfShape", "Flatten", "Reshape", "Squeeze", "Unsqueeze"),
    *("MatMul", "Gemm", "Einsum", "Gather", "GatherND", "GatherElements"),
}
"""Behind these a tensor of four dimensions need not be channels of a map any more."""

_TRANSPOSES: dict[tuple[str, tuple[int, ...]], Layout] = {
    ("NCHW", (0, 2, 3, 1)): "NHWC",
    ("NHWC", (0, 3, 1, 2)): "NCHW",
}
_QUANTIZATION = {  # operator: where its inputs hold the scale and the zero point of its output
    **dict.fromkeys(("QLinearConv", "QLinearAdd", "QLinearMul", "QLinearMatMul"), (6, 7)),
    **dict.fromkeys(("QLinearAveragePool", "QLinearLeakyRelu", "QLinearSigmoid", "QLinearGlobalAveragePool"), (3, 4)),
    "QLinearConcat": (0, 1),
}
_HAND_QUANTIZATION_ON = {"MaxPool", "Transpose", "Identity"}


class _Tapped:
    """A tensor with a name, and what to tap for it."""

    name: str
    quantization: Dequantized | None

    @property
    def tapped(self) -> str | Dequantized:
        """What to tap."""
        return self.quantization or self.name

    @property
    def output(self) -> str:
        """The tap's name."""
        return self.quantization.name if self.quantization else self.name


@dataclass(frozen=True)
class Layer(_Tapped):
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
    layout : {"NCHW", "NHWC", "tokens"}
        How the tensor holds its maps.
    prefix : int
        Tokens in front that are on no grid: class token, registers.
    quantization : Dequantized or None
        What the integers of a quantized tensor stand for.
    """

    name: str
    op_type: str
    shape: tuple[int, int, int]
    is_default: bool
    node: str = ""
    layout: Layout = "NCHW"
    prefix: int = 0
    quantization: Dequantized | None = field(default=None, repr=False)

    def describe(self) -> dict[str, Any]:
        """Return what a user wants to know of it, as plain JSON values."""
        shown = {"name": self.name, "op_type": self.op_type, "shape": list(self.shape), "is_default": self.is_default}
        return {**shown, "node": self.node, "layout": self.layout}

    def maps(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """Return the tapped tensor as maps, (N, K, h, w) float32."""
        if self.layout == "tokens":
            tensor = tokens_to_maps(tensor, TokenGrid(self.shape[1], self.shape[2], self.prefix))
        elif self.layout == "NHWC":
            tensor = np.moveaxis(tensor, -1, 1)
        return np.ascontiguousarray(tensor, np.float32)


@dataclass(frozen=True)
class Candidate(_Tapped):
    """A tensor that is a layer if its shape turns out to be spatial."""

    name: str
    op_type: str
    node: str
    layout: Layout
    quantization: Dequantized | None = None


def find_candidates(graph: gs.Graph, score: str) -> list[Candidate]:
    """Return the tensors that a convolution leads to and that lead to the scores, in the graph's own order.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    score : str
        The output that holds the scores.
    """
    needed = leading_to(graph, score)
    layouts: dict[str, Layout] = {}
    quantizations: dict[str, tuple[str, str]] = {}
    found = []
    for node in graph.nodes:  # an ONNX file is sorted
        layout = _layout(node, layouts)
        if layout is None:
            continue
        quantization = _quantization(node, quantizations)
        for output in node.outputs:
            layouts[output.name] = layout
            if quantization:
                quantizations[output.name] = quantization
        first = node.outputs[0].name if node.outputs else ""
        if first in needed and node.op != "QuantizeLinear":  # its DequantizeLinear is one
            integers = Dequantized(first, *quantization) if quantization else None
            found.append(Candidate(first, node.op, node.name, layout, integers))
    return found


def _layout(node: gs.Node, layouts: dict[str, Layout]) -> Layout | None:
    """Return the layout of a node's output; None where it is no map."""
    if node.op in _CONVOLUTIONS:
        return "NHWC" if node.attrs.get("channels_last", 0) else "NCHW"
    layout = next((layouts[name] for name in sorted(reads(node)) if name in layouts), None)
    if layout is None or node.op in _MAP_ENDS:
        return None
    if node.op == "Transpose":
        return _TRANSPOSES.get((layout, tuple(node.attrs.get("perm", ()))))
    return layout


def _quantization(node: gs.Node, known: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    """Return the tensors that hold the scale and the zero point of a node's integer output."""
    if node.op in _QUANTIZATION:
        scale, zero_point = _QUANTIZATION[node.op]
        return node.inputs[scale].name, node.inputs[zero_point].name if len(node.inputs) > zero_point else ""
    return known.get(node.inputs[0].name) if node.op in _HAND_QUANTIZATION_ON and node.inputs else None


def rank_layers(
    order: Sequence[str],
    candidates: Sequence[Candidate],
    tokens: Sequence[TokenCandidate],
    shapes: dict[str, tuple[int, ...]],
    *,
    patch_grid: tuple[int, int] | None,
    patches: str | None,
) -> list[Layer]:
    """Return the candidates that are spatial: the default first, then from the scores backwards.

    The default is the last map, or the last normalised tokens that attention reads, whichever comes later. Tokens that
    no attention reads are it only where the patch embedding is the last convolution.

    Parameters
    ----------
    order : sequence of str
        All tensors, in the graph's own order.
    candidates, tokens : sequences
        In that order.
    shapes : dict of str to tuple of int
        Each tapped tensor's shape; one that is left out is no layer.
    patch_grid : tuple of int, optional
        ``(h, w)`` of the patch embedding.
    patches : str, optional
        The patch embedding's output.
    """
    place = {name: i for i, name in enumerate(order)}
    maps = [layer for c in candidates if (layer := _map_layer(c, shapes.get(c.output, ())))]
    known = {layer.name for layer in maps}
    fitting = {c.name: c for c in tokens if c.name not in known and token_grid(shapes.get(c.name, ()), patch_grid)}
    wide = [layer for layer in maps if layer.shape[0] > 1] or maps  # one channel is a gate, the same for every class
    last = [wide[-1].name] if wide else []
    best = choose_default(list(fitting.values()))
    eligible = [best.name] if best and (best.read_by_attention or last in ([], [patches])) else []
    default = max([*last, *eligible], key=place.__getitem__, default=None)
    layers = maps + [_token_layer(c, shapes[c.name], patch_grid) for c in fitting.values()]
    layers.sort(key=lambda layer: (layer.name != default, -place[layer.name]))
    return [replace(layer, is_default=layer.name == default) for layer in layers]


def prefer(layers: Sequence[Layer], name: str | None) -> list[Layer]:
    """Return the layers with that one in front, as the default; as they are where none has that name."""
    if name not in {layer.name for layer in layers}:
        return list(layers)
    marked = [replace(layer, is_default=layer.name == name) for layer in layers]
    return sorted(marked, key=lambda layer: not layer.is_default)


def _map_layer(candidate: Candidate, shape: Sequence[int]) -> Layer | None:
    if len(shape) != 4:
        return None
    channels, height, width = shape[1:] if candidate.layout == "NCHW" else (shape[3], shape[1], shape[2])
    if min(height, width) < 2:
        return None
    size = (channels, height, width)
    return Layer(
        candidate.name,
        candidate.op_type,
        size,
        False,
        candidate.node,
        layout=candidate.layout,
        quantization=candidate.quantization,
    )


def _token_layer(candidate: TokenCandidate, shape: Sequence[int], patch_grid: tuple[int, int] | None) -> Layer:
    grid = token_grid(shape, patch_grid)
    assert grid is not None  # those that have none were left out
    size = (shape[-1], grid.height, grid.width)
    return Layer(candidate.name, candidate.op_type, size, False, candidate.node, layout="tokens", prefix=grid.prefix)


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
