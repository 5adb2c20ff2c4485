"""Which dimensions of an input the first convolution or pooling reads as batch, channels, rows and columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import onnx

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.walk_protobuf import find_attribute

__all__ = ["Axis", "LayerAxes", "find_layer_axes"]

_ELEMENTWISE = {
    *("Add", "BatchNormalization", "Cast", "CastLike", "Clip", "Concat", "DequantizeLinear", "Div", "Dropout"),
    *("Expand", "Identity", "ImageScaler", "InstanceNormalization", "LayerNormalization", "LeakyRelu", "Max", "Min"),
    *("Mul", "Neg", "PRelu", "Pad", "Pow", "QuantizeLinear", "Relu", "Resize", "Sigmoid", "Slice", "Split", "Sub"),
    *("Tanh", "Tile", "Upsample", "Where"),
}
"""Operators that leave every dimension where it is; what they do along one does not matter here."""

_LAYERS = {
    *("Conv", "ConvInteger", "ConvTranspose", "FusedConv", "QLinearConv", "AveragePool", "GlobalAveragePool"),
    *("GlobalMaxPool", "LpPool", "MaxPool", "QLinearAveragePool", "QLinearGlobalAveragePool", "ReorderInput"),
}
_CHANNELS_LAST = {"NhwcConv", "NhwcFusedConv", "NhwcMaxPool"}
_INFERRED = -1  # in a Reshape's shape: what is left of the elements
_COPIED = 0  # in a Reshape's shape: as in the input


@dataclass(frozen=True)
class Axis:
    """What a dimension of a tensor is in the input.

    Attributes
    ----------
    source : int or None
        The input's dimension; None for one that was added, of size 1.
    size : int or None
        Its size; None where it is free.
    part : int or None
        Which part of the input's dimension it is, where a Reshape split that up.
    """

    source: int | None
    size: int | None
    part: int | None = None


@dataclass(frozen=True)
class LayerAxes:
    """What the first layer reads, dimension by dimension.

    Attributes
    ----------
    axes : tuple of Axis
        Of the tensor that the layer reads.
    channels_last : bool
        Whether the layer's channels are in the last dimension.

    Examples
    --------
    >>> LayerAxes((Axis(0, None), Axis(None, 1), Axis(1, 28), Axis(2, 28)), channels_last=False).channels
    Axis(source=None, size=1, part=None)
    """

    axes: tuple[Axis, ...]
    channels_last: bool

    @property
    def channels(self) -> Axis:
        """The dimension of the channels."""
        return self.axes[-1 if self.channels_last else 1]

    @property
    def spatial(self) -> tuple[Axis, ...]:
        """The dimensions of rows and columns."""
        return self.axes[1:-1] if self.channels_last else self.axes[2:]


Axes: TypeAlias = tuple[Axis, ...]
_Rule: TypeAlias = Callable[[onnx.NodeProto, Axes, Constants], "Axes | None"]


def find_layer_axes(
    graph: onnx.GraphProto, image: str, sizes: Sequence[int | None], constants: Constants
) -> LayerAxes | None:
    """Return what the first convolution or pooling reads of an input.

    Parameters
    ----------
    graph : onnx.GraphProto
    image : str
        The input.
    sizes : sequence of int or None
        The sizes of its dimensions; None where they are free.
    constants : Constants
        The values of the graph's constants.

    Returns
    -------
    LayerAxes or None
        None where there is no such layer, or what comes before it cannot be followed.

    Examples
    --------
    >>> nodes = [
    ...     onnx.helper.make_node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2]),
    ...     onnx.helper.make_node("Conv", ["x", "w"], ["y"]),
    ... ]
    >>> graph = onnx.helper.make_graph(nodes, "main", [], [])
    >>> constants = Constants(onnx.helper.make_model(graph))
    >>> find_layer_axes(graph, "image", [1, 32, 32, 3], constants).channels.source
    3
    """
    followed: dict[str, Axes] = {image: tuple(Axis(i, size) for i, size in enumerate(sizes))}
    for node in graph.node:
        source = next((name for name in node.input if name in followed), None)
        if source is None:
            continue
        if node.op_type in _LAYERS or node.op_type in _CHANNELS_LAST:
            attribute = find_attribute(node, "channels_last")
            is_last = node.op_type in _CHANNELS_LAST or (attribute is not None and attribute.i == 1)
            return LayerAxes(followed[source], is_last) if len(followed[source]) > 1 else None
        axes = _after(node, followed[source], constants)
        if axes is not None:
            followed |= {name: axes for name in node.output if name}
    return None


def _after(node: onnx.NodeProto, axes: Axes, constants: Constants) -> Axes | None:
    """Return the dimensions of a node's outputs; None where it rearranges them otherwise than the rules say."""
    rule = _elementwise if node.op_type in _ELEMENTWISE else _RULES.get(node.op_type)
    return None if rule is None else rule(node, axes, constants)


