"""Nodes that scale and shift channels, whatever the operator: the rules to follow them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.channel_states import ChannelState
from onnx_cam.graph.constants import Constants

__all__ = ["ARITHMETIC_RULES", "Rule", "States", "constant_value"]

Doubles = NDArray[np.float64]
Array = NDArray[Any]

_PIXEL_RANGES = ((0.0, 255.0), (0.0, 1.0))

States: TypeAlias = Sequence[ChannelState | None]
Rule: TypeAlias = Callable[[gs.Node, States, Constants], "Sequence[ChannelState] | None"]
"""Returns the states of a node's outputs, given those of its inputs; None for a layer, and what cannot be followed."""


def constant_value(constants: Constants, node: gs.Node, position: int) -> Array | None:
    """Return the value of a node's input; None where it has none, or it is computed."""
    if position >= len(node.inputs) or not node.inputs[position].name:
        return None
    tensor = node.inputs[position]
    value = constants.value(tensor)
    return constants.evaluated(tensor.name) if value is None else value


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
        constant = None if state is None else _per_channel(constant_value(constants, node, 1 if is_first else 0), state)
        changed = None if constant is None else change(constant, is_first)
        return None if changed is None or state is None else [state.scaled(*changed)]

    return rule


def _negated(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    return None if states[0] is None else [states[0].scaled(-np.ones(1), np.zeros(1))]


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
    return constant_value(constants, node, position) if given is None else np.asarray(given)


def _convolved(node: gs.Node, states: States, constants: Constants) -> list[ChannelState] | None:
    """Follow a 1×1 convolution that only scales channels and puts them into another order."""
    state, weight = states[0], constant_value(constants, node, 1)
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
    bias = constant_value(constants, node, 2)
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
    state, matrix = states[0], constant_value(constants, node, 1)
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
    values = [constant_value(constants, node, position) for position in range(1, 5)]
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
    scale = constant_value(constants, node, 1)
    zero_point = np.zeros(1, np.int8) if len(node.inputs) < 3 else constant_value(constants, node, 2)
    if scale is None or zero_point is None or scale.size not in (1, len(state.sources)):
        return None
    factor = np.ravel(scale).astype(np.float64)
    return [state.scaled(factor, -np.ravel(zero_point).astype(np.float64) * factor)]


ARITHMETIC_RULES: dict[str, Rule] = {
    "Add": _arithmetic(lambda constant, is_first: (np.ones(1), constant)),
    "Sub": _arithmetic(lambda constant, is_first: (np.ones(1), -constant) if is_first else (-np.ones(1), constant)),
    "Mul": _arithmetic(lambda constant, is_first: (constant, np.zeros(1))),
    "Div": _arithmetic(
        lambda constant, is_first: (1 / constant, np.zeros(1)) if is_first and np.all(constant) else None
    ),
    "Neg": _negated,
    "BatchNormalization": _batch_normalised,
    "Clip": _clipped,
    "Conv": _convolved,
    "DequantizeLinear": _dequantized,
    "ImageScaler": _image_scaled,
    "MatMul": _multiplied,
}
"""Operator to the rule that follows it."""
