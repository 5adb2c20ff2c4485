"""Reading a part of a tensor, given by positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from onnx_cam.graph.backward.rows import as_matrices, contiguous_start, product_of, put_rows
from onnx_cam.graph.backward.step import Gradients, NoRule, Step
from onnx_cam.graph.backward.windows import fixed_sizes

__all__ = ["gather", "gather_elements", "gather_nd", "slice_", "top_k"]

_INT64 = TensorProto.INT64
_OPSET_OF_SCATTER_ADD = 16
_FURTHEST = 2**31 - 1  # an end from here on is that of any axis


def slice_(step: Step) -> Gradients:
    """Zeros where nothing was read. Before opset 10 the starts, ends and axes are attributes."""
    first, last = step.ints_or("starts", 1) or [], step.ints_or("ends", 2) or []
    axes = step.ints_or("axes", 3) or list(range(len(first)))
    strides = step.ints_or("steps", 4) or [1] * len(first)
    rank = len(step.shape())
    gradient, shape = step.gradient, list(step.output_shape())
    before, after = [0] * rank, [0] * rank
    for given_axis, start, end, stride in zip(axes, first, last, strides, strict=True):
        axis = given_axis % rank
        size = step.shape()[axis]
        if size is None:
            if (start, stride) != (0, 1) or end < _FURTHEST:
                raise NoRule("it reads a part of an axis whose size depends on the batch")
            continue
        rows = np.arange(size)[start:end:stride]
        if contiguous_start(rows) is None:
            gradient = put_rows(step.emit, gradient, tuple(shape), axis, rows=rows, size=size)
            shape[axis] = size
        else:  # all such axes are padded at once
            before[axis] = int(rows[0]) if len(rows) else 0
            after[axis] = size - before[axis] - len(rows)
    return {0: step.emit.pad(gradient, before, after)}


def gather(step: Step) -> Gradients:
    """Each row is added to where it was read: constant ones are placed, others by a product with one-hot rows."""
    emit, shape = step.emit, step.shape()
    axis = step.attribute("axis", 0) % len(shape)
    size, indices = shape[axis], step.input_facts(1)
    if size is None:
        return {0: _scattered_rows(step, axis)}
    if indices.value is not None:
        rows = np.ravel(indices.value).astype(np.int64) % size
        flat = (*shape[:axis], len(rows), *shape[axis + 1 :])
        gradient = step.gradient if len(indices.shape) == 1 else emit.reshape(step.gradient, flat)
        return {0: put_rows(emit, gradient, flat, axis, rows=rows, size=size)}
    gradient = as_matrices(emit, step.gradient, step.output_shape(), axis, len(indices.shape))
    positions = emit.reshape(_positions(step, 1), (1, None))
    return {0: step.like_input(emit.add("MatMul", _one_hot(step, positions, size), gradient))}


def _scattered_rows(step: Step, axis: int) -> str:
    """Return the gradient of rows read along a first axis whose size depends on the batch."""
    if axis != 0 or step.emit.opset < _OPSET_OF_SCATTER_ADD:
        raise NoRule("it reads from an axis whose size depends on the batch")
    positions = step.emit.reshape(_positions(step, 1), (*step.shape(1), 1), None)
    return step.emit.add("ScatterND", _zeros_like_input(step), positions, step.gradient, reduction="add")


def gather_elements(step: Step) -> Gradients:
    axis = step.attribute("axis", 0) % len(step.shape())
    return {0: put_elements(step, _positions(step, 1), step.gradient, axis)}


def top_k(step: Step) -> Gradients:
    """The values' gradient goes to where they were found, which the operator's second output tells."""
    axis = step.attribute("axis", -1) % len(step.shape())
    return {0: put_elements(step, step.node.output[1], step.gradient, axis)}


def put_elements(step: Step, positions: str, gradient: str, axis: int) -> str:
    """Return the gradient at the input of GatherElements: each number is added to where it was read along an axis."""
    emit, shape, rank = step.emit, step.shape(), len(step.shape())
    if emit.opset >= _OPSET_OF_SCATTER_ADD:
        return emit.add("ScatterElements", _zeros_like_input(step), positions, gradient, axis=axis, reduction="add")
    size, read = shape[axis], step.output_shape()
    if size is None:
        raise NoRule("it reads from an axis whose size depends on the batch")
    # Before, a product with one-hot rows along the axis, moved to the end: (…, size, count) · (…, count, 1).
    order = [*(i for i in range(rank) if i != axis), axis]
    moved = tuple(read[i] for i in order)
    places = emit.reshape(emit.transpose(positions, order), (*moved[:-1], 1, moved[-1]))
    column = emit.reshape(emit.transpose(gradient, order), (*moved, 1))
    placed = emit.reshape(emit.add("MatMul", _one_hot(step, places, size), column), (*moved[:-1], size))
    restored = emit.transpose(placed, np.argsort(order).tolist())
    after = [0 if i == axis else _missing(shape[i], read[i]) for i in range(rank)]
    return emit.pad(restored, [0] * rank, after)


def _missing(size: int | None, read: int | None) -> int:
    if size is None or read is None:
        if size is not read:
            raise NoRule("it reads a part of an axis whose size depends on the batch")
        return 0
    return size - read


def gather_nd(step: Step) -> Gradients:
    """As for Gather: each index becomes a single number into the flattened axes that it counts along."""
    emit, shape, read = step.emit, step.shape(), step.output_shape()
    batch, indices = step.attribute("batch_dims", 0), step.input_facts(1)
    (depth,) = fixed_sizes(indices.shape[-1:], "the length of its indices")
    if None in shape[batch : batch + depth]:
        if batch or emit.opset < _OPSET_OF_SCATTER_ADD:
            raise NoRule("it reads from an axis whose size depends on the batch")
        return {0: emit.add("ScatterND", _zeros_like_input(step), _positions(step, 1), step.gradient, reduction="add")}
    sizes = np.array(shape[batch : batch + depth], np.int64)
    size, factors = int(sizes.prod()), np.append(sizes[:0:-1].cumprod()[::-1], 1)
    last = len(indices.shape) - 1
    count, inner = product_of(read[batch:last]), product_of(shape[batch + depth :])
    if indices.value is not None and batch == 0:
        rows = np.ravel(np.where(indices.value < 0, indices.value + sizes, indices.value) @ factors)
        gradient = emit.reshape(step.gradient, (len(rows), inner))
        return {0: step.like_input(put_rows(emit, gradient, (len(rows), inner), 0, rows=rows, size=size))}
    flat = emit.add("Mul", _counted_from_front(step, _positions(step, 1), sizes), factors)
    positions = emit.reshape(emit.reduce("ReduceSum", flat, [last]), (*read[:batch], 1, count))
    gradient = emit.reshape(step.gradient, (*read[:batch], count, inner))
    return {0: step.like_input(emit.add("MatMul", _one_hot(step, positions, size), gradient))}


def _counted_from_front(step: Step, positions: str, sizes: NDArray[np.int64]) -> str:
    """Return positions ≥ 0; negative ones count from the end."""
    is_negative = step.emit.cast(step.emit.add("Less", positions, np.zeros(1, np.int64)), _INT64)
    return step.emit.add("Add", positions, step.emit.add("Mul", is_negative, sizes))


def _one_hot(step: Step, positions: str, size: int) -> str:
    """Return 1 where a row, one of `size`, is the one at a position, (…, size, count), for positions (…, 1, count).

    Negative positions count from the end.
    """
    emit = step.emit
    rows = np.arange(size)[:, None]
    is_row = emit.add("Or", emit.add("Equal", positions, rows), emit.add("Equal", positions, rows - size))
    return emit.cast(is_row)


def _positions(step: Step, place: int) -> str:
    """Return an input of integers as int64."""
    name = step.node.input[place]
    return name if step.input_facts(place).dtype == "int64" else step.emit.cast(name, _INT64)


def _zeros_like_input(step: Step) -> str:
    return step.emit.add("ConstantOfShape", step.emit.add("Shape", step.node.input[0]))
