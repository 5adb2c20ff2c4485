"""Which of a graph's inputs takes the image."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.errors import ModelError, SettingError, did_you_mean

__all__ = ["EIGHT_BITS", "ImageInput", "find_image_input", "with_size"]

EIGHT_BITS = ("uint8", "int8")
"""The types of an input that takes pixels as they are."""

_CHANNELS = (1, 3, 4)
_DTYPES: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.INT8: "int8",
}
_ARITHMETIC = {"Cast", "Sub", "Add", "Mul", "Div", "QuantizeLinear", "DequantizeLinear", "Identity", "Resize", "Pad"}


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
        C.
    height, width : int or None
        H and W; None where the file leaves them free.
    layout : {"NCHW", "NHWC"}
        The order of its dimensions.
    dtype : {"float32", "float16", "uint8", "int8"}
        What it takes.
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
        """Return a batch as the model takes it.

        Whole numbers are rounded here, behind all masking: a uint8 input takes pixel values from 0 to 255, an int8
        input the same less 128.

        Parameters
        ----------
        images : ndarray of shape (B, C, H, W), float32
        """
        arranged: NDArray[Any] = np.moveaxis(images, 1, -1) if self.layout == "NHWC" else images
        if self.dtype == "uint8":
            return np.ascontiguousarray(np.clip(np.rint(arranged), 0, 255), np.uint8)
        if self.dtype == "int8":
            return np.ascontiguousarray(np.clip(np.rint(arranged) - 128, -128, 127), np.int8)
        return np.ascontiguousarray(arranged, self.dtype)


def find_image_input(graph: onnx.GraphProto, model: str, name: str | None = None) -> ImageInput:
    """Return the input that takes the image.

    Parameters
    ----------
    graph : onnx.GraphProto
        The graph; inputs that have an initializer are weights (IR 3 lists them) and are passed over.
    model : str
        The file's name, for messages.
    name : str, optional
        The input to take, where more than one would do.

    Raises
    ------
    ModelError
        No input, or more than one, takes an image; or the input has a layout or type that is not supported.
    """
    weights = {w.name for w in graph.initializer} | {w.values.name for w in graph.sparse_initializer}
    inputs = {i.name: i for i in graph.input if i.name not in weights}
    chosen = _choose(inputs, model, name)
    others = [other for other in inputs if other != chosen]
    if others:
        raise ModelError(
            f"{model} needs {', '.join(map(repr, others))} beside the image {chosen!r}; "
            "expected a classifier whose only input is the image: make the others constants"
        )
    return _describe(inputs[chosen], graph, model)


def with_size(image_input: ImageInput, size: tuple[int, int] | None, model: str) -> ImageInput:
    """Return the input with a size that the user gave, ``(H, W)``.

    Raises
    ------
    ModelError
        The file fixes another.
    SettingError
        It is no size.
    """
    if size is None:
        return image_input
    try:
        size = tuple(map(operator.index, size))  # type: ignore[assignment]
        if len(size) != 2 or min(size) < 1:
            raise ValueError
    except (TypeError, ValueError):
        raise SettingError(f"size={size!r}; expected two positive whole numbers, height and width") from None
    fixed = (image_input.height or size[0], image_input.width or size[1])
    if fixed != size:
        raise ModelError(
            f"{model} takes images of {fixed[0]}×{fixed[1]} (height × width), not {size[0]}×{size[1]}; leave out --size"
        )
    return replace(image_input, height=size[0], width=size[1])


def _choose(inputs: dict[str, onnx.ValueInfoProto], model: str, name: str | None) -> str:
    if name is not None:
        if name not in inputs:
            raise ModelError(f"no input {name!r} in {model}{did_you_mean(name, inputs)} It has {_listed(inputs)}")
        return name
    images = [key for key, info in inputs.items() if len(_dims(info)) == 4]
    if len(images) == 1:
        return images[0]
    if not images:
        raise ModelError(f"{model} has no image input; expected one of four dimensions, got {_listed(inputs)}")
    raise ModelError(
        f"{model} has {len(images)} image inputs; expected one, the others made constants: {_listed(inputs)}"
    )


def _describe(info: onnx.ValueInfoProto, graph: onnx.GraphProto, model: str) -> ImageInput:
    dims = _dims(info)
    if len(dims) != 4:
        raise ModelError(f"input {_text(info)} of {model} takes no image; expected four dimensions (N, C, H, W)")
    dtype = _DTYPES.get(info.type.tensor_type.elem_type)
    if dtype is None:
        raise ModelError(f"input {_text(info)} of {model}; expected an image of {', '.join(_DTYPES.values())}")
    layout = _layout(info.name, dims, graph)
    batch, *inner = dims
    channels, height, width = inner if layout == "NCHW" else (inner[2], inner[0], inner[1])
    return ImageInput(info.name, batch, 3 if channels is None else channels, height, width, layout, dtype)


def _layout(name: str, dims: list[int | None], graph: onnx.GraphProto) -> Literal["NCHW", "NHWC"]:
    """Return where the channels are: a dimension of 1, 3 or 4 says it, else what the graph does with the input."""
    first, last = dims[1] in _CHANNELS, dims[3] in _CHANNELS
    if first != last:
        return "NCHW" if first else "NHWC"
    if _transposed(name, graph) or (dims[1] == dims[2] and dims[2] != dims[3]):
        return "NHWC"
    return "NCHW"


def _transposed(name: str, graph: onnx.GraphProto) -> bool:
    """Whether the input goes to channels first before anything but arithmetic happens to it."""
    reached = {name}
    for node in graph.node:
        if reached.isdisjoint(node.input) or node.op_type == "Shape":
            continue
        if node.op_type == "Transpose":
            return any(list(a.ints) == [0, 3, 1, 2] for a in node.attribute if a.name == "perm")
        if node.op_type not in _ARITHMETIC:
            return False
        reached.update(node.output)
    return False


def _dims(info: onnx.ValueInfoProto) -> list[int | None]:
    shape = info.type.tensor_type.shape
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in shape.dim]


def _text(info: onnx.ValueInfoProto) -> str:
    kind = onnx.TensorProto.DataType.Name(info.type.tensor_type.elem_type).lower()
    return f"{info.name!r} ({', '.join('?' if d is None else str(d) for d in _dims(info))}; {kind})"


def _listed(inputs: dict[str, onnx.ValueInfoProto]) -> str:
    return ", ".join(map(_text, inputs.values())) or "none"
