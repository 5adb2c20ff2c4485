"""Give an image input of another number of dimensions all four: batch, channels, height and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.inputs.axes_read import LayerAxes
from onnx_cam.graph.new_nodes import constant_node, replace_nodes, unused_name
from onnx_cam.graph.walk_protobuf import all_names, all_nodes, find_attribute, subgraphs

__all__ = ["ImageForm", "find_form", "with_four_dimensions"]

_CHANNELS = (1, 3, 4)
_RANK = 4
_AXES_INPUT_SINCE = 13  # the opset that made the axes of Squeeze an input


@dataclass(frozen=True)
class ImageForm:
    """How an input of fewer than four dimensions holds an image.

    Attributes
    ----------
    added : tuple of int
        Where dimensions of size 1 are inserted, to have all four.
    parts : tuple of int
        The sizes that the last dimension is split into first, where it holds all pixels of an image.
    is_guess : bool
        Whether this was concluded from the sizes alone, and not from the layer that reads them.

    Examples
    --------
    >>> str(ImageForm(added=(1,)))
    'without a dimension of channels'
    """

    added: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()
    is_guess: bool = False

    def __str__(self) -> str:
        if self.parts:
            return "all pixels in one dimension"
        missing = [word for place, word in ((0, "of the batch"), (1, "of channels")) if place in self.added]
        return "without a dimension " + " or ".join(missing)


def find_form(sizes: Sequence[int | None], layer: LayerAxes | None) -> ImageForm | None:
    """Return how an input holds an image; None where it does not, as far as graph and sizes tell.

    Parameters
    ----------
    sizes : sequence of int or None
        The sizes of the input's one to three dimensions; None where they are free.
    layer : LayerAxes or None
        What the first convolution or pooling reads of it.

    Examples
    --------
    >>> from onnx_cam.graph.inputs.axes_read import Axis
    >>> rows, columns = Axis(1, 28), Axis(2, 28)
    >>> layer = LayerAxes((Axis(0, None), Axis(None, 1), rows, columns), channels_last=False)
    >>> find_form([None, 28, 28], layer).added
    (1,)
    """
    if layer is None:
        return _form_of_sizes(sizes)
    if len(layer.axes) != 4 or any(axis.source is None for axis in layer.spatial):
        return None
    if any(axis.part is not None for axis in layer.axes):
        return _flat_form(layer, len(sizes))
    batch, channels = layer.axes[0].source, layer.channels.source
    added = (*([0] if batch is None else []), *([1] if channels is None else []))
    sources = [batch, channels, *(axis.source for axis in layer.spatial)]
    is_complete = sorted(source for source in sources if source is not None) == list(range(len(sizes)))
    if len(sizes) + len(added) != 4 or not is_complete or batch not in (0, None):
        return None
    is_between = channels == 1 and batch is None  # channels between rows and columns
    return None if is_between else ImageForm(added)


def _flat_form(layer: LayerAxes, rank: int) -> ImageForm | None:
    """Return the form of an input whose last dimension holds all pixels of an image."""
    batch = layer.axes[0].source
    parts = sorted((axis.part, axis.size) for axis in layer.axes if axis.part is not None)
    sizes = tuple(size or 1 for _, size in parts)
    if layer.channels.part is None:
        sizes = (1, *sizes)  # a single channel, which the Reshape adds
    if len(sizes) != 3 or rank not in (1, 2) or batch != (None if rank == 1 else 0):
        return None
    return ImageForm(added=(0,) if rank == 1 else (), parts=sizes)


def _form_of_sizes(sizes: Sequence[int | None]) -> ImageForm | None:
    """Return the form that three sizes suggest: rows and columns are many, channels are 1, 3 or 4."""
    if len(sizes) != 3:
        return None
    first, second, last = sizes
    is_first, is_last = first in _CHANNELS, last in _CHANNELS
    if is_last and (first is None) != (second is None):
        return None  # the first may be a batch, of rows of numbers
    return ImageForm(added=(0,), is_guess=True) if is_first != is_last else None


def with_four_dimensions(proto: onnx.ModelProto, name: str, form: ImageForm) -> onnx.ModelProto:
    """Return the model with an input (N, C, H, W) or (N, H, W, C) in place of one of fewer dimensions.

    The input keeps its name; what the graph read under it gets another, and is made of the new input.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    name : str
        The input.
    form : ImageForm

    Examples
    --------
    >>> node = onnx.helper.make_node("Relu", ["image"], ["y"])
    >>> info = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N", 8, 8]) for n in ("image", "y")]
    >>> model = onnx.helper.make_model(onnx.helper.make_graph([node], "main", info[:1], info[1:]))
    >>> model = with_four_dimensions(model, "image", ImageForm(added=(1,)))
    >>> [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim][1:]
    [1, 8, 8]
    >>> [(node.op_type, *node.input) for node in model.graph.node][-2:]
    [('Squeeze', 'image', 'image_axes'), ('Relu', 'image_as_declared')]
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    graph = changed.graph
    names = all_names(graph)
    inner = unused_name(f"{name}_as_declared", names)
    declared = _declare(graph, name, form)
    _rename_reads(graph.node, name, inner)
    _shorten(graph.node, (inner, name), form, Constants(proto))
    if any(inner in (*node.input, *_outer_reads(node)) for node in graph.node):
        replace_nodes(graph, [*_as_declared(form, (name, inner), declared, _opset(changed), names), *graph.node])
    return changed


