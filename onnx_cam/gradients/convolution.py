"""Convolutions and matrix products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from onnx_cam.gradients.node import Node
from onnx_cam.graph.same_pads import same_pads

__all__ = [
    "conv",
    "conv_transpose",
    "convolve",
    "einsum",
    "fused_conv",
    "fused_matmul",
    "gemm",
    "matmul",
    "window_pads",
]

Pads = list[tuple[int, int]]
"""For each axis, the number of rows to add before and after; negative ones are cut off."""


def window_pads(node: Node, sizes: Sequence[int], extents: Sequence[int], strides: Sequence[int]) -> Pads:
    """Return the padding according to ``pads`` or ``auto_pad``.

    Parameters
    ----------
    node : Node
    sizes : sequence of int
        The size of the image along each axis.
    extents : sequence of int
        The size of the window along each axis, dilation included.
    strides : sequence of int
        The stride along each axis.
    """
    mode = node.get("auto_pad", b"NOTSET").decode()
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        return same_pads(mode, sizes, extents, strides)
    pads = (node.ints("pads") if mode == "NOTSET" else None) or [0] * (2 * len(sizes))
    return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))


def padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """Return a tensor with its last axes padded, or cut where the padding is negative."""
    flat = [rows for pair in reversed(pads) for rows in pair]
    return functional.pad(x, flat, value=value) if any(flat) else x


def extents_of(kernel: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Return the size of a dilated window along each axis."""
    return [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]


def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return convolve(node, x, weight, bias)


def convolve(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve according to the attributes of Conv; ``channels_last`` is com.microsoft's."""
    if node.get("channels_last", 0):
        x = x.movedim(-1, 1)
    rank = weight.ndim - 2
    strides, dilations = node.ints("strides") or [1] * rank, node.ints("dilations") or [1] * rank
    pads = window_pads(node, x.shape[2:], extents_of(weight.shape[2:], dilations), strides)
    symmetric = all(before == after >= 0 for before, after in pads)  # what torch's convolution can pad itself
    if not symmetric:
        x = padded(x, pads)
    padding = [before for before, _ in pads] if symmetric else [0] * rank
    groups = node.get("group", 1)
    y = torch.convolution(x, weight, bias, strides, padding, dilations, False, [0] * rank, groups)
    return y.movedim(1, -1) if node.get("channels_last", 0) else y


def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = weight.ndim - 2
    strides, dilations = node.ints("strides") or [1] * rank, node.ints("dilations") or [1] * rank
    zeros = [0] * rank
    # Compute the unpadded result, (N, M, …), and cut the padding off it.
    full = torch.convolution(x, weight, None, strides, zeros, dilations, True, zeros, node.get("group", 1))
    y = padded(full, _transposed_pads(node, x, full, strides))
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def _transposed_pads(node: Node, x: Tensor, full: Tensor, strides: Sequence[int]) -> Pads:
    """Return what to cut off, as negative padding; ``output_padding`` adds rows at the end."""
    rank = x.ndim - 2
    extra = node.ints("output_padding") or [0] * rank
    # The size of the output can be given by ``output_shape`` or by ``auto_pad``; otherwise ``pads`` are cut off.
    mode = node.get("auto_pad", b"NOTSET").decode()
    shape = node.ints("output_shape")
    if shape is None and mode.startswith("SAME"):
        shape = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    if shape is None:
        pads = window_pads(node, x.shape[2:], [1] * rank, strides)
        return [(-before, more - after) for (before, after), more in zip(pads, extra, strict=True)]
    totals = [n + more - out for n, more, out in zip(full.shape[2:], extra, shape[-rank:], strict=True)]
    before = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in totals]
    return [(-b, more - (t - b)) for b, t, more in zip(before, totals, extra, strict=True)]


def fused_conv(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None, summand: Tensor | None = None
) -> Tensor:
    """com.microsoft's FusedConv: a convolution, then an addition and an activation."""
    y = convolve(node, x, weight, bias)
    return _activated(node, y if summand is None else y + summand)


def _activated(node: Node, y: Tensor) -> Tensor:
    kind = node.get("activation", b"").decode()
    first, second = [*node.get("activation_params", []), 0.0, 0.0][:2]
    if kind == "LeakyRelu":
        return functional.leaky_relu(y, first)
    if kind == "Clip":
        return torch.clamp(y, first, second)
    if kind == "HardSigmoid":
        return torch.clamp(first * y + second, 0, 1)
    plain: dict[str, Callable[[Tensor], Tensor]] = {
        "": torch.clone,
        "Relu": torch.relu,
        "Tanh": torch.tanh,
        "Sigmoid": torch.sigmoid,
    }
    if kind not in plain:
        names = ", ".join([*filter(None, plain), "LeakyRelu", "Clip", "HardSigmoid"])
        raise ValueError(f"unknown activation {kind!r}: expected one of {names}")
    return plain[kind](y)


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a = a.T if node.get("transA", 0) else a
    b = b.T if node.get("transB", 0) else b
    y = _scaled(a @ b, node.get("alpha", 1.0))
    return y if c is None else y + _scaled(c, node.get("beta", 1.0))


def _scaled(tensor: Tensor, factor: float) -> Tensor:
    return tensor if factor == 1 else tensor * factor


def matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.matmul(a, b)


def fused_matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """com.microsoft's FusedMatMul: a matrix product with transposed operands and a factor."""
    a = a.mT if node.get("transA", 0) else a
    b = b.mT if node.get("transB", 0) else b
    return torch.matmul(a, b) * node.get("alpha", 1.0)


def einsum(node: Node, *tensors: Tensor) -> Tensor:
    return torch.einsum(node.attributes["equation"].decode().replace(" ", ""), *tensors)
