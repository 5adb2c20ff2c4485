"""The input of a graph that takes the image."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.errors import ModelError, SettingError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.inputs.axes_read import find_layer_axes
from onnx_cam.graph.inputs.declared import declared_sizes, declared_text
from onnx_cam.graph.inputs.element_types import ELEMENT_TYPES, ElementType
from onnx_cam.graph.inputs.prepare import PreparedModel
from onnx_cam.graph.walk_protobuf import find_attribute

__all__ = ["ImageInput", "describe_image_input", "with_size"]

_CHANNELS = (1, 3, 4)
_CHANNELS_FIRST = [0, 3, 1, 2]  # the permutation from NHWC to NCHW
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
    dtype : str
        The type of the elements, a key of :data:`.element_types.ELEMENT_TYPES`.

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

    @property
    def element_type(self) -> ElementType:
        """The type of the elements, and how an image is cast to it."""
        return ELEMENT_TYPES[self.dtype]

    @property
    def takes_integers(self) -> bool:
        """Whether it takes whole numbers, and so pixel values without normalisation."""
        return self.element_type.is_integer

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
        batch = np.moveaxis(images, 1, -1) if self.layout == "NHWC" else images
        return self.element_type.cast(batch)


def describe_image_input(prepared: PreparedModel) -> ImageInput:
    """Return the layout, the sizes and the type of the input that takes the image.

    Raises
    ------
    ModelError
        It has far more channels than an image.

    Examples
    --------
    >>> from onnx_cam.graph.inputs.prepare import prepare_inputs
    >>> from onnx_cam.graph.read import read_model
    >>> describe_image_input(prepare_inputs(read_model("model.onnx"))).shape
    '?×3×20×20'
    """
    file, graph = prepared.file, prepared.file.proto.graph
    info = next(info for info in graph.input if info.name == prepared.image)
    sizes = declared_sizes(info)
    layout = _layout(info.name, sizes, graph, Constants(file))
    batch, *inner = sizes
    channels, height, width = inner if layout == "NCHW" else (inner[2], inner[0], inner[1])
    if channels is not None and channels > _MAX_CHANNELS:
        raise ModelError(
            f"input {declared_text(info)} of {file.name} has {channels:,} channels; expected at most "
            f"{_MAX_CHANNELS:,}: the file is damaged, or its input is not an image"
        )
    return ImageInput(
        info.name, batch, 3 if channels is None else channels, height, width, layout, prepared.element_type.name
    )


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


def _layout(
    name: str, sizes: list[int | None], graph: onnx.GraphProto, constants: Constants
) -> Literal["NCHW", "NHWC"]:
    """Return where the channels are: where a convolution reads them, or else in a dimension of 1, 3 or 4."""
    layer = find_layer_axes(graph, name, sizes, constants)
    if layer is not None and layer.channels.source in (1, 3):
        return "NCHW" if layer.channels.source == 1 else "NHWC"
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
