"""The gradient of reading rows of a tensor along an axis: each is added to where it was read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.facts import Shape

__all__ = ["as_matrices", "contiguous_start", "product_along", "product_of", "put_rows"]

Integers = NDArray[np.int64]


def put_rows(emit: Emitter, gradient: str, shape: Shape, axis: int, *, rows: Integers, size: int) -> str:
    """Return a tensor of zeros, to whose rows along an axis those of a gradient are added.

    Parameters
    ----------
    emit : Emitter
    gradient : str
        Of shape `shape`, with ``len(rows)`` rows along the axis.
    shape : tuple of int or None
    axis : int
        From 0 on.
    rows : ndarray of int64
        Where each row goes, from 0 on.
    size : int
        The rows of the result.
    """
    start = contiguous_start(rows)
    if start is not None:
        return emit.pad_along(gradient, len(shape), axis, (start, size - start - len(rows)))
    if len(set(rows.tolist())) < len(rows):
        matrix = np.zeros((size, len(rows)), np.float32)
        matrix[rows, np.arange(len(rows))] = 1
        return product_along(emit, gradient, shape, axis, matrix)
    # Each row is read once: pick it from the gradient, and those that were not read from a row of zeros behind it.
    sources = np.full(size, len(rows), np.int64)
    sources[rows] = np.arange(len(rows))
    return emit.add("Gather", emit.pad_along(gradient, len(shape), axis, (0, 1)), sources, axis=axis)


def contiguous_start(rows: Integers) -> int | None:
    """Return the first of rows that follow each other; 0 without any, and None where they do not."""
    if not len(rows):
        return 0
    return int(rows[0]) if np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))) else None


def product_along(emit: Emitter, tensor: str, shape: Shape, axis: int, matrix: NDArray[Any]) -> str:
    """Return the product of a matrix (m, n) and a tensor along an axis of n rows, which become m.

    Raises
    ------
    ValueError
        The axis is neither of the last two, and sizes on both sides of it depend on the batch.
    """
    matrix = np.asarray(matrix, np.float32)
    rank = len(shape)
    if axis == rank - 1:
        return emit.add("MatMul", tensor, np.ascontiguousarray(matrix.T))
    if axis == rank - 2:
        return emit.add("MatMul", matrix, tensor)
    product = emit.add("MatMul", matrix, as_matrices(emit, tensor, shape, axis))
    return emit.reshape(product, (*shape[:axis], len(matrix), *shape[axis + 1 :]))


def as_matrices(emit: Emitter, tensor: str, shape: Shape, first: int, count: int = 1) -> str:
    """Return a tensor reshaped to (outer, rows, inner), where the rows are `count` axes from one on."""
    axes = slice(0, first), slice(first, first + count), slice(first + count, None)
    return emit.reshape(tensor, tuple(product_of(shape[part]) for part in axes))


def product_of(sizes: Shape) -> int | None:
    """Return the product of sizes; None where one depends on the batch."""
    fixed = [size for size in sizes if size is not None]
    return math.prod(fixed) if len(fixed) == len(sizes) else None
