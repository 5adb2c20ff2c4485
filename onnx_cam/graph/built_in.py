"""Find the preprocessing that a graph itself applies to its input, before the first layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.channel_rules import final_states, follow_channels
from onnx_cam.graph.channel_states import ChannelState
from onnx_cam.graph.constants import Constants

__all__ = ["BuiltIn", "find_built_in"]

Doubles = NDArray[np.float64]

_LARGEST_UNIT_CONSTANT = 16.0  # the constants for pixels from 0 to 255 are larger, those for 0 to 1 are smaller
_UNIT_MEANS = (0.2, 0.8)
_UNIT_STDS = (0.1, 0.8)
_CHANNELS = 3
_MAX_CHANNELS = 4096  # of an image; where a damaged file says more, memory would run out
_KNOWN_MEANS = ((123.675, 116.28, 103.53), (123.68, 116.779, 103.939))  # ImageNet's and Caffe's, RGB, 0 to 255
_LARGEST_VALUES = (255, 1023, 4095, 16383, 65535)
_RANGE_MARGIN = 1.2  # of a mean and a deviation that are not exactly those of a range
_TOLERANCE = 2  # pixel levels between a graph's means and those


@dataclass(frozen=True)
class BuiltIn:
    """What a graph does to its input: it normalises it, ``(x − mean) / std``, reverses the colours, resizes or crops.

    Attributes
    ----------
    mean, std : tuple of float
        One number, or one per channel, in the order of the input's channels.
    swaps : bool
        Whether the order of the colours is reversed.
    resizes : bool
        Whether an input of any size is resized.
    crops : bool
        Whether a part is cropped.

    Examples
    --------
    >>> caffe = BuiltIn(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0))
    >>> caffe.takes_pixels, caffe.takes_unit_range, caffe.channels
    (True, False, 'BGR')
    >>> BuiltIn(std=(65535.0,)).largest_value
    65535
    >>> print(caffe)
    (x − (103.9, 116.8, 123.7)) / (1, 1, 1)
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    swaps: bool = False
    resizes: bool = False
    crops: bool = False

    @property
    def normalises(self) -> bool:
        """Whether it changes the values."""
        return any(self.mean) or any(value != 1 for value in self.std)

    @property
    def places(self) -> bool:
        """Whether it resizes or crops."""
        return self.resizes or self.crops

    @property
    def takes_pixels(self) -> bool:
        """Whether it is meant for pixel values from 0 to 255; otherwise it is meant for values from 0 to 1."""
        return max(map(abs, (*self.mean, *self.std))) > _LARGEST_UNIT_CONSTANT

    @property
    def largest_value(self) -> int:
        """The largest pixel value that it is meant for: 255, or that of 10, 12, 14 or 16 bits; 1 for the unit range."""
        if not self.takes_pixels:
            return 1
        reach = max(abs(mean) + abs(std) for mean, std in zip(*_as_long(self.mean, self.std), strict=True))
        return next((value for value in _LARGEST_VALUES if reach <= value * _RANGE_MARGIN), _LARGEST_VALUES[0])

    @property
    def takes_unit_range(self) -> bool:
        """Whether it is meant for values from 0 to 1: it centres them, and scales them up.

        Constants that do neither belong to a layer of the network, whose input is normalised already.
        """
        return all(_UNIT_MEANS[0] < mean < _UNIT_MEANS[1] for mean in self.mean) and all(
            _UNIT_STDS[0] < std < _UNIT_STDS[1] for std in self.std
        )

    @property
    def channels(self) -> Literal["RGB", "BGR"]:
        """The order of the colours that it is meant for: the known one of its means; RGB where they do not tell."""
        return "BGR" if self._has_known_means(-1) else "RGB"

    @property
    def tells_order(self) -> bool:
        """Whether its means are known ones, and tell the order of the colours."""
        return self._has_known_means(1) or self._has_known_means(-1)

    def _has_known_means(self, step: int) -> bool:
        if len(self.mean) != _CHANNELS:
            return False
        means = np.array(self.mean) * (1 if self.takes_pixels else 255)
        return any(np.allclose(means, known[::step], atol=_TOLERANCE, rtol=0) for known in _KNOWN_MEANS)

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return f"(x − ({mean})) / ({std})" + ", and the order of the colours reversed" * self.swaps


