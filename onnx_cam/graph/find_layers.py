"""Find the layers that can be explained: the outputs of convolutions, what is computed from them, and tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import onnx_graphsurgeon as gs

from onnx_cam.errors import LayerError, did_you_mean
from onnx_cam.graph.layer import Candidate, Layer, Layout
from onnx_cam.graph.tap import Dequantized, Unblocked
from onnx_cam.graph.token_grid import token_grid
from onnx_cam.graph.tokens import TokenCandidate, choose_default
from onnx_cam.graph.walk import leading_to, output_names, tensors_read

__all__ = ["find_candidates", "name_layer", "prefer", "rank_layers"]

_CONVOLUTIONS = {"Conv", "ConvTranspose", "QLinearConv", "FusedConv", "ConvInteger"}
_MAP_ENDS = {
    *("Shape", "Size", "ConstantOfShape", "Flatten", "Reshape", "Squeeze", "Unsqueeze"),
    *("MatMul", "Gemm", "Einsum", "Gather", "GatherND", "GatherElements"),
}
"""After one of these, a tensor of four dimensions need not be a map with channels any more."""

_TRANSPOSES: dict[tuple[str, tuple[int, ...]], Layout] = {
    ("NCHW", (0, 2, 3, 1)): "NHWC",
    ("NHWC", (0, 3, 1, 2)): "NCHW",
}
_QUANTIZATION_INPUTS = {
    **dict.fromkeys(("QLinearConv", "QLinearAdd", "QLinearMul", "QLinearMatMul"), (6, 7)),
    **dict.fromkeys(("QLinearAveragePool", "QLinearLeakyRelu", "QLinearSigmoid", "QLinearGlobalAveragePool"), (3, 4)),
    "QLinearConcat": (0, 1),
}
"""Operator to the positions of the inputs that hold the scale and the zero point of its integer output."""

_KEEPING_QUANTIZATION = {"MaxPool", "Transpose", "Identity"}
"""Operators whose integer output has the scale and the zero point of their input."""


_BLOCKED_DOMAIN = "com.microsoft.nchwc"
_UNKNOWN_CHANNELS = -1


def find_candidates(graph: gs.Graph, score: str) -> list[Candidate]:
    """Return the tensors that a convolution leads to and that lead to the scores, in the graph's own order.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    score : str
        The output that holds the scores.

    Examples
    --------
    >>> from onnx_cam.graph.read import import_graph, read_model
    >>> graph = import_graph(read_model("model.onnx"))
    >>> [candidate.name for candidate in find_candidates(graph, "logits")]
    ['conv1', 'relu1', 'conv2', 'relu2', 'pooled']
    """
    score_inputs = leading_to(graph, score)
    layouts: dict[str, Layout] = {}
    quantizations: dict[str, tuple[str, str]] = {}
    blocked_channels: dict[str, int] = {}
    candidates = []
    for node in graph.nodes:  # the nodes of an ONNX file are sorted
        # A map is what a convolution computes, and what other operators compute from maps without rearranging them.
        layout = _layout(node, layouts)
        if layout is None:
            continue
        # Where the map holds integers, note which tensors say what they stand for.
        quantization = _quantization(node, quantizations)
        for output in node.outputs:
            layouts[output.name] = layout
            if quantization:
                quantizations[output.name] = quantization
        # Where ONNX Runtime saved the map in blocks of channels, note how many there are.
        channels = _blocked_channels(node, blocked_channels)
        if channels:
            blocked_channels.update(dict.fromkeys(output_names(node), channels))
        # Offer it, unless it is a QuantizeLinear's output: the DequantizeLinear after it is a candidate, too.
        name = node.outputs[0].name if node.outputs else ""
        if name in score_inputs and node.op != "QuantizeLinear" and channels != _UNKNOWN_CHANNELS:
            integers = Dequantized(name, *quantization) if quantization else None
            blocks = Unblocked(name, channels) if channels else None
            candidates.append(Candidate(name, node.op, node.name, layout, integers, blocks))
    return candidates


def _layout(node: gs.Node, layouts: dict[str, Layout]) -> Layout | None:
    """Return the layout of a node's output; None where the output is not a map.

    Parameters
    ----------
    node : onnx_graphsurgeon.Node
    layouts : dict of str to str
        The layouts of the maps before it.
    """
    if node.op in _CONVOLUTIONS:
        return "NHWC" if node.attrs.get("channels_last", 0) else "NCHW"
    layout = next((layouts[name] for name in sorted(tensors_read(node)) if name in layouts), None)
    if layout is None or node.op in _MAP_ENDS:
        return None
    if node.op == "Transpose":
        return _TRANSPOSES.get((layout, tuple(node.attrs.get("perm", ()))))
    return layout


def _blocked_channels(node: gs.Node, blocked: dict[str, int]) -> int:
    """Return how many channels a node's output holds in blocks; 0 for a tensor in the usual order.

    Files saved at ORT_ENABLE_ALL hold operators of the domain com.microsoft.nchwc between ReorderInput and
    ReorderOutput, whose tensors are in blocks of 8 or 16 channels. `_UNKNOWN_CHANNELS` where the file does not tell.

    Parameters
    ----------
    node : onnx_graphsurgeon.Node
    blocked : dict of str to int
        The same of the tensors before it.
    """
    if node.op == "ReorderOutput":
        return 0
    if node.op == "ReorderInput":
        return _UNKNOWN_CHANNELS
    if node.domain == _BLOCKED_DOMAIN and node.op == "Conv":
        weight = node.inputs[1]
        return int(weight.shape[0]) if weight.shape else _UNKNOWN_CHANNELS
    counts = [blocked[name] for name in tensors_read(node) if name in blocked]
    if not counts or _UNKNOWN_CHANNELS in counts:
        return counts[0] if counts else 0
    return sum(counts) if node.op == "Concat" else counts[0]


def _quantization(node: gs.Node, quantizations: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    """Return the tensors that hold the scale and the zero point of a node's integer output; None for a float output.

    Parameters
    ----------
    node : onnx_graphsurgeon.Node
    quantizations : dict of str to tuple of str
        The same of the tensors before it.
    """
    if node.op in _QUANTIZATION_INPUTS:
        scale, zero_point = _QUANTIZATION_INPUTS[node.op]
        return node.inputs[scale].name, node.inputs[zero_point].name if len(node.inputs) > zero_point else ""
    return quantizations.get(node.inputs[0].name) if node.op in _KEEPING_QUANTIZATION and node.inputs else None


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

    The default is the last map, or the last normalised tokens that attention reads, whichever comes later. Where no
    attention reads the tokens, they are the default only if no map comes after the patch embedding.

    Parameters
    ----------
    order : sequence of str
        The names of all tensors, in the graph's own order.
    candidates, tokens : sequences
        The candidates of both kinds, in that order.
    shapes : dict of str to tuple of int
        The shape of each tapped tensor; a candidate without a shape is not a layer.
    patch_grid : tuple of int, optional
        ``(h, w)`` of the patch embedding.
    patches : str, optional
        The patch embedding's output.

    Examples
    --------
    >>> candidates = [Candidate("conv1", "Conv", "", "NCHW"), Candidate("pooled", "GlobalAveragePool", "", "NCHW")]
    >>> shapes = {"conv1": (1, 6, 5, 5), "pooled": (1, 6, 1, 1)}
    >>> layers = rank_layers(["conv1", "pooled"], candidates, [], shapes, patch_grid=None, patches=None)
    >>> [(layer.name, layer.shape, layer.is_default) for layer in layers]
    [('conv1', (6, 5, 5), True)]
    """
    position = {name: i for i, name in enumerate(order)}
    # Keep the candidates whose measured shape is spatial; a tensor that is a map is not offered as tokens, too.
    maps = [layer for c in candidates if (layer := _map_layer(c, shapes.get(c.output, ())))]
    map_names = {layer.name for layer in maps}
    spatial_tokens = [
        c for c in tokens if c.name not in map_names and token_grid(shapes.get(c.name, ()), patch_grid) is not None
    ]
    # The best map is the last one. A single channel is a gate, and its map the same for every class.
    wide_maps = [layer for layer in maps if layer.shape[0] > 1] or maps
    best_map = wide_maps[-1].name if wide_maps else None
    # The best tokens compete with it where attention reads them, or where the only maps are the patches themselves.
    best_tokens = choose_default(spatial_tokens)
    competes = best_tokens is not None and (best_tokens.read_by_attention or best_map in (None, patches))
    finalists = [name for name in (best_map, best_tokens.name if best_tokens and competes else None) if name]
    default = max(finalists, key=position.__getitem__, default=None)
    layers = maps + [_token_layer(c, shapes[c.name], patch_grid) for c in spatial_tokens]
    layers.sort(key=lambda layer: (layer.name != default, -position[layer.name]))
    return [replace(layer, is_default=layer.name == default) for layer in layers]


