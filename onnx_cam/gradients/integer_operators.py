"""Operators on quantized tensors: QLinear*, *Integer, and those of com.microsoft.

Their gradient is described in :mod:`onnx_cam.gradients.quantization`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from onnx_cam.gradients.convolution import convolve
from onnx_cam.gradients.dtypes import as_floats
from onnx_cam.gradients.node import Node
from onnx_cam.gradients.pooling import average_pool
from onnx_cam.gradients.quantization import along_axis, centred, dequantize, limits_of, quantize

__all__ = [
    "conv_integer",
    "matmul_integer",
    "matmul_integer_to_float",
    "qgemm",
    "qlinear_add",
    "qlinear_average_pool",
    "qlinear_concat",
    "qlinear_conv",
    "qlinear_global_average_pool",
    "qlinear_leaky_relu",
    "qlinear_matmul",
    "qlinear_mul",
    "qlinear_reduce_mean",
    "qlinear_sigmoid",
    "qlinear_softmax",
]


def qlinear_conv(
    node: Node,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    weight_zero: Tensor,
    scale: Tensor,
    zero: Tensor,
    bias: Tensor | None = None,
) -> Tensor:
    """Sum the products of integers, then scale the sum once, in the order of ONNX Runtime."""
    dtype = scale.dtype
    offset = along_axis(weight_zero, weight, 0)
    summed = convolve(
        node,
        centred(x, x_zero, dtype),
        centred(weight, offset, dtype),
        None if bias is None else bias.to(dtype),
    )
    channel = -1 if node.get("channels_last", 0) else 1
    factor = along_axis(x_scale * weight_scale / scale, summed, channel)
    assert factor is not None  # the scales are not optional
    return quantize(summed * factor, torch.ones_like(scale), zero)


def conv_integer(
    node: Node, x: Tensor, weight: Tensor, x_zero: Tensor | None = None, weight_zero: Tensor | None = None
) -> Tensor:
    dtype = as_floats(x).dtype
    return convolve(node, centred(x, x_zero, dtype), centred(weight, along_axis(weight_zero, weight, 0), dtype))


def matmul_integer(
    node: Node, a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None
) -> Tensor:
    """A zero point is a single value, or one for each row of `a` and one for each column of `b`."""
    dtype = as_floats(a).dtype
    rows = a_zero.unsqueeze(-1) if a_zero is not None and a_zero.ndim == 1 and a_zero.numel() > 1 else a_zero
    return centred(a, rows, dtype) @ centred(b, b_zero, dtype).to(dtype)


def matmul_integer_to_float(
    node: Node,
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    y = matmul_integer(node, a, b, a_zero, b_zero) * (a_scale * b_scale)
    return y if bias is None else y + bias


def qlinear_matmul(
    node: Node,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    scale: Tensor,
    zero: Tensor,
) -> Tensor:
    rows = a_scale.unsqueeze(-1) if a_scale.ndim == 1 and a_scale.numel() > 1 else a_scale
    summed = matmul_integer(node, a, b, a_zero, b_zero)
    return quantize(summed * (rows * b_scale / scale), torch.ones_like(scale), zero)


def qgemm(
    node: Node,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    c: Tensor | None = None,
    scale: Tensor | None = None,
    zero: Tensor | None = None,
) -> Tensor:
    """Without an output scale the output is real numbers. `c` is in units of ``alpha · a_scale · b_scale``."""
    # Sum the products of integers, and the bias in the same units, before the single multiplication.
    dtype = a_scale.dtype
    b = b.T if node.get("transB", 0) else b
    a = a.T if node.get("transA", 0) else a
    summed = centred(a, a_zero, dtype) @ centred(b, b_zero, dtype)
    if c is not None:
        summed = summed + c.to(dtype)
    y = summed * (node.get("alpha", 1.0) * a_scale * b_scale)
    return y if scale is None else quantize(y, scale, zero)


class _Pair(NamedTuple):
    """The inputs of an operator on two quantized tensors, in ONNX's order."""

    a: Tensor
    a_scale: Tensor
    a_zero: Tensor | None
    b: Tensor
    b_scale: Tensor
    b_zero: Tensor | None
    scale: Tensor
    zero: Tensor | None = None

    def quantized(self, y: Tensor) -> Tensor:
        """Return the output's integers, given numbers in units of its scale that include its zero point."""
        return quantize(y, torch.ones_like(self.scale), None, limits_of(self.zero))


