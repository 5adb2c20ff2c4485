"""Other operators of com.microsoft on quantized tensors.

Their real numbers, computed once more, tell what was clipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from onnx_cam.graph.backward.float_node import FloatNode, channels_first, channels_last, settings_of
from onnx_cam.graph.backward.pooling import average_pool
from onnx_cam.graph.backward.quantization import centred, dequantized, unclipped
from onnx_cam.graph.backward.softmax import softmax_backward
from onnx_cam.graph.backward.step import Gradients, Step
from onnx_cam.graph.backward.windows import fixed_sizes

__all__ = [
    "qlinear_add",
    "qlinear_average_pool",
    "qlinear_concat",
    "qlinear_global_average_pool",
    "qlinear_leaky_relu",
    "qlinear_mul",
    "qlinear_sigmoid",
    "qlinear_softmax",
]

_PAIR = (0, 3)  # the places of the integers; a scale and a zero point come after each
_ROWS_ARE_FLAT_BEFORE = 13


def qlinear_add(step: Step) -> Gradients:
    """``a · a_scale / scale + b · b_scale / scale + offset``, where the offset collects the zero points."""
    emit, scale = step.emit, step.value(6)
    ratios = {place: emit.add("Div", step.value(place + 1), scale) for place in _PAIR}
    numbers = emit.total([emit.add("Mul", step.value(place), ratio) for place, ratio in ratios.items()])
    shifts = [emit.add("Mul", step.value(p + 2), ratio) for p, ratio in ratios.items() if step.has_input(p + 2)]
    if shifts:
        numbers = emit.add("Sub", numbers, emit.total(shifts))
    gradient = _masked(step, _with_zero_point(step, numbers))
    return {place: step.unbroadcast(emit.add("Mul", gradient, ratios[place]), place) for place in _wanted(step)}


def qlinear_mul(step: Step) -> Gradients:
    emit = step.emit
    factors = {place: centred(step, place, place + 2) for place in _PAIR}
    ratio = emit.add("Div", emit.add("Mul", step.value(1), step.value(4)), step.value(6))
    numbers = emit.add("Mul", emit.add("Mul", factors[0], factors[3]), ratio)
    gradient = emit.add("Mul", _masked(step, _with_zero_point(step, numbers)), ratio)
    return {place: step.unbroadcast(emit.add("Mul", gradient, factors[3 - place]), place) for place in _wanted(step)}


def _wanted(step: Step) -> list[int]:
    return [place for place in _PAIR if step.wants(place)]


def _with_zero_point(step: Step, numbers: str) -> str:
    """Return numbers plus the output's zero point, which ONNX Runtime adds before it rounds."""
    return step.emit.add("Add", numbers, step.value(7)) if step.has_input(7) else numbers


def _masked(step: Step, numbers: str) -> str:
    return step.emit.masked(step.gradient, unclipped(step, numbers, None))


def _unquantized_gradient(step: Step, y: str) -> str:
    """Return the gradient at real numbers that an operator of one input quantizes: its inputs 3 and 4 say how."""
    condition = unclipped(step, step.emit.add("Div", y, step.value(3)), 4)
    return step.emit.add("Div", step.emit.masked(step.gradient, condition), step.value(3))


def _at_integers(step: Step, gradient: str) -> Gradients:
    return {0: step.emit.add("Mul", gradient, step.value(1))}


def qlinear_sigmoid(step: Step) -> Gradients:
    emit = step.emit
    y = emit.add("Sigmoid", dequantized(step, 0))
    slope = emit.add("Mul", y, emit.add("Sub", 1.0, y))
    return _at_integers(step, emit.add("Mul", _unquantized_gradient(step, y), slope))


def qlinear_leaky_relu(step: Step) -> Gradients:
    emit, alpha = step.emit, float(step.attribute("alpha", 0.01))
    x = dequantized(step, 0)
    gradient = _unquantized_gradient(step, emit.add("LeakyRelu", x, alpha=alpha))
    positive = emit.add("Greater", x, 0.0)
    rest = emit.masked(gradient, emit.add("Not", positive))
    return _at_integers(step, emit.add("Add", emit.masked(gradient, positive), emit.add("Mul", rest, alpha)))


def qlinear_softmax(step: Step) -> Gradients:
    """Its attribute ``opset`` decides whether all dimensions from the axis on count as one, as before opset 13."""
    emit, rank = step.emit, len(step.shape())
    axis = step.attribute("axis", -1) % rank
    axes = list(range(axis, rank)) if step.attribute("opset", _ROWS_ARE_FLAT_BEFORE) < _ROWS_ARE_FLAT_BEFORE else [axis]
    x = dequantized(step, 0)
    exponentials = emit.add("Exp", emit.add("Sub", x, emit.reduce("ReduceMax", x, axes)))
    y = emit.add("Div", exponentials, emit.reduce("ReduceSum", exponentials, axes))
    gradient = _unquantized_gradient(step, y)
    return _at_integers(step, softmax_backward(emit, gradient, y, axes))


def qlinear_global_average_pool(step: Step) -> Gradients:
    rank = len(step.shape())
    return _mean(step, range(1, rank - 1) if step.attribute("channels_last", 0) else range(2, rank))


def _mean(step: Step, axes: Sequence[int]) -> Gradients:
    """The mean over axes that are kept."""
    emit, shape = step.emit, step.shape()
    count = math.prod(fixed_sizes(tuple(shape[axis] for axis in axes)))
    y = emit.reduce("ReduceMean", dequantized(step, 0), list(axes))
    gradient = emit.add("Mul", _unquantized_gradient(step, y), 1.0 / count)
    narrow = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return _at_integers(step, step.spread_over_input(gradient, narrow))


def qlinear_average_pool(step: Step) -> Gradients:
    rank, is_last = len(step.shape()), bool(step.attribute("channels_last", 0))
    order = channels_first(rank) if is_last else list(range(rank))
    x, y = (tuple(shape[axis] for axis in order) for shape in (step.shape(), step.output_shape()))
    image = step.emit.transpose(dequantized(step, 0), order)
    pool = FloatNode(step, "AveragePool", average_pool, (0,), (image,), (x,), y, settings_of(step))
    back = channels_last(rank) if is_last else order
    gradient = _unquantized_gradient(step, step.emit.transpose(pool.forward(), back))
    (found,) = pool.backward(step.emit.transpose(gradient, order)).values()
    return _at_integers(step, step.emit.transpose(str(found), back))


def qlinear_concat(step: Step) -> Gradients:
    """Parts that each have their own scale and zero point come after those of the output."""
    emit, places = step.emit, range(2, len(step.node.input), 3)
    axis = step.attribute("axis", 0) % len(step.output_shape())
    sizes = fixed_sizes(tuple(step.shape(place)[axis] for place in places))
    gradients: dict[int, str | None] = {}
    for place, size, end in zip(places, sizes, accumulate(sizes), strict=True):
        if step.wants(place):
            part = emit.slice(step.gradient, [end - size], [end], [axis])
            condition = unclipped(step, emit.add("Div", dequantized(step, place), step.value(0)), 1)
            ratio = emit.add("Div", step.value(place + 1), step.value(0))
            gradients[place] = emit.add("Mul", emit.masked(part, condition), ratio)
    return gradients
