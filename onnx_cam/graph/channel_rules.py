"""Follow the image's channels through the nodes before the first layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.channel_states import ChannelState
from onnx_cam.graph.constants import Constants

__all__ = ["final_states", "follow_channels"]

Doubles = NDArray[np.float64]
Array = NDArray[Any]

_MOST_CHANNELS = 64  # an input with more is no image, and what changes them is no colour
_PIXEL_RANGES = ((0.0, 255.0), (0.0, 1.0))
_OPEN_END = 2**30  # an end beyond it is that of the axis, whatever its length
_PASSED = {"Cast", "CastLike", "Identity", "QuantizeLinear", "Dropout"}
_RESIZES = {"Resize", "Upsample"}


def follow_channels(graph: gs.Graph, constants: Constants, image: str, state: ChannelState) -> dict[str, ChannelState]:
    """Return the states of the image and of the tensors that are made of it before the first layer, by their names.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    constants : Constants
        The values of the graph's constants.
    image : str
        The input that takes the image.
    state : ChannelState
        Of that input.
    """
    states = {image: state}
    if len(state.sources) > _MOST_CHANNELS:
        return states
    for node in graph.nodes:  # the nodes of an ONNX file are sorted
        rule = _RULES.get(node.op)
        if rule is None or not any(tensor.name in states for tensor in node.inputs):
            continue
        outputs = rule(node, [states.get(tensor.name) for tensor in node.inputs], constants)
        states |= {tensor.name: made for tensor, made in zip(node.outputs, outputs or [], strict=False) if tensor.name}
    return states


def final_states(graph: gs.Graph, states: dict[str, ChannelState]) -> list[ChannelState]:
    """Return the states of the tensors that the first layers read.

    A node that only asks for the shape of a tensor does not count.
    """
    outputs = {tensor.name for tensor in graph.outputs}
    finals = [name for name in states if name in outputs]
    for node in graph.nodes:
        if node.op not in ("Shape", "Size") and not any(tensor.name in states for tensor in node.outputs):
            finals += [tensor.name for tensor in node.inputs if tensor.name in states]
    return [states[name] for name in dict.fromkeys(finals)]


States: TypeAlias = Sequence[ChannelState | None]
Rule: TypeAlias = Callable[[gs.Node, States, Constants], "Sequence[ChannelState] | None"]
"""Returns the states of a node's outputs, given those of its inputs; None for a layer, and what cannot be followed."""


def _value(constants: Constants, node: gs.Node, position: int) -> Array | None:
    """Return the value of a node's input; None where it has none, or it is computed."""
    if position >= len(node.inputs) or not node.inputs[position].name:
        return None
    tensor = node.inputs[position]
    value = constants.value(tensor)
    return constants.evaluated(tensor.name) if value is None else value


def _integers(constants: Constants, node: gs.Node, attribute: str, position: int) -> list[int] | None:
    """Return the whole numbers of an attribute, or of the input that took its place in a later opset."""
    given = node.attrs.get(attribute)
    value = _value(constants, node, position) if given is None else np.asarray(given)
    return None if value is None or value.dtype.kind not in "iu" else [int(number) for number in np.ravel(value)]


def _per_channel(value: Array | None, state: ChannelState) -> Doubles | None:
    """Return a constant that varies along the channels alone, as one number or one per channel; None for any other."""
    if value is None or value.dtype.kind not in "fiu":
        return None
    if value.size == 1:
        return np.ravel(value).astype(np.float64)
    axis = None if state.axis is None else state.axis - (state.rank - value.ndim)
    if axis is None or axis < 0 or value.ndim > state.rank or value.size != value.shape[axis]:
        return None
    fits = len(state.sources) in (1, value.size)
    return np.ravel(value).astype(np.float64) if fits else None


