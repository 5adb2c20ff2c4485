"""Normalisation layers, as at inference."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from onnx_cam.gradients.node import Node

__all__ = [
    "batch_normalization",
    "group_normalization",
    "instance_normalization",
    "layer_normalization",
    "lp_normalization",
    "lrn",
    "mean_variance_normalization",
    "rms_normalization",
    "skip_layer_normalization",
    "skip_rms_normalization",
]

_EPSILON = 1e-5


def batch_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Normalise with the statistics in the file; before opset 9, ``spatial=0`` means one value for each position."""
    shape = [1, -1, *[1] * (x.ndim - 2)] if scale.ndim == 1 else [1, *scale.shape]
    scale, bias, mean, variance = (t.reshape(shape) for t in (scale, bias, mean, variance))
    return (x - mean) * (scale * torch.rsqrt(variance + node.get("epsilon", _EPSILON))) + bias


def instance_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    normal = _standardised(x, tuple(range(2, x.ndim)), node.get("epsilon", _EPSILON))[0]
    return normal * _by_channel(scale, x) + _by_channel(bias, x)


def group_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Scale and bias have one value for each group before opset 21, and one for each channel since."""
    groups = node.attributes["num_groups"]
    normal = functional.group_norm(x, groups, eps=node.get("epsilon", _EPSILON))
    repeats = x.shape[1] // scale.numel()
    return normal * _by_channel(scale.repeat_interleave(repeats), x) + _by_channel(bias.repeat_interleave(repeats), x)


def layer_normalization(
    node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    axis = node.get("axis", -1) % x.ndim
    normal, mean, inverse = _standardised(x, tuple(range(axis, x.ndim)), node.get("epsilon", _EPSILON))
    y = normal * scale
    return (y if bias is None else y + bias), mean, inverse


def skip_layer_normalization(
    node: Node, x: Tensor, skip: Tensor, scale: Tensor, shift: Tensor | None = None, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """com.microsoft's SkipLayerNormalization: a residual addition, then LayerNormalization."""
    total = x + skip if bias is None else x + skip + bias
    epsilon = node.get("epsilon", 1e-12)
    normal, mean, inverse = _standardised(total, (-1,), epsilon)
    y = normal * scale
    return (y if shift is None else y + shift), mean, inverse, total


def rms_normalization(node: Node, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    axis = node.get("axis", -1) % x.ndim
    return _rms(x, tuple(range(axis, x.ndim)), scale, node.get("epsilon", _EPSILON))


def skip_rms_normalization(
    node: Node, x: Tensor, skip: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """com.microsoft's SkipSimplifiedLayerNormalization: a residual addition, then RMSNormalization."""
    total = x + skip if bias is None else x + skip + bias
    y, inverse = _rms(total, (-1,), scale, node.get("epsilon", _EPSILON))
    return y, inverse, inverse, total


def _rms(x: Tensor, axes: tuple[int, ...], scale: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    inverse = torch.rsqrt((x * x).mean(axes, keepdim=True) + epsilon)
    return x * inverse * scale, inverse


def _standardised(x: Tensor, axes: tuple[int, ...], epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return a tensor with mean 0 and variance 1 over some axes, its mean, and its inverse standard deviation."""
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    inverse = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + epsilon)
    return centred * inverse, mean, inverse


def _by_channel(vector: Tensor, x: Tensor) -> Tensor:
    """Return one value for each channel, shaped to broadcast over a tensor (B, C, …)."""
    return vector.reshape(-1, *[1] * (x.ndim - 2))


def lrn(node: Node, x: Tensor) -> Tensor:
    size = node.attributes["size"]
    before = (size - 1) // 2
    # Sum the squares over a window of channels, which is padded with zeros.
    squares = functional.pad(x * x, [0, 0] * (x.ndim - 2) + [before, size - 1 - before])
    total = squares.unfold(1, size, 1).sum(-1)
    alpha, beta, bias = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    return x / torch.pow(bias + alpha / size * total, beta)


def lp_normalization(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", -1)
    norm: Tensor = torch.linalg.vector_norm(x, node.get("p", 2), axis, keepdim=True)
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)


def mean_variance_normalization(node: Node, x: Tensor) -> Tensor:
    axes = tuple(node.ints("axes") or (0, 2, 3))
    centred = x - x.mean(axes, keepdim=True)
    return centred / (torch.sqrt((centred * centred).mean(axes, keepdim=True)) + 1e-9)
