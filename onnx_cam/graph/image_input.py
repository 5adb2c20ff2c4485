"""Find the input of a graph that takes the image."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.errors import ModelError, SettingError, did_you_mean
from onnx_cam.graph.channel_axis import channel_axis
from onnx_cam.graph.walk_protobuf import find_attribute

__all__ = ["EIGHT_BITS", "ImageInput", "find_image_input", "with_size"]

EIGHT_BITS = ("uint8", "int8")
"""The types of an input that takes pixels without normalisation."""

_DIMENSIONS = 4
_CHANNELS = (1, 3, 4)
_CHANNELS_FIRST = [0, 3, 1, 2]  # the permutation from NHWC to NCHW
_DTYPES: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.INT8: "int8",
}
_MAX_CHANNELS = 4096  # hyperspectral images have a few hundred
_ARITHMETIC = {"Cast", "Sub", "Add", "Mul", "Div", "QuantizeLinear", "DequantizeLinear", "Identity", "Resize", "Pad"}
"""What a graph may do to its input before it moves the channels."""


@dataclass(frozen=True)
class ImageInput:
    """The input that takes the image.

    Attributes
    ----------
    name : str
        The tensor's name.
    batch : int or None
        The batch size that the file fixes; None where it is free.
    channels : int
        The number of channels, C.
    height, width : int or None
        H and W in pixels; None where the file leaves them free.
    layout : {"NCHW", "NHWC"}
        The order of the dimensions.
    dtype : {"float32", "float16", "uint8", "int8"}
        The type of the elements.

    Examples
    --------
    >>> image_input = ImageInput("image", batch=1, channels=3, height=None, width=None, layout="NHWC")
    >>> image_input.shape
    '1×?×?×3'
    """

    name: str
    batch: int | None
    channels: int
    height: int | None
    width: int | None
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: str = "float32"

    @property
    def shape(self) -> str:
        """The shape as text, ``?`` where the file leaves it free."""
        inner = (self.channels, self.height, self.width)
        sizes = (self.batch, *(inner if self.layout == "NCHW" else (*inner[1:], inner[0])))
        return "×".join("?" if n is None else str(n) for n in sizes)

    def feed(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Return a batch in the layout and the type that the model takes.

        Rounding to whole numbers happens here, after all masking: a uint8 input takes pixel values from 0 to 255, an
        int8 input takes them minus 128.

        Parameters
        ----------
        images : ndarray of shape (B, C, H, W), float32

        Returns
        -------
        ndarray of shape (B, C, H, W) or (B, H, W, C), of type `dtype`

        Examples
        --------
        >>> image_input = ImageInput("image", None, 1, 1, 2, layout="NHWC", dtype="uint8")
        >>> image_input.feed(np.float32([[[[0.4, 300]]]]))[0].tolist()  # (B, C, H, W) to (B, H, W, C)
        [[[0], [255]]]
        """
        batch: NDArray[Any] = np.moveaxis(images, 1, -1) if self.layout == "NHWC" else images
        if self.dtype == "uint8":
            return np.ascontiguousarray(np.clip(np.rint(batch), 0, 255), np.uint8)
        if self.dtype == "int8":
            return np.ascontiguousarray(np.clip(np.rint(batch) - 128, -128, 127), np.int8)
        return np.ascontiguousarray(batch, self.dtype)


def find_image_input(graph: onnx.GraphProto, model: str, name: str | None = None) -> ImageInput:
    """Return the input that takes the image.

    Parameters
    ----------
    graph : onnx.GraphProto
        The graph; inputs that have an initializer are weights (IR 3 lists them among the inputs) and are ignored.
    model : str
        The file's name, for messages.
    name : str, optional
        The input to take, where more than one is possible.

    Raises
    ------
    ModelError
        No input, or more than one, takes an image; or the input has a layout or type that is not supported.

    Examples
    --------
    >>> find_image_input(onnx.load("model.onnx").graph, "model.onnx").shape
    '?×3×20×20'
    """
    weights = {w.name for w in graph.initializer} | {w.values.name for w in graph.sparse_initializer}
    inputs = {i.name: i for i in graph.input if i.name not in weights}
    image = _choose(inputs, model, name)
    others = [other for other in inputs if other != image]
    if others:
        raise ModelError(
            f"{model} needs {', '.join(map(repr, others))} beside the image {image!r}; "
            "expected a classifier whose only input is the image: turn the others into constants"
        )
    return _describe(inputs[image], graph, model)


