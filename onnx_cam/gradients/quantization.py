"""Quantization, with a straight-through gradient.

A quantized tensor is a float tensor that holds whole numbers, so that gradients pass through it. Forward, values are
rounded and clipped as the graph says; backward, the derivative of rounding is 1, and that of clipping 0 for what was
clipped. Products of integers are summed in float: exact up to 2²⁴ in float32. Constants stay integers until used.
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
    """To the nearest whole number, halves to even; the derivative is 1."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def round_straight_through(x: Tensor) -> Tensor:
    """Return whole numbers, with derivative 1."""
    rounded: Tensor = _Round.apply(x)  # type: ignore[no-untyped-call]
    return rounded


def quantize(x: Tensor, scale: Tensor, zero_point: Tensor | None, limits: Range | None = None) -> Tensor:
    """Return ``clip(round(x / scale) + zero_point)``.

    Parameters
    ----------
    x, scale : Tensor
        Floats; the scale broadcasts.
    zero_point : Tensor, optional
        Of the integer type whose range clips.
    limits : (float, float), optional
        The range, where it is not the zero point's; uint8's if there is neither.
    """
    shifted = round_straight_through(x / scale)
    if zero_point is not None:
        shifted = shifted + zero_point.to(shifted.dtype)
    return torch.clamp(shifted, *(limits or limits_of(zero_point)))


def dequantize(x: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """Return ``(x - zero_point) · scale``."""
    return centred(x, zero_point, scale.dtype) * scale


def centred(x: Tensor, zero_point: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return integers less their zero point, as floats."""
    x = x.to(dtype)
    return x if zero_point is None else x - zero_point.to(dtype)


def along_axis(tensor: Tensor | None, x: Tensor, axis: int, block: int = 0) -> Tensor | None:
    """Return a scale or zero point shaped to broadcast: one for all, one a row of an axis, or one a block of rows."""
    if tensor is None or tensor.numel() == 1:
        return None if tensor is None else tensor.reshape(())
    if block:
        return tensor.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    return tensor.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def quantize_linear(node: Node, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    fitted, offset = _fitted(node, x, scale, zero_point)
    kind = node.get("output_dtype", 0)
    return quantize(as_floats(x), as_floats(fitted), offset, _type_limits(onnx_type(kind)) if kind else None)


def dequantize_linear(node: Node, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    return dequantize(x, *_fitted(node, x, scale, zero_point))


def _fitted(node: Node, x: Tensor, scale: Tensor, zero_point: Tensor | None) -> tuple[Tensor, Tensor | None]:
    axis, block = node.get("axis", 1), node.get("block_size", 0)
    fitted = along_axis(scale, x, axis, block)
    assert fitted is not None  # a scale is never left out
    return fitted, along_axis(zero_point, x, axis, block)


def dynamic_quantize_linear(node: Node, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The scale follows the range of the input; no gradient passes through it, so that of the pair is 1."""
    low, high = x.detach().amin().clamp(max=0), x.detach().amax().clamp(min=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero_point = torch.clamp(torch.round(-low / scale), 0, 255).to(torch.uint8)
    return quantize(x, scale, zero_point), scale, zero_point


def limits_of(zero_point: Tensor | None) -> Range:
    """Return the range of a zero point's type; uint8's where there is none."""
    return _UINT8 if zero_point is None or zero_point.is_floating_point() else _type_limits(zero_point.dtype)


def _type_limits(dtype: torch.dtype) -> Range:
    limits = torch.iinfo(dtype)
    return float(limits.min), float(limits.max)
