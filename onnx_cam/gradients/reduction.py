"""Reductions, and orders along an axis."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onnx_cam.gradients.node import Node, Rule

__all__ = [
    "arg_max",
    "arg_min",
    "cumsum",
    "l1",
    "l2",
    "log_sum",
    "log_sum_exp",
    "maximum",
    "mean",
    "minimum",
    "product",
    "reduction",
    "sum_square",
    "top_k",
    "total",
]

Axes = tuple[int, ...]


def reduction(function: Callable[[Tensor, Axes, bool], Tensor]) -> Rule:
    """Return the rule of a reduction: axes are an attribute in older versions, an input in newer ones."""

    def rule(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        wanted = node.ints_or("axes", axes)
        if not wanted and node.get("noop_with_empty_axes", 0):
            return x
        chosen = tuple(axis % x.ndim for axis in wanted) if wanted else tuple(range(x.ndim))
        return function(x, chosen, bool(node.get("keepdims", 1)))

    return rule


def total(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.sum(axes, keepdim=keep, dtype=x.dtype)


def mean(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.mean(axes, keepdim=keep)


def maximum(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.amax(axes, keepdim=keep)


def minimum(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.amin(axes, keepdim=keep)


def product(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep, dtype=x.dtype)
    return x


def l1(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.abs().sum(axes, keepdim=keep)


def l2(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, 2, axes, keepdim=keep)
    return norm


def log_sum(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.sum(axes, keepdim=keep).log()


def log_sum_exp(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return x.logsumexp(axes, keepdim=keep)


def sum_square(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    return (x * x).sum(axes, keepdim=keep)


def arg_max(node: Node, x: Tensor) -> Tensor:
    """The place of the largest number; it ends the gradient."""
    axis = node.get("axis", 0) % x.ndim
    if node.get("select_last_index", 0):
        places = x.shape[axis] - 1 - x.flip(axis).argmax(axis, keepdim=True)
    else:
        places = x.argmax(axis, keepdim=True)
    return places if node.get("keepdims", 1) else places.squeeze(axis)


def arg_min(node: Node, x: Tensor) -> Tensor:
    return arg_max(node, -x)


def top_k(node: Node, x: Tensor, k: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Of equal numbers the first comes first; the order is the sorted one in every case."""
    count = node.get("k", 0) if k is None else int(k.item())
    axis = node.get("axis", -1)
    values, places = x.sort(dim=axis, descending=bool(node.get("largest", 1)), stable=True)
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)


def cumsum(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    along = int(axis.item())
    ordered = x.flip(along) if node.get("reverse", 0) else x
    sums = ordered.cumsum(along, dtype=x.dtype)
    if node.get("exclusive", 0):
        sums = sums - ordered
    return sums.flip(along) if node.get("reverse", 0) else sums