def prefer(layers: Sequence[Layer], name: str | None) -> list[Layer]:
    """Return the layers with the one of that name first, as the default; unchanged where none has that name.

    Examples
    --------
    >>> layers = [Layer("relu2", "Relu", (6, 5, 5), True), Layer("relu1", "Relu", (6, 10, 10), False)]
    >>> [(layer.name, layer.is_default) for layer in prefer(layers, "relu1")]
    [('relu1', True), ('relu2', False)]
    """
    if name not in {layer.name for layer in layers}:
        return list(layers)
    marked_layers = [replace(layer, is_default=layer.name == name) for layer in layers]
    return sorted(marked_layers, key=lambda layer: not layer.is_default)


def _map_layer(candidate: Candidate, shape: Sequence[int]) -> Layer | None:
    """Return a candidate as a layer; None where it has no height and width of 2 or more."""
    if len(shape) != 4:
        return None
    channels, height, width = shape[1:] if candidate.layout == "NCHW" else (shape[3], shape[1], shape[2])
    if min(height, width) < 2:
        return None
    return Layer(
        candidate.name,
        candidate.op_type,
        (channels, height, width),
        False,
        candidate.node,
        layout=candidate.layout,
        quantization=candidate.quantization,
        blocked=candidate.blocked,
    )


