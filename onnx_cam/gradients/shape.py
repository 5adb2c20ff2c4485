"""Operators that rearrange, repeat, join or split tensors without changing their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from onnx_cam.gradients.node import Node
from onnx_cam.graph.padded_rows import padded_rows

__all__ = [
    "concat",
    "depth_to_space",
    "expand",
    "flatten",
    "pad",
    "parts",
    "reshape",
    "shape_of",
    "size_of",
    "space_to_depth",
    "split",
    "squeeze",
    "tile",
    "transpose",
    "unsqueeze",
]


def shape_of(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(x.shape[node.get("start", 0) : node.get("end", x.ndim)], dtype=torch.int64, device=x.device)


def size_of(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(x.numel(), dtype=torch.int64, device=x.device)


def reshape(node: Node, x: Tensor, shape: Tensor | None = None) -> Tensor:
    """A size of 0 keeps the input's, unless ``allowzero`` is set; before opset 5 the shape is an attribute."""
    sizes = node.ints_or("shape", shape) or []
    if not node.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    given_axes = node.ints_or("axes", axes)
    return x.squeeze() if given_axes is None else x.squeeze(tuple(given_axes))


def unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    new_axes = node.ints_or("axes", axes) or []
    rank = x.ndim + len(new_axes)
    for axis in sorted(axis % rank for axis in new_axes):
        x = x.unsqueeze(axis)
    return x


def transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.ints("perm") or list(reversed(range(x.ndim))))


def concat(node: Node, *tensors: Tensor) -> Tensor:
    return torch.cat(tensors, node.get("axis", 1))


def split(node: Node, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    """Before opset 13 the sizes are an attribute; without any all parts but the last are of equal size."""
    axis = node.get("axis", 0)
    part_sizes = node.ints_or("split", sizes)
    if part_sizes is None:
        count = node.get("num_outputs", len(node.outputs))
        size = -(-x.shape[axis] // count)
        part_sizes = [min(size, x.shape[axis] - start) for start in range(0, x.shape[axis], size)]
    return parts(x, part_sizes, axis)


def parts(x: Tensor, sizes: Sequence[int], axis: int) -> tuple[Tensor, ...]:
    """Return parts of a tensor, of given sizes along an axis."""
    return tuple(x.narrow(axis, sum(sizes[:i]), size) for i, size in enumerate(sizes))


def expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(shape.tolist())))


def tile(node: Node, x: Tensor, repeats: Tensor) -> Tensor:
    return x.repeat(repeats.tolist())


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    side = node.attributes["blocksize"]
    # DCR: the channels are ordered by their position in the block first; CRD: by the output channel first.
    if node.get("mode", b"DCR") == b"DCR":
        blocks = x.reshape(n, side, side, c // side**2, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(n, c // side**2, side, side, h, w).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // side**2, h * side, w * side)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    side = node.attributes["blocksize"]
    blocks = x.reshape(n, c, h // side, side, w // side, side).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, c * side**2, h // side, w // side)


def pad(
    node: Node, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    """Before opset 11 the pads are an attribute, ``paddings`` before opset 2; ``axes`` exists since opset 18."""
    amounts = node.ints_or("pads", pads) or node.ints("paddings") or []
    padded_axes = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in axes.flatten().tolist()]
    count = len(padded_axes)
    rows = dict(zip(padded_axes, zip(amounts[:count], amounts[count:], strict=True), strict=True))
    mode = node.get("mode", b"constant").decode()
    if mode != "constant":
        return _padded_with_rows(x, rows, mode)
    number = node.get("value", 0.0) if value is None else value.item()
    flat = [n for axis in reversed(range(x.ndim)) for n in rows.get(axis, (0, 0))]  # torch counts from the last axis
    return functional.pad(x, flat, value=number)


def _padded_with_rows(x: Tensor, rows: dict[int, tuple[int, int]], mode: str) -> Tensor:
    """Return a tensor padded with its own rows; negative padding cuts rows off first."""
    for axis, (before, after) in rows.items():
        order = padded_rows(x.shape[axis], before, after, mode)
        x = x.index_select(axis, torch.as_tensor(order, device=x.device))
    return x
