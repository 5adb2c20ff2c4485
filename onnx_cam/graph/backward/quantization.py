"""Quantization, with a straight-through gradient.

The derivative of rounding is 1, and that of clipping is 0 for values that were clipped. What was clipped is told by the
numbers before rounding, which are computed once more in float32: among the integers, those that were clipped look like
those that reached the last number of the range by themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.step import Gradients, NoRule, Step
from onnx_cam.graph.backward.windows import fixed_sizes

__all__ = [
    "centred",
    "dequantize_linear",
    "dequantized",
    "dynamic_quantize_linear",
    "quantize_linear",
    "unclipped",
]

Floats = NDArray[np.float32]

_LIMITS = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 65535),
    "int16": (-32768, 32767),
    "uint4": (0, 15),
    "int4": (-8, 7),
}
_OPSET_OF_ROUND = 11
_OPSET_OF_CLIP_INPUTS = 11
_INFINITY = np.float32(np.inf)


def quantize_linear(step: Step) -> Gradients:
    scale = _along_axis(step, 1)
    condition = unclipped(step, step.emit.add("Div", step.value(), scale), 2)
    return {0: step.emit.add("Div", step.emit.masked(step.gradient, condition), scale)}


def dequantize_linear(step: Step) -> Gradients:
    return {0: step.emit.add("Mul", step.gradient, _along_axis(step, 1))}


def dynamic_quantize_linear(step: Step) -> Gradients:
    """No gradient passes through the scale, so that of quantizing and dequantizing together is 1."""
    emit, (_, scale, zero_point) = step.emit, step.node.output
    rounded = emit.add("Round", emit.add("Div", step.value(), scale))
    integers = emit.add("Add", rounded, emit.cast(zero_point))
    condition = _within(emit, integers, *np.array(_LIMITS["uint8"], np.float32))
    return {0: emit.add("Div", emit.masked(step.gradient, condition), scale)}


def unclipped(step: Step, numbers: str, zero_point: int | None) -> str:
    """Return where an output is not clipped.

    Parameters
    ----------
    step : Step
    numbers : str
        What is rounded to make the output, float32.
    zero_point : int, optional
        The place of the input that is added to the rounded numbers, where there is one.

    Raises
    ------
    NoRule
        The output holds 8-bit floats, or its zero point is not known before opset 11.
    """
    dtype = step.output_facts().dtype
    if dtype not in _LIMITS:
        raise NoRule(f"its output is of type {dtype}")
    limits, emit = np.array(_LIMITS[dtype]), step.emit
    if zero_point is None or not step.has_input(zero_point):
        return _within(emit, numbers, *_unrounded(*limits))
    known = step.input_facts(zero_point).value
    if known is not None:
        shift = _known_along_axis(step, known).astype(np.int64)
        return _within(emit, numbers, *_unrounded(*(limit - shift for limit in limits)))
    if emit.opset < _OPSET_OF_ROUND:
        raise NoRule(f"its zero point {step.node.input[zero_point]!r} depends on the image or the batch")
    integers = emit.add("Add", emit.add("Round", numbers), _along_axis(step, zero_point))
    return _within(emit, integers, *limits.astype(np.float32))


def _within(emit: Emitter, numbers: str, low: Floats, high: Floats) -> str:
    """Return where numbers lie between bounds, bounds included: where they stay the same when they are clipped."""
    if not low.ndim and emit.opset >= _OPSET_OF_CLIP_INPUTS:
        return emit.equal(emit.add("Clip", numbers, low, high), numbers)
    return emit.equal(emit.add("Min", emit.add("Max", numbers, low), high), numbers)


def _unrounded(low: NDArray[np.int64], high: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the first and the last float32 number that are rounded to integers from `low` to `high`.

    Halves are rounded to even numbers: −0.5 to 0, but 0.5 not to 1.
    """
    first, last = (low - 0.5).astype(np.float32), (high + 0.5).astype(np.float32)
    return (
        np.where(low % 2 == 0, first, np.nextafter(first, _INFINITY)),
        np.where(high % 2 == 0, last, np.nextafter(last, -_INFINITY)),
    )


def centred(step: Step, place: int, zero_point: int, shape: Shape | None = None) -> str:
    """Return integers less their zero point, float32.

    Parameters
    ----------
    step : Step
    place, zero_point : int
        The inputs' places.
    shape : tuple of int or None, optional
        That of the zero point, to broadcast with the integers; by default its own.
    """
    value = step.value(place)
    if not step.has_input(zero_point):
        return value
    known = step.input_facts(zero_point).value
    if known is not None and not known.any():
        return value
    shift = step.value(zero_point)
    return step.emit.add("Sub", value, shift if shape is None else step.emit.reshape(shift, shape))


def dequantized(step: Step, place: int) -> str:
    """Return the real numbers that integers stand for, whose scale and zero point are the next two inputs."""
    return step.emit.add("Mul", centred(step, place, place + 2), step.value(place + 1))


def _along_axis(step: Step, place: int) -> str:
    """Return a scale or zero point as float32, shaped to broadcast with the first input.

    It is a single value, one for each row along the axis, or one for each block of rows.
    """
    emit, value, shape, rank = step.emit, step.value(place), step.shape(place), len(step.shape())
    if _is_single(shape):
        return value if len(shape) <= rank else emit.reshape(value, ())
    axis, block = step.attribute("axis", 1) % rank, step.attribute("block_size", 0)
    if not block:
        return emit.reshape(value, tuple(-1 if i == axis else 1 for i in range(rank)))
    before, count, after = shape[:axis], shape[axis], shape[axis + 1 :]
    columns = emit.reshape(value, (*before, count, 1, *after))
    blocks = emit.add("Mul", columns, np.ones((block, *[1] * len(after)), np.float32))
    rows = emit.reshape(blocks, (*before, -1, *after))
    return emit.slice(rows, [0], fixed_sizes(step.shape()[axis : axis + 1]), [axis])


def _known_along_axis(step: Step, known: NDArray[Any]) -> NDArray[Any]:
    """Return the same of a value that is known."""
    rank = len(step.shape())
    if known.size == 1:
        return known.reshape(())
    axis, block = step.attribute("axis", 1) % rank, step.attribute("block_size", 0)
    if not block:
        return known.reshape([-1 if i == axis else 1 for i in range(rank)])
    return known.repeat(block, axis).take(range(*fixed_sizes(step.shape()[axis : axis + 1])), axis)


def _is_single(shape: Shape) -> bool:
    return all(size == 1 for size in shape)