def with_size(image_input: ImageInput, size: tuple[int, int] | None, model: str) -> ImageInput:
    """Return the input with the size that the user gave, ``(H, W)`` in pixels.

    Raises
    ------
    ModelError
        The file fixes another size.
    SettingError
        It is not a pair of positive whole numbers.

    Examples
    --------
    >>> with_size(ImageInput("image", 1, 3, None, None), (224, 160), "model.onnx").shape
    '1×3×224×160'
    """
    if size is None:
        return image_input
    try:
        size = tuple(map(operator.index, size))  # type: ignore[assignment]
        if len(size) != 2 or min(size) < 1:
            raise ValueError
    except (TypeError, ValueError):
        raise SettingError(f"invalid size {size!r}; expected two positive whole numbers, height and width") from None
    fixed = (image_input.height or size[0], image_input.width or size[1])
    if fixed != size:
        raise ModelError(
            f"{model} takes images of {fixed[0]}×{fixed[1]} (height × width), not {size[0]}×{size[1]}; leave out --size"
        )
    return replace(image_input, height=size[0], width=size[1])


def _choose(inputs: dict[str, onnx.ValueInfoProto], model: str, name: str | None) -> str:
    if name is not None:
        if name not in inputs:
            raise ModelError(f"no input {name!r} in {model}{did_you_mean(name, inputs)} Its inputs: {_listed(inputs)}")
        return name
    images = [key for key, info in inputs.items() if len(_sizes(info)) == _DIMENSIONS]
    if len(images) == 1:
        return images[0]
    if not images:
        raise ModelError(f"{model} has no image input; expected one of four dimensions, got {_listed(inputs)}")
    raise ModelError(
        f"{model} has {len(images)} image inputs; expected one: turn the others into constants. "
        f"Its inputs: {_listed(inputs)}"
    )


def _describe(info: onnx.ValueInfoProto, graph: onnx.GraphProto, model: str) -> ImageInput:
    sizes = _sizes(info)
    if len(sizes) != _DIMENSIONS:
        raise ModelError(f"input {_text(info)} of {model} is not an image; expected four dimensions (N, C, H, W)")
    dtype = _DTYPES.get(info.type.tensor_type.elem_type)
    if dtype is None:
        raise ModelError(
            f"input {_text(info)} of {model} has an unsupported type; "
            f"expected an image of {', '.join(_DTYPES.values())}"
        )
    layout = _layout(info.name, sizes, graph)
    batch, *inner = sizes
    channels, height, width = inner if layout == "NCHW" else (inner[2], inner[0], inner[1])
    if channels is not None and channels > _MAX_CHANNELS:
        raise ModelError(
            f"input {_text(info)} of {model} has {channels:,} channels; expected at most {_MAX_CHANNELS:,}: "
            "the file is damaged, or its input is not an image"
        )
    return ImageInput(info.name, batch, 3 if channels is None else channels, height, width, layout, dtype)


def _layout(name: str, sizes: list[int | None], graph: onnx.GraphProto) -> Literal["NCHW", "NHWC"]:
    """Return where the channels are: where a convolution reads them, or else in a dimension of 1, 3 or 4."""
    read = channel_axis(graph, name, _DIMENSIONS)
    if read in (1, 3):
        return "NCHW" if read == 1 else "NHWC"
    may_be_first, may_be_last = sizes[1] in _CHANNELS, sizes[3] in _CHANNELS
    if may_be_first != may_be_last:
        return "NCHW" if may_be_first else "NHWC"
    if _is_transposed(name, graph) or (sizes[1] == sizes[2] and sizes[2] != sizes[3]):
        return "NHWC"
    return "NCHW"


def _is_transposed(name: str, graph: onnx.GraphProto) -> bool:
    """Whether the graph moves the channels of its input first, before it does anything but arithmetic to it."""
    names = {name}  # the input, and what arithmetic makes of it
    for node in graph.node:
        if names.isdisjoint(node.input) or node.op_type == "Shape":
            continue
        if node.op_type == "Transpose":
            permutation = find_attribute(node, "perm")
            return permutation is not None and list(permutation.ints) == _CHANNELS_FIRST
        if node.op_type not in _ARITHMETIC:
            return False
        names.update(node.output)
    return False


def _sizes(info: onnx.ValueInfoProto) -> list[int | None]:
    """Return the size of each dimension; None for one that the file leaves free."""
    shape = info.type.tensor_type.shape
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in shape.dim]


def _text(info: onnx.ValueInfoProto) -> str:
    dtype = onnx.TensorProto.DataType.Name(info.type.tensor_type.elem_type).lower()
    return f"{info.name!r} ({', '.join('?' if size is None else str(size) for size in _sizes(info))}; {dtype})"


def _listed(inputs: dict[str, onnx.ValueInfoProto]) -> str:
    return ", ".join(map(_text, inputs.values())) or "none"