def _declare(graph: onnx.GraphProto, name: str, form: ImageForm) -> list[int]:
    """Declare the input with all four dimensions, and return the sizes that it had; 0 where they are free."""
    shape = next(info for info in graph.input if info.name == name).type.tensor_type.shape
    dims = list(shape.dim)
    sizes = [dim.dim_value for dim in dims]
    if form.parts:
        dims = [*dims[:-1], *(onnx.TensorShapeProto.Dimension(dim_value=part) for part in form.parts)]
    for place in form.added:
        dims.insert(place, onnx.TensorShapeProto.Dimension(dim_value=1))
    del shape.dim[:]
    shape.dim.extend(dims)
    return sizes


def _rename_reads(nodes: Any, old: str, new: str) -> None:
    """Let nodes, and those of their subgraphs, read a tensor under another name."""
    for node in all_nodes(nodes):
        for index, read in enumerate(node.input):
            if read == old:
                node.input[index] = new
        for graph in subgraphs(node):
            for output in graph.output:
                if output.name == old:
                    output.name = new


def _outer_reads(node: onnx.NodeProto) -> list[str]:
    """Return what the graphs within a node read and hand on."""
    graphs = subgraphs(node)
    reads = [name for graph in graphs for inner in all_nodes(graph.node) for name in inner.input]
    return reads + [output.name for graph in graphs for output in graph.output]


def _as_declared(
    form: ImageForm, tensors: tuple[str, str], sizes: list[int], opset: int, names: set[str]
) -> list[onnx.NodeProto]:
    """Return the nodes that make what the graph reads of the new input, the second tensor of the first."""
    name, inner = tensors
    if form.parts and len(sizes) == 2:
        return [helper.make_node("Flatten", [name], [inner], name=inner, axis=1)]
    if form.parts:
        shape = unused_name(f"{name}_shape", names)
        constant = constant_node(shape, sizes)
        return [constant, helper.make_node("Reshape", [name, shape], [inner], name=inner)]
    if opset < _AXES_INPUT_SINCE:
        return [helper.make_node("Squeeze", [name], [inner], name=inner, axes=list(form.added))]
    axes = unused_name(f"{name}_axes", names)
    constant = constant_node(axes, form.added)
    return [constant, helper.make_node("Squeeze", [name, axes], [inner], name=inner)]


def _shorten(nodes: Any, tensors: tuple[str, str], form: ImageForm, constants: Constants) -> None:
    """Let what only adds the missing dimensions read the new input itself, whose rows and columns can be followed."""
    inner, name = tensors
    for node in nodes:
        if node.op_type not in ("Reshape", "Unsqueeze") or node.input[0] != inner:
            continue
        attribute = find_attribute(node, "shape" if node.op_type == "Reshape" else "axes")
        value = constants.evaluated(node.input[1]) if attribute is None and len(node.input) > 1 else None
        numbers = list(attribute.ints) if attribute is not None else [] if value is None else value.ravel().tolist()
        if node.op_type == "Reshape" and numbers and 0 not in numbers[1:]:
            node.input[0] = name
        elif node.op_type == "Unsqueeze" and not form.parts and sorted(n % _RANK for n in numbers) == list(form.added):
            node.CopyFrom(helper.make_node("Identity", [name], list(node.output), name=node.name))


def _opset(proto: onnx.ModelProto) -> int:
    return max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)
