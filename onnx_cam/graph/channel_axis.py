"""Which dimension of an input the first convolution or pooling reads as channels."""

from __future__ import annotations

import onnx

from onnx_cam.graph.walk_protobuf import find_attribute

__all__ = ["channel_axis"]

_ELEMENTWISE = {
    *("Add", "BatchNormalization", "Cast", "CastLike", "Clip", "Concat", "DequantizeLinear", "Div", "Dropout"),
    *("Identity", "ImageScaler", "InstanceNormalization", "LayerNormalization", "Max", "Min", "Mul", "Neg", "Pad"),
    *(
        "Pow",
        "PRelu",
        "QuantizeLinear",
        "Relu",
        "LeakyRelu",
        "Sigmoid",
        "Tanh",
        "Resize",
        "Slice",
        "Split",
        "Sub",
        "Upsample",
    ),
}
"""Operators that leave every dimension where it is; what they do along one does not matter here."""

_LAYERS = {
    *("Conv", "ConvInteger", "ConvTranspose", "FusedConv", "QLinearConv", "AveragePool", "GlobalAveragePool"),
    *("GlobalMaxPool", "LpPool", "MaxPool", "QLinearAveragePool", "QLinearGlobalAveragePool", "ReorderInput"),
}
_CHANNELS_LAST = {"NhwcConv", "NhwcFusedConv", "NhwcMaxPool"}


def channel_axis(graph: onnx.GraphProto, image: str, rank: int) -> int | None:
    """Return the dimension of an input that the first convolution or pooling reads as channels.

    Parameters
    ----------
    graph : onnx.GraphProto
    image : str
        The input.
    rank : int
        The number of its dimensions.

    Returns
    -------
    int or None
        None where there is no such layer, or what comes before it rearranges the dimensions otherwise than a Transpose.

    Examples
    --------
    >>> nodes = [
    ...     onnx.helper.make_node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2]),
    ...     onnx.helper.make_node("Conv", ["x", "w"], ["y"]),
    ... ]
    >>> channel_axis(onnx.helper.make_graph(nodes, "main", [], []), "image", 4)
    3
    """
    axes = {image: list(range(rank))}  # tensor to the image's dimension that each of its own is
    for node in graph.node:
        known = next((name for name in node.input if name in axes), None)
        if known is None:
            continue
        if node.op_type in _LAYERS or node.op_type in _CHANNELS_LAST:
            attribute = find_attribute(node, "channels_last")
            is_last = node.op_type in _CHANNELS_LAST or (attribute is not None and attribute.i == 1)
            return axes[known][-1 if is_last else 1] if len(axes[known]) == rank else None
        if node.op_type == "Transpose":
            permutation = find_attribute(node, "perm")
            order = list(reversed(range(rank))) if permutation is None else list(permutation.ints)
            if sorted(order) == list(range(rank)):
                axes[node.output[0]] = [axes[known][axis] for axis in order]
        elif node.op_type in _ELEMENTWISE:
            axes |= {name: axes[known] for name in node.output if name}
    return None