def qlinear_add(node: Node, *inputs: Any) -> Tensor:
    """Add in ONNX Runtime's order, with its fused multiply-adds, so that sums near a half are rounded the same way."""
    q = _Pair(*inputs)
    dtype = q.scale.dtype
    # (a − a_zero) · a_scale / scale + (b − b_zero) · b_scale / scale + zero, with all constants collected first.
    a_ratio, b_ratio = q.a_scale / q.scale, q.b_scale / q.scale
    zeros = _fused(a_ratio, _number(q.a_zero, q.scale), b_ratio * _number(q.b_zero, q.scale))
    offset = _number(q.zero, q.scale) - zeros
    return q.quantized(_fused(q.a.to(dtype), a_ratio, _fused(q.b.to(dtype), b_ratio, offset)))


def qlinear_mul(node: Node, *inputs: Any) -> Tensor:
    """Multiply in ONNX Runtime's order: the integers first; the zero point is added before rounding."""
    q = _Pair(*inputs)
    product = centred(q.a, q.a_zero, q.scale.dtype) * centred(q.b, q.b_zero, q.scale.dtype)
    return q.quantized(product * (q.a_scale * q.b_scale / q.scale) + _number(q.zero, q.scale))


def _number(zero_point: Tensor | None, like: Tensor) -> Tensor:
    """Return a zero point as a float of another tensor's type; 0 if there is none."""
    return torch.zeros_like(like) if zero_point is None else zero_point.to(like.dtype)


def _fused(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return ``a · b + c``, rounded only once."""
    return (a.double() * b.double() + c.double()).to(a.dtype)


def qlinear_sigmoid(
    node: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor | None, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    return quantize(torch.sigmoid(dequantize(x, x_scale, x_zero)), scale, zero)


def qlinear_leaky_relu(
    node: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor | None, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    return quantize(functional.leaky_relu(dequantize(x, x_scale, x_zero), node.get("alpha", 0.01)), scale, zero)


def qlinear_softmax(
    node: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor | None, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    """Its attribute ``opset`` decides whether all dimensions from the axis on count as one, as before opset 13."""
    axis = node.get("axis", -1)
    numbers = dequantize(x, x_scale, x_zero)
    rows = numbers if node.get("opset", 13) >= 13 else numbers.flatten(axis % x.ndim)
    axis = axis if node.get("opset", 13) >= 13 else -1
    return quantize(torch.softmax(rows, axis).reshape(x.shape), scale, zero)


def qlinear_global_average_pool(
    node: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor | None, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    axes = tuple(range(1, x.ndim - 1)) if node.get("channels_last", 0) else tuple(range(2, x.ndim))
    return quantize(dequantize(x, x_scale, x_zero).mean(axes, keepdim=True), scale, zero)


def qlinear_average_pool(
    node: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor | None, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    channels_last = bool(node.get("channels_last", 0))
    numbers = dequantize(x.movedim(-1, 1) if channels_last else x, x_scale, x_zero)
    pooled = average_pool(node, numbers)
    return quantize(pooled.movedim(1, -1) if channels_last else pooled, scale, zero)


def qlinear_reduce_mean(
    node: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor | None, scale: Tensor, zero: Tensor | None = None
) -> Tensor:
    axes = tuple(node.ints("axes") or range(x.ndim))
    return quantize(dequantize(x, x_scale, x_zero).mean(axes, keepdim=bool(node.get("keepdims", 1))), scale, zero)


def qlinear_concat(node: Node, scale: Tensor, zero: Tensor | None, *parts: Tensor) -> Tensor:
    """Concatenate parts that each have their own scale and zero point."""
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    numbers = [dequantize(x, x_scale, x_zero) for x, x_scale, x_zero in triples]
    return quantize(torch.cat(numbers, node.attributes["axis"]), scale, zero)