def _token_layer(candidate: TokenCandidate, shape: Sequence[int], patch_grid: tuple[int, int] | None) -> Layer:
    grid = token_grid(shape, patch_grid)
    assert grid is not None  # `rank_layers` keeps no others
    size = (shape[-1], grid.height, grid.width)
    return Layer(candidate.name, candidate.op_type, size, False, candidate.node, layout="tokens", prefix=grid.prefix)


def name_layer(layers: Iterable[Layer], graph: gs.Graph, name: str, model: str) -> Layer:
    """Return the layer of that name: an output tensor's, or a node's.

    Parameters
    ----------
    layers : iterable of Layer
        The layers that can be explained.
    graph : onnx_graphsurgeon.Graph
        The graph, to tell a tensor that is not a layer from a name that does not exist.
    name : str
        The name that the user gave.
    model : str
        The file's name, for messages.

    Raises
    ------
    LayerError
        There is no such tensor or node, or it has no spatial map.

    Examples
    --------
    >>> layers = [Layer("relu2", "Relu", (6, 5, 5), True, node="Relu_2")]
    >>> name_layer(layers, gs.Graph(), "Relu_2", "model.onnx").name
    'relu2'
    """
    layers = list(layers)
    by_tensor = {layer.name: layer for layer in layers}
    by_node = {layer.node: layer for layer in reversed(layers) if layer.node}
    layer = by_tensor.get(name) or by_node.get(name)
    if layer is not None:
        return layer
    hint = f"List the layers with: onnx-cam layers {model}"
    if name in graph.tensors() or any(node.name == name for node in graph.nodes if node.name):
        raise LayerError(
            f"{name!r} in {model} cannot be explained: it has no spatial map, or no convolution comes before it. {hint}"
        )
    raise LayerError(f"no tensor or node {name!r} in {model}{did_you_mean(name, [*by_tensor, *by_node])} {hint}")
