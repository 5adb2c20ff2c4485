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
    """The windows of a pooling operator.

    Attributes
    ----------
    kernel, strides, dilations : list of int
        One for each spatial axis.
    pads : list of (int, int)
        The padding according to the node's attributes.
    fitted_pads : list of (int, int)
        The padding with which the last window ends exactly at the last row: more than `pads` where ``ceil_mode`` adds a
        window, less where no window covers the last rows.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: Pads
    fitted_pads: Pads


def _windows(node: Node, x: Tensor) -> _Windows:
    """Return the windows of a pooling node over a tensor (B, C, …)."""
    kernel = node.ints("kernel_shape") or []
    rank = len(kernel)
    strides, dilations = node.ints("strides") or [1] * rank, node.ints("dilations") or [1] * rank
    extents = extents_of(kernel, dilations)
    pads = window_pads(node, x.shape[2:], extents, strides)

    # The windows of each axis: how many there are, and the padding with which they fit exactly.
    fitted_pads = []
    for n, (before, after), extent, stride in zip(x.shape[2:], pads, extents, strides, strict=True):
        count = _count(n + before + after - extent, stride, bool(node.get("ceil_mode", 0)))
        if node.get("ceil_mode", 0) and (count - 1) * stride >= n + before:
            count -= 1  # a window must not start after the image
        fitted_pads.append((before, (count - 1) * stride + extent - n - before))
    return _Windows(kernel, strides, dilations, pads, fitted_pads)


def _count(room: int, stride: int, ceil: bool) -> int:
    """Return how many windows fit, given how far the first one can move."""
    return (-(-room // stride) if ceil else room // stride) + 1


def max_pool(node: Node, x: Tensor) -> Tensor:
    """Return the maxima; the second output, their indices, is not computed."""
    windows = _windows(node, x)
    rows = padded(as_floats(x), windows.fitted_pads, -torch.inf)
    pooled: Tensor = _MAX[len(windows.kernel)](rows, windows.kernel, windows.strides, dilation=windows.dilations)
    return pooled


def average_pool(node: Node, x: Tensor) -> Tensor:
    """Return the mean over the positions of the image and, with ``count_include_pad``, of its padding.

    It is the sum over each window divided by the number of positions that count, which is a sum over ones.
    """
    windows = _windows(node, x)
    counts = padded(x.new_ones(1, 1, *x.shape[2:]), windows.pads, 1.0 if node.get("count_include_pad", 0) else 0.0)
    end_pads = zip(windows.fitted_pads, windows.pads, strict=True)
    missing: Pads = [(0, fitted - padded_by) for (_, fitted), (_, padded_by) in end_pads]  # rows of 0 still to add
    return _sums(padded(x, windows.fitted_pads), windows) / _sums(padded(counts, missing), windows)


def _sums(x: Tensor, windows: _Windows) -> Tensor:
    """Return the sum over each window, (B, C, *counts)."""
    batch = x.reshape(-1, 1, *x.shape[2:])
    ones = x.new_ones(1, 1, *windows.kernel)
    zeros = [0] * len(windows.kernel)
    sums = torch.convolution(batch, ones, None, windows.strides, zeros, windows.dilations, False, zeros, 1)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


def lp_pool(node: Node, x: Tensor) -> Tensor:
    p = node.get("p", 2)
    windows = _windows(node, x)
    return _sums(padded(x.abs() ** p, windows.fitted_pads), windows) ** (1 / p)


def global_average_pool(node: Node, x: Tensor) -> Tensor:
    return x.mean(_spatial(x), keepdim=True)


def global_max_pool(node: Node, x: Tensor) -> Tensor:
    return x.amax(_spatial(x), keepdim=True)


def global_lp_pool(node: Node, x: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, node.get("p", 2), _spatial(x), keepdim=True)
    return norm


def _spatial(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))
