"""Activation functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from onnx_cam.gradients.node import Node

__all__ = [
    "bias_gelu",
    "celu",
    "elu",
    "fast_gelu",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "hardmax",
    "leaky_relu",
    "log_softmax",
    "mish",
    "prelu",
    "quick_gelu",
    "relu",
    "selu",
    "shrink",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "thresholded_relu",
]


def relu(node: Node, x: Tensor) -> Tensor:
    return torch.relu(x)


def leaky_relu(node: Node, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, node.get("alpha", 0.01))


def prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """Before opset 7 a one-dimensional slope has one value for each channel."""
    if node.opset < 7 and slope.ndim == 1:
        slope = slope.reshape(-1, *[1] * (x.ndim - 2))
    return torch.where(x > 0, x, slope * x)


def elu(node: Node, x: Tensor) -> Tensor:
    return functional.elu(x, node.get("alpha", 1.0))


def selu(node: Node, x: Tensor) -> Tensor:
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return gamma * functional.elu(x, alpha)


def celu(node: Node, x: Tensor) -> Tensor:
    return functional.celu(x, node.get("alpha", 1.0))


def thresholded_relu(node: Node, x: Tensor) -> Tensor:
    return torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x))


def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.clamp(node.get("alpha", 0.2) * x + node.get("beta", 0.5), 0, 1)


def hard_swish(node: Node, x: Tensor) -> Tensor:
    return x * torch.clamp(x / 6 + 0.5, 0, 1)


def swish(node: Node, x: Tensor) -> Tensor:
    return x * torch.sigmoid(node.get("alpha", 1.0) * x)


def quick_gelu(node: Node, x: Tensor) -> Tensor:
    return x * torch.sigmoid(node.get("alpha", 1.702) * x)


def mish(node: Node, x: Tensor) -> Tensor:
    return functional.mish(x)


def gelu(node: Node, x: Tensor) -> Tensor:
    approximate = node.get("approximate", b"none")
    return functional.gelu(x, approximate=approximate.decode())


def fast_gelu(node: Node, x: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


def bias_gelu(node: Node, x: Tensor, bias: Tensor) -> Tensor:
    return functional.gelu(x + bias)


def softplus(node: Node, x: Tensor) -> Tensor:
    return functional.softplus(x)


def softsign(node: Node, x: Tensor) -> Tensor:
    return functional.softsign(x)


def shrink(node: Node, x: Tensor) -> Tensor:
    threshold, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    shrunk = torch.where(x > threshold, x - bias, torch.zeros_like(x))
    return torch.where(x < -threshold, x + bias, shrunk)


def softmax(node: Node, x: Tensor) -> Tensor:
    rows, axis = _as_rows(node, x)
    return torch.softmax(rows, axis).reshape(x.shape)


def log_softmax(node: Node, x: Tensor) -> Tensor:
    rows, axis = _as_rows(node, x)
    return torch.log_softmax(rows, axis).reshape(x.shape)


def hardmax(node: Node, x: Tensor) -> Tensor:
    rows, axis = _as_rows(node, x)
    ones = torch.zeros_like(rows).scatter(axis, rows.argmax(axis, keepdim=True), 1.0)
    return ones.reshape(x.shape)


def _as_rows(node: Node, x: Tensor) -> tuple[Tensor, int]:
    """Return the tensor and the axis to normalise; before opset 13 all dimensions from ``axis`` on count as one."""
    if node.opset >= 13:
        return x, node.get("axis", -1)
    return x.flatten(node.get("axis", 1) % x.ndim), -1
