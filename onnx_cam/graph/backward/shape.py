"""Operators that rearrange, repeat, join or split tensors without changing their numbers."""

from __future__ import annotations

import numpy as np

from onnx_cam.graph.backward.rows import put_rows
from onnx_cam.graph.backward.step import Gradients, NoRule, Step
from onnx_cam.graph.backward.windows import fixed_sizes
from onnx_cam.graph.padded_rows import padded_rows

__all__ = [
    "concat",
    "depth_to_space",
    "expand",
    "pad",
    "reshaped",
    "space_to_depth",
    "split",
    "tile",
    "transpose",
    "trilu",
]


def reshaped(step: Step) -> Gradients:
    """Reshape, Flatten, Squeeze and Unsqueeze: the same numbers in another shape."""
    return {0: step.like_input(step.gradient)}


def transpose(step: Step) -> Gradients:
    """The inverse order of the axes."""
    order = step.ints("perm") or list(reversed(range(len(step.shape()))))
    return {0: step.emit.transpose(step.gradient, np.argsort(order).tolist())}


def concat(step: Step) -> Gradients:
    """Each tensor has its part of the gradient."""
    axis = step.attribute("axis", 1) % len(step.output_shape())
    sizes = fixed_sizes([step.shape(place)[axis] for place in range(len(step.node.input))], "the axis of a Concat")
    ends = np.cumsum(sizes).tolist()
    return {
        place: step.emit.slice(step.gradient, [end - size], [end], [axis])
        for place, (size, end) in enumerate(zip(sizes, ends, strict=True))
        if step.wants(place)
    }


def split(step: Step) -> Gradients:
    """The parts' gradients joined, with zeros for a part that leads nowhere."""
    rank = len(step.shape())
    axis = step.attribute("axis", 0) % rank
    sizes = fixed_sizes([step.output_shape(place)[axis] for place in range(len(step.node.output))], "the axis of Split")
    parts: list[str] = []
    missing = 0  # rows of parts without a gradient, in front of the next one with a gradient
    for size, gradient in zip(sizes, step.gradients, strict=True):
        if gradient is None:
            missing += size
            continue
        parts.append(step.emit.pad_along(gradient, rank, axis, (missing, 0)))
        missing = 0
    parts[-1] = step.emit.pad_along(parts[-1], rank, axis, (0, missing))
    return {0: parts[0] if len(parts) == 1 else step.emit.add("Concat", *parts, axis=axis)}


def expand(step: Step) -> Gradients:
    """The sum over all copies."""
    return {0: step.unbroadcast(step.gradient, 0)}


def tile(step: Step) -> Gradients:
    """The sum over all copies, each axis being (copies, rows)."""
    sizes: list[int | None] = []
    axes = []
    for narrow, wide in zip(step.shape(), step.output_shape(), strict=True):
        if narrow == wide:
            sizes.append(narrow)
        elif narrow is None or (wide is None and narrow != 1):
            raise NoRule("how often it repeats a tensor depends on the batch")
        else:
            axes.append(len(sizes))
            sizes += [None if wide is None else wide // narrow, narrow]
    copies = step.emit.reshape(step.gradient, tuple(sizes))
    return {0: step.emit.reduce("ReduceSum", copies, axes, keepdims=False)}


def depth_to_space(step: Step) -> Gradients:
    """Each block of pixels goes back to the channels."""
    side = step.attribute("blocksize", 1)
    if step.attribute("mode", "DCR") == "DCR":
        return {0: step.emit.add("SpaceToDepth", step.gradient, blocksize=side)}
    n, c, h, w = step.shape()
    (channels,) = fixed_sizes((c,))
    blocks = step.emit.reshape(step.gradient, (n, channels // side**2, h, side, w, side))
    return {0: step.like_input(step.emit.transpose(blocks, [0, 1, 3, 5, 2, 4]))}


def space_to_depth(step: Step) -> Gradients:
    return {0: step.emit.add("DepthToSpace", step.gradient, blocksize=step.attribute("blocksize", 1))}


def trilu(step: Step) -> Gradients:
    """The same triangle of the gradient."""
    diagonal = step.node.input[1] if step.has_input(1) else None
    return {0: step.emit.add("Trilu", step.gradient, diagonal, upper=step.attribute("upper", 1))}


def pad(step: Step) -> Gradients:
    """The gradient without its padding; a row that the padding repeats gets the sum over its copies.

    Before opset 11 the pads are an attribute; ``axes`` exists since opset 18.
    """
    rank = len(step.shape())
    amounts = step.ints_or("pads", 1) or []
    given_axes = step.parameter(3)
    axes = list(range(rank)) if given_axes is None else [int(axis) % rank for axis in np.ravel(given_axes)]
    before, after = [0] * rank, [0] * rank
    for axis, first, last in zip(axes, amounts[: len(axes)], amounts[len(axes) :], strict=True):
        before[axis], after[axis] = first, last
    mode = step.attribute("mode", "constant")
    if mode == "constant":
        return {0: step.emit.pad(step.gradient, [-rows for rows in before], [-rows for rows in after])}
    gradient, shape = step.gradient, list(step.output_shape())
    for axis in range(rank):
        if before[axis] or after[axis]:
            (size,) = fixed_sizes(step.shape()[axis : axis + 1], "the size of a padded axis")
            rows = padded_rows(size, before[axis], after[axis], mode)
            gradient = put_rows(step.emit, gradient, tuple(shape), axis, rows=rows, size=size)
            shape[axis] = size
    return {0: gradient}
