"""Follow the image's channels through the nodes before the first layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.channel_arithmetic import ARITHMETIC_RULES, Rule, States, constant_value
from onnx_cam.graph.channel_states import ChannelState
from onnx_cam.graph.constants import Constants

__all__ = ["final_states", "follow_channels"]

_MOST_CHANNELS = 64  # an input with more is no image, and what changes them is no colour
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
        try:
            with np.errstate(all="ignore"):
                outputs = rule(node, [states.get(tensor.name) for tensor in node.inputs], constants)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            continue  # a damaged node, whose attributes are of another type or contradict its inputs
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


def _integers(constants: Constants, node: gs.Node, attribute: str, position: int) -> list[int] | None:
    """Return the whole numbers of an attribute, or of the input that took its place in a later opset."""
    given = node.attrs.get(attribute)
    value = constant_value(constants, node, position) if given is None else np.asarray(given)
    return None if value is None or value.dtype.kind not in "iu" else [int(number) for number in np.ravel(value)]


def _passed(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    return None if states[0] is None else [states[0]]


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
    state, indices = states[0], constant_value(constants, node, 1)
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
    state, lengths = states[0], constant_value(constants, node, 1)
    if state is None or lengths is None or int(node.attrs.get("time_axis", 0)) != state.axis:
        return None
    return [state.taken(range(len(state.sources))[::-1])] if np.all(lengths == len(state.sources)) else None


_RULES: dict[str, Rule] = {
    **ARITHMETIC_RULES,
    **dict.fromkeys(_PASSED, _passed),
    **dict.fromkeys(_RESIZES, _resized),
    "CenterCropPad": _cropped,
    "Concat": _joined,
    "Gather": _gathered,
    "Pad": _padded,
    "Reshape": _reshaped,
    "ReverseSequence": _reversed,
    "Slice": _sliced,
    "Split": _split,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}