def _elementwise(node: onnx.NodeProto, axes: Axes, constants: Constants) -> Axes:
    """Broadcasting adds dimensions in front."""
    if node.op_type == "Tile":
        return axes
    ranks = [len(shape) for name in node.input if name and (shape := constants.shape(name)) is not None]
    if node.op_type not in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Where"):
        ranks = []
    return (*(Axis(None, 1) for _ in range(max(ranks, default=0) - len(axes))), *axes)


def _transposed(node: onnx.NodeProto, axes: Axes, constants: Constants) -> Axes | None:
    permutation = find_attribute(node, "perm")
    order = list(reversed(range(len(axes)))) if permutation is None else list(permutation.ints)
    return tuple(axes[i] for i in order) if sorted(order) == list(range(len(axes))) else None


def _unsqueezed(node: onnx.NodeProto, axes: Axes, constants: Constants) -> Axes | None:
    added = _integers(node, "axes", constants)
    if not added:
        return None
    rank = len(axes) + len(added)
    places = {place % rank for place in added}
    if len(places) < len(added) or not all(-rank <= place < rank for place in added):
        return None
    rest = iter(axes)
    return tuple(Axis(None, 1) if i in places else next(rest) for i in range(rank))


def _squeezed(node: onnx.NodeProto, axes: Axes, constants: Constants) -> Axes | None:
    removed = _integers(node, "axes", constants)
    if not removed or not all(-len(axes) <= place < len(axes) for place in removed):
        return None
    places = {place % len(axes) for place in removed}
    return tuple(axis for i, axis in enumerate(axes) if i not in places)


def _reshaped(node: onnx.NodeProto, axes: Axes, constants: Constants) -> Axes | None:
    """Follow a Reshape that adds or drops dimensions of size 1, or splits the last one up."""
    shape = _integers(node, "shape", constants)
    if not shape:
        return None
    sizes = _resolved(shape, axes)
    places = [i for i, size in enumerate(sizes) if size != 1]
    wide = _split([axis for axis in axes if axis.size != 1], [sizes[i] for i in places])
    if len(wide) != len(places) or any(
        axis.size is not None and sizes[i] not in (None, axis.size) for axis, i in zip(wide, places, strict=True)
    ):
        return None
    moved = dict(zip(places, wide, strict=True)) | _moved_ones(axes, sizes)
    return tuple(moved.get(i, Axis(None, 1)) for i in range(len(sizes)))


def _resolved(shape: list[int], axes: Axes) -> list[int | None]:
    """Return the sizes that a Reshape's shape stands for; None where one is free."""
    sizes = [axes[i].size if size == _COPIED and i < len(axes) else size for i, size in enumerate(shape)]
    known = [size for size in sizes if size is not None and size != _INFERRED]
    if None in sizes or any(axis.size is None for axis in axes) or not all(known):
        return [None if size == _INFERRED else size for size in sizes]
    rest = math.prod(axis.size or 1 for axis in axes) // math.prod(known)
    return [rest if size == _INFERRED else size for size in sizes]


def _split(axes: list[Axis], sizes: list[int | None]) -> list[Axis]:
    """Return the dimensions with the last one split into the parts that a shape of more dimensions names."""
    count = len(axes) - 1
    parts = sizes[count:]
    if len(sizes) <= len(axes) or not axes or axes[-1].size is None or None in parts:
        return axes
    if math.prod(part or 1 for part in parts) != axes[-1].size:
        return axes
    return [*axes[:-1], *(Axis(axes[-1].source, size, part=i) for i, size in enumerate(parts))]


def _moved_ones(axes: Axes, sizes: list[int | None]) -> dict[int, Axis]:
    """Return where dimensions of size 1 are after a Reshape: between the same other dimensions as before."""
    before = Counter[int]()
    ones: dict[tuple[int, int], Axis] = {}  # by the number of others before it, and its place among those of size 1
    others = 0
    for axis in axes:
        if axis.size == 1:
            ones[others, before[others]] = axis
            before[others] += 1
        others += axis.size != 1
    moved: dict[int, Axis] = {}
    after, others = Counter[int](), 0
    for i, size in enumerate(sizes):
        if size == 1 and (others, after[others]) in ones:
            moved[i] = ones[others, after[others]]
        after[others] += size == 1
        others += size != 1
    return moved


def _integers(node: onnx.NodeProto, attribute: str, constants: Constants) -> list[int] | None:
    """Return the whole numbers of an attribute, or of the input that took its place in a later opset."""
    given = find_attribute(node, attribute)
    if given is not None:
        return list(given.ints)
    value = constants.evaluated(node.input[1]) if len(node.input) > 1 else None
    return None if value is None or value.dtype.kind != "i" else [int(number) for number in value.ravel()]


_RULES: dict[str, _Rule] = {
    "Reshape": _reshaped,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}