def find_built_in(graph: gs.Graph, constants: Constants, image_input: str, layout: str | None = None) -> BuiltIn | None:
    """Return what a graph does to its input before the first layer; None where it does nothing that can be recognised.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    constants : Constants
        The values of the graph's constants.
    image_input : str
        The input that takes the image.
    layout : {"NCHW", "NHWC"}, optional
        Where its channels are; by default, where a dimension is 3 or 1.

    Examples
    --------
    >>> import onnx
    >>> info = onnx.helper.make_tensor_value_info
    >>> image, scaled = (info(name, onnx.TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("image", "scaled"))
    >>> nodes = [onnx.helper.make_node("Div", ["image", "c"], ["scaled"])]
    >>> weights = [onnx.numpy_helper.from_array(np.float32([255]), "c")]
    >>> model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "main", [image], [scaled], weights))
    >>> print(find_built_in(gs.import_onnx(model), Constants(model), "image"))
    (x − (0)) / (255)
    """
    tensor = graph.tensors()[image_input]
    sizes = list(tensor.shape or [])
    axis = _channel_axis(sizes, layout)
    if axis is None:
        return None
    is_known = isinstance(sizes[axis], int) and 0 < sizes[axis] <= _MAX_CHANNELS
    image = ChannelState.of_image(len(sizes), axis, sizes[axis] if is_known else _CHANNELS)
    finals = final_states(graph, follow_channels(graph, constants, image_input, image))
    if not finals or not all(state.is_same(finals[0]) for state in finals):
        return None
    is_free = any(not isinstance(size, int) or size <= 0 for i, size in enumerate(sizes) if i not in (0, axis))
    resizes = is_free and any(state.resizes for state in finals)
    crops = any(state.crops for state in finals)
    mean, std, swaps = _normalisation(finals[0], len(image.sources))
    built_in = BuiltIn(mean, std, swaps, resizes, crops)
    if built_in.normalises and not (built_in.takes_pixels or built_in.takes_unit_range):
        built_in = BuiltIn(swaps=swaps, resizes=resizes, crops=crops)  # a layer's own constants
    return built_in if built_in != BuiltIn() else None


def _channel_axis(sizes: list[object], layout: str | None) -> int | None:
    rank = len(sizes)
    if rank not in (3, 4):
        return None
    first, last = rank - 3, rank - 1
    if layout is not None:
        return first if layout == "NCHW" else last
    return last if sizes[last] in (1, _CHANNELS) and sizes[first] not in (1, _CHANNELS) else first


def _normalisation(state: ChannelState, channels: int) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Return the mean and the deviation of each of the image's channels, and whether their order is reversed."""
    nothing = (0.0,), (1.0,), False
    # factor · x + offset = (x − mean) / std
    with np.errstate(all="ignore"):
        means, stds = -state.offsets / state.factors + 0.0, 1 / state.factors
    if not (np.isfinite(means).all() and np.isfinite(stds).all() and np.all(stds)):
        return nothing
    order = np.arange(len(state.sources)) if channels == 1 else np.argsort(state.sources, kind="stable")
    if channels > 1 and [state.sources[i] for i in order] != list(range(channels)):
        return nothing  # a channel is left out, or counts twice
    swaps = channels > 1 and list(state.sources) == list(range(channels))[::-1]
    return _joined(means[order]), _joined(stds[order]), swaps


def _as_long(*constants: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Return constants with as many numbers each: a single one counts for all channels."""
    length = max(map(len, constants))
    return [values if len(values) == length else values * length for values in constants]


def _joined(values: Doubles) -> tuple[float, ...]:
    """Return one number where all channels have the same."""
    numbers: list[float] = values.tolist()
    return tuple(numbers[:1]) if len(set(numbers)) == 1 else tuple(numbers)
