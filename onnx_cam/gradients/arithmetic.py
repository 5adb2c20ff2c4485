"""Elementwise arithmetic, comparisons, logic and casts."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from onnx_cam.gradients.dtypes import as_floats, onnx_type
from onnx_cam.gradients.node import Node, Rule

__all__ = [
    "add",
    "cast",
    "cast_like",
    "clip",
    "divide",
    "dropout",
    "elementwise",
    "folded",
    "identity",
    "is_inf",
    "mean",
    "modulo",
    "pairwise",
    "power",
    "where",
]


def elementwise(function: Callable[[Tensor], Tensor]) -> Rule:
    """Return the rule of an operator with one input, from a function of one tensor."""
    return lambda node, x: function(x)


def pairwise(function: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    """Return the rule of an operator with two inputs that are broadcast, from a function of two tensors."""
    return lambda node, a, b: function(a, _aligned(node, a, b))


def folded(function: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    """Return the rule of an operator with any number of inputs, such as Max, Min or Sum."""
    return lambda node, *tensors: reduce(function, tensors)


def _aligned(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Return the second operand shaped to broadcast; before opset 7 ``axis`` is where its dimensions start."""
    axis = node.get("axis", None)
    if node.opset >= 7 or node.domain or axis is None or not b.ndim:
        return b
    trailing = a.ndim - axis % a.ndim - b.ndim
    return b.reshape(*b.shape, *[1] * trailing)


def add(a: Tensor, b: Tensor) -> Tensor:
    return a + b


def divide(a: Tensor, b: Tensor) -> Tensor:
    """Divide; the quotient of integers is rounded towards zero."""
    if a.is_floating_point() or b.is_floating_point():
        return a / b
    return torch.div(a, b, rounding_mode="trunc")


def power(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.pow(a, _aligned(node, a, b)).to(a.dtype)


def modulo(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


def mean(node: Node, *tensors: Tensor) -> Tensor:
    return reduce(add, tensors) / len(tensors)


def clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Before opset 11 the bounds are attributes."""
    if node.opset < 11:
        return torch.clamp(x, node.get("min", -torch.inf), node.get("max", torch.inf))
    if low is None and high is None:
        return x
    low, high = (None if bound is None else bound.reshape(()).to(x.dtype) for bound in (low, high))
    return torch.clamp(x, low, high)


def where(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(condition.bool(), a, b)


def is_inf(node: Node, x: Tensor) -> Tensor:
    positive = torch.isposinf(x) & bool(node.get("detect_positive", 1))
    return positive | torch.isneginf(x) & bool(node.get("detect_negative", 1))


def identity(node: Node, x: Tensor) -> Tensor:
    return x


def dropout(node: Node, x: Tensor, *settings: Tensor | None) -> tuple[Tensor, Tensor]:
    return x, torch.ones_like(x, dtype=torch.bool)


def cast(node: Node, x: Tensor) -> Tensor:
    """A cast to integers ends the gradient; a cast between floating types changes nothing."""
    return _cast(x, onnx_type(node.attributes["to"]))


def cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    return _cast(x, like.dtype)


def _cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype.is_floating_point:
        return as_floats(x)
    return x != 0 if dtype == torch.bool else x.to(dtype)
