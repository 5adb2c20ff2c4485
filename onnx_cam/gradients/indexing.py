"""Reading and writing a part of a tensor, given by indices."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onnx_cam.gradients.node import Node

__all__ = [
    "gather",
    "gather_elements",
    "gather_nd",
    "scatter_elements",
    "scatter_nd",
    "slice_",
]

_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def slice_(
    node: Node,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """Before opset 10 the starts, ends and axes are attributes."""
    first, last = node.ints_or("starts", starts) or [], node.ints_or("ends", ends) or []
    sliced_axes = node.ints_or("axes", axes) or list(range(len(first)))
    strides = node.ints_or("steps", steps) or [1] * len(first)
    for axis, start, end, step in zip(sliced_axes, first, last, strides, strict=True):
        rows = range(*slice(start, end, step).indices(x.shape[axis]))
        x = _rows(x, axis % x.ndim, rows)
    return x


def _rows(x: Tensor, axis: int, rows: range) -> Tensor:
    """Return rows along an axis: a view, or a copy where the step is negative, which torch cannot slice."""
    if rows.step < 0:
        return x.index_select(axis, torch.tensor(list(rows), dtype=torch.int64, device=x.device))
    return x[(slice(None),) * axis + (slice(rows.start, max(rows.stop, rows.start), rows.step),)]


def gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    flat = _counted_from_front(indices.flatten(), x.shape[axis])
    return x.index_select(axis, flat).reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def gather_elements(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    return x.gather(axis, _counted_from_front(indices, x.shape[axis]))


def gather_nd(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    count = node.get("batch_dims", 0)
    # Along a batch axis each index reads its own row.
    batch = [_along(torch.arange(n, device=x.device), i, indices.ndim - 1) for i, n in enumerate(x.shape[:count])]
    return x[(*batch, *indices.long().unbind(-1))]


def scatter_nd(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Each index becomes a single number into the flattened leading axes, as for ScatterElements."""
    depth = indices.shape[-1]
    positions = torch.zeros(indices.shape[:-1], dtype=torch.int64, device=x.device)
    for column, size in zip(indices.unbind(-1), x.shape[:depth], strict=True):
        positions = positions * size + _counted_from_front(column, size)
    rows = x.reshape(-1, *x.shape[depth:])
    values = updates.reshape(-1, *x.shape[depth:])
    positions = _along(positions.flatten(), 0, values.ndim).expand(values.shape)
    return _scattered(node, rows, 0, positions, values).reshape(x.shape)


def scatter_elements(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    return _scattered(node, x, axis, _counted_from_front(indices, x.shape[axis]), updates)


def _scattered(node: Node, x: Tensor, axis: int, positions: Tensor, updates: Tensor) -> Tensor:
    """Return a tensor with updates written, or reduced, to positions along an axis."""
    reduction = node.get("reduction", b"none").decode()
    if reduction == "none":
        return x.scatter(axis, positions, updates)
    function: Callable[..., Tensor] = x.scatter_reduce
    return function(axis, positions, updates, _REDUCTIONS[reduction])


def _counted_from_front(indices: Tensor, size: int) -> Tensor:
    """Return indices ≥ 0; negative ones count from the end."""
    return torch.where(indices < 0, indices + size, indices).long()


def _along(vector: Tensor, axis: int, rank: int) -> Tensor:
    """Return a vector shaped to broadcast along one of `rank` axes."""
    return vector.reshape([-1 if i == axis else 1 for i in range(rank)])
