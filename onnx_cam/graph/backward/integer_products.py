"""Convolutions and matrix products of integers.

What they sum is the product of the integers less their zero points, as floats: exact up to 2²⁴. Its gradient is that of
the float operator.
"""

from __future__ import annotations

from onnx_cam.graph.backward.convolution import conv
from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.float_node import FloatNode, channels_first, channels_last, settings_of
from onnx_cam.graph.backward.products import gemm, matmul
from onnx_cam.graph.backward.quantization import centred, unclipped
from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["conv_integer", "matmul_integer", "matmul_integer_to_float", "qgemm", "qlinear_conv", "qlinear_matmul"]


def conv_integer(step: Step) -> Gradients:
    return _convolution(step, (0, 1), (2, 3)).backward(step.gradient)


def qlinear_conv(step: Step) -> Gradients:
    """The sum of products is scaled once; com.microsoft's may have its channels last."""
    emit, rank = step.emit, len(step.shape())
    is_last = bool(step.attribute("channels_last", 0))
    product = _convolution(step, (0, 3), (2, 5))
    scales = emit.add("Mul", step.value(1), step.value(4))
    factor = emit.reshape(emit.add("Div", scales, step.value(6)), (-1, *[1] * (rank - 2)))
    numbers = emit.add("Mul", product.forward(step.value(8) if step.has_input(8) else None), factor)
    gradient = emit.transpose(step.gradient, channels_first(rank)) if is_last else step.gradient
    found = product.backward(emit.add("Mul", emit.masked(gradient, unclipped(step, numbers, 7)), factor))
    if is_last:
        return {place: emit.transpose(one, channels_last(rank)) for place, one in found.items() if one}
    return found


def _convolution(step: Step, places: tuple[int, int], zero_points: tuple[int, int]) -> FloatNode:
    """Return the convolution of integers, channels first; only the image has a gradient."""
    (image, kernels), rank = places, len(step.shape())
    weight = centred(step, kernels, zero_points[1], (-1, *[1] * (rank - 1)))
    x, sizes, shape = centred(step, image, zero_points[0]), step.shape(image), step.output_shape()
    if step.attribute("channels_last", 0):
        order = channels_first(rank)
        x = step.emit.transpose(x, order)
        sizes, shape = tuple(sizes[i] for i in order), tuple(shape[i] for i in order)
    return FloatNode(step, "Conv", conv, places, (x, weight), (sizes, step.shape(kernels)), shape, settings_of(step))


def matmul_integer(step: Step) -> Gradients:
    return _matmul(step, (0, 1), (2, 3)).backward(step.gradient)


def matmul_integer_to_float(step: Step) -> Gradients:
    factor = step.emit.add("Mul", step.value(2), step.value(3))
    return _matmul(step, (0, 1), (4, 5)).backward(step.emit.add("Mul", step.gradient, factor))


def qlinear_matmul(step: Step) -> Gradients:
    emit, product = step.emit, _matmul(step, (0, 3), (2, 5))
    scale = emit.reshape(step.value(1), _rows(step.shape(1)))
    factor = emit.add("Div", emit.add("Mul", scale, step.value(4)), step.value(6))
    condition = unclipped(step, emit.add("Mul", product.forward(), factor), 7)
    return product.backward(emit.add("Mul", emit.masked(step.gradient, condition), factor))


def _matmul(step: Step, places: tuple[int, int], zero_points: tuple[int, int]) -> FloatNode:
    """A zero point is a single value, or one for each row of the left and one for each column of the right operand."""
    left_zero, right_zero = zero_points
    rows = _rows(step.shape(left_zero)) if step.has_input(left_zero) else None
    operands = centred(step, places[0], left_zero, rows), centred(step, places[1], right_zero)
    shapes = step.shape(places[0]), step.shape(places[1])
    return FloatNode(step, "MatMul", matmul, places, operands, shapes, step.output_shape())


def _rows(shape: Shape) -> Shape:
    """Return the shape of a scale or zero point that has one value for each row."""
    return (*shape, 1) if len(shape) == 1 and shape != (1,) else shape


def qgemm(step: Step) -> Gradients:
    """Without an output scale the output is real numbers. The bias is in units of ``alpha · a_scale · b_scale``."""
    emit = step.emit
    flips = {name: step.attribute(name, 0) for name in ("transA", "transB")}
    columns: Shape = (-1, 1) if flips["transB"] else (-1,)
    operands = centred(step, 0, 2), centred(step, 3, 5, columns)
    shapes = step.shape(0), step.shape(3)
    product = FloatNode(step, "Gemm", gemm, (0, 3), operands, shapes, step.output_shape(), flips)

    scales = emit.add("Mul", step.value(1), step.value(4))
    factor = emit.add("Mul", scales, float(step.attribute("alpha", 1.0)))
    if not step.has_input(7):
        return product.backward(emit.add("Mul", step.gradient, factor))
    numbers = emit.add("Mul", product.forward(step.value(6) if step.has_input(6) else None), factor)
    condition = unclipped(step, emit.add("Div", numbers, step.value(7)), 8)
    gradient = emit.add("Div", emit.masked(step.gradient, condition), step.value(7))
    return product.backward(emit.add("Mul", gradient, factor))
