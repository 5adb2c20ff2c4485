"""Pooling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from onnx_cam.gradients.convolution import Pads, extents_of, padded, window_pads
from onnx_cam.gradients.dtypes import as_floats
from onnx_cam.gradients.node import Node

__all__ = ["average_pool", "global_average_pool", "global_lp_pool", "global_max_pool", "lp_pool", "max_pool"]

_MAX: dict[int, Callable[..., Any]] = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


@dataclass(frozen=True)
class _Windows:
    """Where a pooling operator's windows lie.

    Attributes
    ----------
    kernel, strides, dilations : list of int
    pads : list of (int, int)
        What the graph asks for.
    reach : list of (int, int)
        The padding with which the windows end exactly at the last row: more than `pads` where ``ceil_mode`` adds a
        window, less where the last rows are in none.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: Pads
    reach: Pads


def _windows(node: Node, x: Tensor) -> _Windows:
    kernel = node.ints("kernel_shape") or []
    rank = len(kernel)
    strides, dilations = node.ints("strides") or [1] * rank, node.ints("dilations") or [1] * rank
    extents = extents_of(kernel, dilations)
    pads = window_pads(node, x.shape[2:], extents, strides)
    reach = []
    for n, (before, after), extent, stride in zip(x.shape[2:], pads, extents, strides, strict=True):
        count = _count(n + before + after - extent, stride, bool(node.get("ceil_mode", 0)))
        if node.get("ceil_mode", 0) and (count - 1) * stride >= n + before:
            count -= 1  # a window must not start behind the image
        reach.append((before, (count - 1) * stride + extent - n - before))
    return _Windows(kernel, strides, dilations, pads, reach)


def _count(room: int, stride: int, ceil: bool) -> int:
    return (-(-room // stride) if ceil else room // stride) + 1


def max_pool(node: Node, x: Tensor) -> Tensor:
    """The indices, a second output, are not computed."""
    windows = _windows(node, x)
    rows = padded(as_floats(x), windows.reach, -torch.inf)
    pooled: Tensor = _MAX[len(windows.kernel)](rows, windows.kernel, windows.strides, dilation=windows.dilations)
    return pooled


def average_pool(node: Node, x: Tensor) -> Tensor:
    """The mean over the places that count: those of the image and, with ``count_include_pad``, of its padding."""
    windows = _windows(node, x)
    counts = padded(x.new_ones(1, 1, *x.shape[2:]), windows.pads, 1.0 if node.get("count_include_pad", 0) else 0.0)
    inner: Pads = [(0, all_ - asked) for (_, all_), (_, asked) in zip(windows.reach, windows.pads, strict=True)]
    return _sums(padded(x, windows.reach), windows) / _sums(padded(counts, inner), windows)


def _sums(x: Tensor, windows: _Windows) -> Tensor:
    """Return the sum over each window, (B, C, *counts)."""
    rank = len(windows.kernel)
    batch = x.reshape(-1, 1, *x.shape[2:])
    ones = x.new_ones(1, 1, *windows.kernel)
    none = [0] * rank
    sums = torch.convolution(batch, ones, None, windows.strides, none, windows.dilations, False, none, 1)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


def lp_pool(node: Node, x: Tensor) -> Tensor:
    p = node.get("p", 2)
    windows = _windows(node, x)
    return _sums(padded(x.abs() ** p, windows.reach), windows) ** (1 / p)


def global_average_pool(node: Node, x: Tensor) -> Tensor:
    return x.mean(_spatial(x), keepdim=True)


def global_max_pool(node: Node, x: Tensor) -> Tensor:
    return x.amax(_spatial(x), keepdim=True)


def global_lp_pool(node: Node, x: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, node.get("p", 2), _spatial(x), keepdim=True)
    return norm


def _spatial(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))
