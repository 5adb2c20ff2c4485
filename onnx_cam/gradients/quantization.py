"""Quantization, with a straight-through gradient.

A quantized tensor is a float tensor that holds integers, so that gradients pass through it. In the forward pass values
are rounded and clipped as the graph says. In the backward pass the derivative of rounding is 1, and that of clipping is
0 for values that were clipped. Products of integers are summed in floating point, which is exact up to 2²⁴ in float32.
Constants stay integers until they are used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from onnx_cam.gradients.dtypes import as_floats, onnx_type
from onnx_cam.gradients.node import Node

__all__ = [
    "along_axis",
    "centred",
    "dequantize",
    "dequantize_linear",
    "dynamic_quantize_linear",
    "limits_of",
    "quantize",
    "quantize_linear",
    "round_straight_through",
]

Range = tuple[float, float]
_UINT8: Range = (0.0, 255.0)


class _Round(torch.autograd.Function):
    """Round to the nearest integer, halves to even, with the derivative 1."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def round_straight_through(x: Tensor) -> Tensor:
    """Return a tensor rounded to integers, halves to even, with the derivative 1."""
    rounded: Tensor = _Round.apply(x)  # type: ignore[no-untyped-call]
    return rounded


def quantize(x: Tensor, scale: Tensor, zero_point: Tensor | None, limits: Range | None = None) -> Tensor:
    """Return ``clip(round(x / scale) + zero_point)``.

    Parameters
    ----------
    x : Tensor
        Real numbers.
    scale : Tensor
        Real numbers that broadcast with `x`.
    zero_point : Tensor, optional
        Integers that broadcast with `x`; by default 0.
    limits : (float, float), optional
        The range that values are clipped to; by default that of the zero point's type, or of uint8 without one.

    Examples
    --------
    >>> x = torch.tensor([-100.0, 0.26, 3.0], requires_grad=True)
    >>> integers = quantize(x, torch.tensor(0.5), torch.tensor(100, dtype=torch.uint8))
    >>> integers.tolist()
    [0.0, 101.0, 106.0]
    >>> torch.autograd.grad(integers.sum(), x)[0].tolist()  # clipping stops the gradient, rounding does not
    [0.0, 2.0, 2.0]
    """
    shifted = round_straight_through(x / scale)
    if zero_point is not None:
        shifted = shifted + zero_point.to(shifted.dtype)
    return torch.clamp(shifted, *(limits or limits_of(zero_point)))


def dequantize(x: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """Return the real numbers that integers represent, ``(x − zero_point) · scale``.

    Examples
    --------
    >>> dequantize(torch.tensor([101, 106]), torch.tensor(0.5), torch.tensor(100)).tolist()
    [0.5, 3.0]
    """
    return centred(x, zero_point, scale.dtype) * scale


def centred(x: Tensor, zero_point: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return integers less their zero point, as floats of type `dtype`."""
    x = x.to(dtype)
    return x if zero_point is None else x - zero_point.to(dtype)


def along_axis(tensor: Tensor | None, x: Tensor, axis: int, block: int = 0) -> Tensor | None:
    """Return a scale or zero point shaped to broadcast with a tensor.

    Parameters
    ----------
    tensor : Tensor, optional
        A single value, one for each row along the axis, or one for each block of rows.
    x : Tensor
        What it scales or shifts.
    axis : int
    block : int
        Rows in a block; 0 for none.
    """
    if tensor is None or tensor.numel() == 1:
        return None if tensor is None else tensor.reshape(())
    if block:
        return tensor.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    return tensor.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def quantize_linear(node: Node, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    scale, zero_point = _broadcastable(node, x, scale, zero_point)
    data_type = node.get("output_dtype", 0)
    limits = _type_limits(onnx_type(data_type)) if data_type else None
    return quantize(as_floats(x), as_floats(scale), zero_point, limits)


def dequantize_linear(node: Node, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    return dequantize(x, *_broadcastable(node, x, scale, zero_point))


def _broadcastable(node: Node, x: Tensor, scale: Tensor, zero_point: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return a node's scale and zero point, shaped to broadcast with its input."""
    axis, block = node.get("axis", 1), node.get("block_size", 0)
    broadcast_scale = along_axis(scale, x, axis, block)
    assert broadcast_scale is not None  # the scale is not optional
    return broadcast_scale, along_axis(zero_point, x, axis, block)


def dynamic_quantize_linear(node: Node, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize to the range of the input.

    No gradient passes through the scale, so that of quantizing and dequantizing together is 1.
    """
    low, high = x.detach().amin().clamp(max=0), x.detach().amax().clamp(min=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero_point = torch.clamp(torch.round(-low / scale), 0, 255).to(torch.uint8)
    return quantize(x, scale, zero_point), scale, zero_point


def limits_of(zero_point: Tensor | None) -> Range:
    """Return the range of a zero point's type; that of uint8 without a zero point."""
    return _UINT8 if zero_point is None or zero_point.is_floating_point() else _type_limits(zero_point.dtype)


def _type_limits(dtype: torch.dtype) -> Range:
    limits = torch.iinfo(dtype)
    return float(limits.min), float(limits.max)
