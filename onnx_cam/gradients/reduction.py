"""Reductions, sorting and cumulative sums along an axis."""

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
    """Return the rule of a reduction; its axes are an attribute in older versions and an input in newer ones."""

    def rule(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        given_axes = node.ints_or("axes", axes)
        if not given_axes and node.get("noop_with_empty_axes", 0):
            return x
        reduced_axes = tuple(axis % x.ndim for axis in given_axes) if given_axes else tuple(range(x.ndim))
        return function(x, reduced_axes, bool(node.get("keepdims", 1)))

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
    """Return the position of the largest number, which ends the gradient."""
    axis = node.get("axis", 0) % x.ndim
    if node.get("select_last_index", 0):
        positions = x.shape[axis] - 1 - x.flip(axis).argmax(axis, keepdim=True)
    else:
        positions = x.argmax(axis, keepdim=True)
    return positions if node.get("keepdims", 1) else positions.squeeze(axis)


def arg_min(node: Node, x: Tensor) -> Tensor:
    return arg_max(node, -x)


def top_k(node: Node, x: Tensor, k: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the k largest or smallest numbers in sorted order; equal numbers keep their order."""
    count = node.get("k", 0) if k is None else int(k.item())
    axis = node.get("axis", -1)
    values, positions = x.sort(dim=axis, descending=bool(node.get("largest", 1)), stable=True)
    return values.narrow(axis, 0, count), positions.narrow(axis, 0, count)


def cumsum(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    dimension = int(axis.item())
    terms = x.flip(dimension) if node.get("reverse", 0) else x
    sums = terms.cumsum(dimension, dtype=x.dtype)
    if node.get("exclusive", 0):
        sums = sums - terms
    return sums.flip(dimension) if node.get("reverse", 0) else sums