def _arithmetic(change: Callable[[Doubles, bool], tuple[Doubles, Doubles] | None]) -> Rule:
    """Return the rule of an operator of two inputs, given its factor and offset for a constant."""

    def rule(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
        if len(states) != 2 or (states[0] is None) == (states[1] is None):
            return None
        is_first = states[0] is not None
        state = states[0] or states[1]
        constant = None if state is None else _per_channel(_value(constants, node, 1 if is_first else 0), state)
        changed = None if constant is None else change(constant, is_first)
        return None if changed is None or state is None else [state.scaled(*changed)]

    return rule


def _passed(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    return None if states[0] is None else [states[0]]


def _negated(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    return None if states[0] is None else [states[0].scaled(-np.ones(1), np.zeros(1))]


def _resized(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    return None if states[0] is None else [replace(states[0], resizes=True)]


def _cropped(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    return None if states[0] is None else [replace(states[0], crops=True)]


def _padded(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    state, pads = states[0], _integers(constants, node, "pads", 1)
    if state is None or (pads is not None and len(pads) == 2 * state.rank and _adds_channels(pads, state)):
        return None
    return [state]


def _adds_channels(pads: list[int], state: ChannelState) -> bool:
    return state.axis is not None and bool(pads[state.axis] or pads[state.axis + state.rank])


def _clipped(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Pass a Clip that changes no value that a pixel can have."""
    state = states[0]
    if state is None:
        return None
    low, high = (
        float(np.ravel(value)[0]) if value is not None and value.size == 1 else default
        for value, default in (
            (_bound(node, constants, "min", 1), -np.inf),
            (_bound(node, constants, "max", 2), np.inf),
        )
    )
    for pixels in _PIXEL_RANGES:
        ends = np.stack([state.factors * pixel + state.offsets for pixel in pixels])
        margin = 1e-3 * np.ptp(ends)
        if ends.min() >= low - margin and ends.max() <= high + margin:
            return [state]
    return None


def _bound(node: gs.Node, constants: Constants, attribute: str, position: int) -> Array | None:
    given = node.attrs.get(attribute)
    return _value(constants, node, position) if given is None else np.asarray(given)


def _transposed(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    state = states[0]
    if state is None:
        return None
    permutation = list(node.attrs.get("perm") or reversed(range(state.rank)))
    if len(permutation) != state.rank:
        return None
    return [state if state.axis is None else replace(state, axis=permutation.index(state.axis))]


def _reshaped(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow a Reshape that keeps the channels' dimension, or has a single channel."""
    state, shape = states[0], _integers(constants, node, "shape", 1)
    if state is None or shape is None or state.axis is None:
        return None
    axes = [axis for axis, size in enumerate(shape) if axis > 0 and size == len(state.sources)]
    if state.rank == len(shape) and state.axis in axes and (len(axes) == 1 or len(state.sources) == 1):
        return [state]
    return [replace(state, rank=len(shape), axis=axes[0])] if axes and len(state.sources) == 1 else None


def _unsqueezed(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    state, axes = states[0], _integers(constants, node, "axes", 1)
    if state is None or axes is None or len(axes) != 1:
        return None
    rank = state.rank + 1
    new_axis = axes[0] % rank
    if state.axis is None:
        return [replace(state, rank=rank, axis=new_axis)]
    return [replace(state, rank=rank, axis=state.axis + (new_axis <= state.axis))]


def _squeezed(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    state, axes = states[0], _integers(constants, node, "axes", 1)
    if state is None or axes is None or len(axes) != 1:
        return None
    old_axis = axes[0] % state.rank
    if state.axis is None or old_axis != state.axis:
        axis = None if state.axis is None else state.axis - (old_axis < state.axis)
        return [replace(state, rank=state.rank - 1, axis=axis)]
    return [replace(state, rank=state.rank - 1, axis=None)] if len(state.sources) == 1 else None


def _gathered(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow a Gather of channels: an index takes one out, a list puts them in another order."""
    state, indices = states[0], _value(constants, node, 1)
    if state is None or state.axis is None or indices is None or indices.ndim > 1:
        return None
    if int(node.attrs.get("axis", 0)) % state.rank != state.axis:
        return None
    channels = [int(index) for index in np.ravel(indices)]
    if not all(-len(state.sources) <= channel < len(state.sources) for channel in channels):
        return None
    taken = state.taken(channels)
    return [replace(taken, rank=state.rank - 1, axis=None)] if indices.ndim == 0 else [taken]


def _sliced(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow a Slice: of channels, also backwards, and of rows and columns, which crops."""
    state = states[0]
    if state is None:
        return None
    starts, ends = (_integers(constants, node, name, i) for name, i in (("starts", 1), ("ends", 2)))
    axes = _integers(constants, node, "axes", 3)
    steps = _integers(constants, node, "steps", 4)
    if axes is None and len(node.inputs) > 3 and node.inputs[3].name:
        return None
    if starts is None or ends is None:  # computed from the image's size
        spatial = (
            axes is not None
            and steps in (None, [1] * len(axes or []))
            and state.axis not in {axis % state.rank for axis in axes}
        )
        return [replace(state, crops=True)] if spatial else None
    axes = [axis % state.rank for axis in (range(len(starts)) if axes is None else axes)]
    for axis, start, end, step in zip(axes, starts, ends, steps or [1] * len(axes), strict=False):
        if axis == state.axis:
            state = state.taken(range(len(state.sources))[slice(start, _end(end), step)])
        elif axis == 0 or step != 1:  # a part of the batch; every other row, as networks do that fold pixels
            return None
        elif start != 0 or end < _OPEN_END:
            state = replace(state, crops=True)
    return [state] if state.sources else None


def _end(end: int) -> int | None:
    """Return the end of a Python slice; None for one beyond the axis."""
    return None if abs(end) >= _OPEN_END else end


def _split(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    state = states[0]
    if state is None or state.axis is None or int(node.attrs.get("axis", 0)) % state.rank != state.axis:
        return None
    count = len(node.outputs)
    lengths = _integers(constants, node, "split", 1) or [len(state.sources) // count] * count
    if sum(lengths) != len(state.sources) or len(lengths) != count:
        return None
    starts = np.cumsum([0, *lengths[:-1]])
    return [state.taken(range(start, start + length)) for start, length in zip(starts, lengths, strict=True)]


def _joined(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow a Concat of channels."""
    parts = [state for state in states if state is not None]
    first = parts[0]
    if len(parts) < len(states) or first.axis is None or int(node.attrs.get("axis", 0)) % first.rank != first.axis:
        return None
    if any((part.rank, part.axis, part.crops) != (first.rank, first.axis, first.crops) for part in parts):
        return None
    return [
        replace(
            first,
            sources=tuple(source for part in parts for source in part.sources),
            factors=np.concatenate([part.factors for part in parts]),
            offsets=np.concatenate([part.offsets for part in parts]),
        )
    ]


def _reversed(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow a ReverseSequence of the whole channel axis, which TensorFlow's ``reverse`` is converted to."""
    state, lengths = states[0], _value(constants, node, 1)
    if state is None or lengths is None or int(node.attrs.get("time_axis", 0)) != state.axis:
        return None
    return [state.taken(range(len(state.sources))[::-1])] if np.all(lengths == len(state.sources)) else None


def _convolved(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow a 1×1 convolution that only scales channels and puts them into another order."""
    state, weight = states[0], _value(constants, node, 1)
    strides, pads = (list(node.attrs.get(name) or []) for name in ("strides", "pads"))
    if (
        state is None
        or state.axis != 1
        or weight is None
        or set(strides) - {1}
        or any(pads)
        or node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    ):
        return None
    groups = int(node.attrs.get("group", 1))
    if weight.ndim != state.rank or weight[0, 0].size != 1 or weight.shape[1] * groups != len(state.sources):
        return None
    matrix = _dense(weight.reshape(len(weight), -1).astype(np.float64), groups)
    bias = _value(constants, node, 2)
    if bias is None and len(node.inputs) > 2 and node.inputs[2].name:
        return None
    return _selected(state, matrix, np.zeros(len(matrix)) if bias is None else np.ravel(bias).astype(np.float64))


def _dense(weight: Doubles, groups: int) -> Doubles:
    """Return the weights (O, I / groups) of a grouped convolution as a matrix (O, I)."""
    outputs, inputs = weight.shape
    matrix = np.zeros((outputs, inputs * groups))
    for output in range(outputs):
        first = output // (outputs // groups) * inputs
        matrix[output, first : first + inputs] = weight[output]
    return matrix


def _multiplied(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow a MatMul of channels in the last dimension by a matrix that only scales and reorders them."""
    state, matrix = states[0], _value(constants, node, 1)
    if state is None or matrix is None or matrix.ndim != 2 or state.axis != state.rank - 1:
        return None
    return (
        _selected(state, matrix.T.astype(np.float64), np.zeros(matrix.shape[1]))
        if len(matrix) == len(state.sources)
        else None
    )


def _selected(state: ChannelState, matrix: Doubles, bias: Doubles) -> list[ChannelState] | None:
    """Return the state after a matrix (O, I) of which every row has a single entry."""
    if len(matrix) != len(state.sources) or not np.all(np.count_nonzero(matrix, axis=1) == 1):
        return None
    channels = np.argmax(matrix != 0, axis=1)
    return [state.taken(channels.tolist()).scaled(matrix[np.arange(len(matrix)), channels], bias)]


def _batch_normalised(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    state = states[0]
    values = [_value(constants, node, position) for position in range(1, 5)]
    if state is None or state.axis != 1 or any(value is None or value.size != len(state.sources) for value in values):
        return None
    scale, bias, mean, variance = (np.ravel(np.asarray(value)).astype(np.float64) for value in values)
    factor = scale / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    return [state.scaled(factor, bias - mean * factor)]


def _image_scaled(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow an ImageScaler, which converters of Core ML models write."""
    state, bias = states[0], np.asarray(node.attrs.get("bias") or [0.0], np.float64)
    if state is None or len(bias) not in (1, len(state.sources)):
        return None
    return [state.scaled(np.array([float(node.attrs.get("scale", 1.0))]), bias)]


def _dequantized(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    state = states[0]
    if state is None:
        return None
    if node.inputs[0].inputs and node.inputs[0].inputs[0].op == "QuantizeLinear":
        return [state]  # the two undo each other
    scale = _value(constants, node, 1)
    zero_point = np.zeros(1, np.int8) if len(node.inputs) < 3 else _value(constants, node, 2)
    if scale is None or zero_point is None or scale.size not in (1, len(state.sources)):
        return None
    factor = np.ravel(scale).astype(np.float64)
    return [state.scaled(factor, -np.ravel(zero_point).astype(np.float64) * factor)]


_RULES: dict[str, Rule] = {
    **dict.fromkeys(_PASSED, _passed),
    **dict.fromkeys(_RESIZES, _resized),
    "Add": _arithmetic(lambda constant, is_first: (np.ones(1), constant)),
    "Sub": _arithmetic(lambda constant, is_first: (np.ones(1), -constant) if is_first else (-np.ones(1), constant)),
    "Mul": _arithmetic(lambda constant, is_first: (constant, np.zeros(1))),
    "Div": _arithmetic(
        lambda constant, is_first: (1 / constant, np.zeros(1)) if is_first and np.all(constant) else None
    ),
    "Neg": _negated,
    "BatchNormalization": _batch_normalised,
    "CenterCropPad": _cropped,
    "Clip": _clipped,
    "Concat": _joined,
    "Conv": _convolved,
    "DequantizeLinear": _dequantized,
    "Gather": _gathered,
    "ImageScaler": _image_scaled,
    "MatMul": _multiplied,
    "Pad": _padded,
    "Reshape": _reshaped,
    "ReverseSequence": _reversed,
    "Slice": _sliced,
    "Split": _split,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}
