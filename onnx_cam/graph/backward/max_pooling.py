"""MaxPool."""

from __future__ import annotations

import itertools

import numpy as np

from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.pool_windows import PoolWindows, pool_windows, spread_windows
from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["max_pool"]

_OPSET_OF_SLICE_STEPS = 10
_LOWEST = float(np.finfo(np.float32).min)


def max_pool(step: Step) -> Gradients:
    """The first maximum of each window has its gradient, as the operator's `Indices` say.

    The offsets in the window are tried in order: what a window has not yet given away goes to the first whose number is
    not less than the maximum. A transposed convolution whose kernel has a single 1 for each offset then brings the
    offsets' gradients to where they belong, and adds them up where windows overlap.
    """
    emit, windows = step.emit, pool_windows(step)
    plane: Shape = (None, 1, *windows.counts)  # (batch · channels, 1, …)
    rest = emit.reshape(step.gradient, plane)
    maxima = _maxima(step, plane, rest)
    shares = []
    for numbers in _numbers_of_offsets(step, windows)[:-1]:
        is_less = emit.cast(emit.add("Less", numbers, maxima))
        passed_on = emit.add("Mul", rest, is_less)
        shares.append(emit.add("Sub", rest, passed_on))
        rest = passed_on
    shares.append(rest)  # where no other offset has the maximum, the last one does
    joined = rest if len(shares) == 1 else emit.add("Concat", *shares, axis=1)
    kernel = np.eye(len(shares)).reshape(len(shares), 1, *windows.kernel)
    return {0: spread_windows(step, joined, kernel, windows)}


def _numbers_of_offsets(step: Step, windows: PoolWindows) -> list[str]:
    """Return for each offset in the window the numbers that all windows have there, (batch · channels, 1, *counts).

    They are picked one axis after the other, from the last on: what the offsets of a column share is picked once.
    """
    emit = step.emit
    image = emit.reshape(step.value(), (None, 1, *windows.sizes))
    image = emit.pad(image, [0, 0, *windows.before], [0, 0, *windows.behind], _LOWEST)
    picked: dict[tuple[int, ...], str] = {(): image}
    for axis in reversed(range(len(windows.sizes))):
        count, stride, dilation = windows.counts[axis], windows.strides[axis], windows.dilations[axis]
        picked = {
            (offset, *inner): _every(step, tensor, axis, _rows(offset * dilation, stride, count))
            for inner, tensor in picked.items()
            for offset in range(windows.kernel[axis])
        }
    return [picked[offsets] for offsets in itertools.product(*map(range, windows.kernel))]


def _rows(start: int, stride: int, count: int) -> range:
    return range(start, start + (count - 1) * stride + 1, stride)


def _every(step: Step, tensor: str, axis: int, rows: range) -> str:
    """Return rows of (batch · channels, 1, …) along a spatial axis, at a distance that is the step of their range.

    Before opset 10 Slice has no steps. A MaxPool whose windows hold one number has: on a CPU it takes a fifth of the
    time of a Gather.
    """
    emit = step.emit
    if emit.opset >= _OPSET_OF_SLICE_STEPS:
        return emit.add(
            "Slice", tensor, *(np.array([n], np.int64) for n in (rows.start, rows.stop, 2 + axis, rows.step))
        )
    part = emit.slice(tensor, [rows.start], [rows.stop], [2 + axis])
    rank = len(step.shape()) - 2
    strides = [rows.step if i == axis else 1 for i in range(rank)]
    return part if rows.step == 1 else emit.add("MaxPool", part, kernel_shape=[1] * rank, strides=strides)


def _maxima(step: Step, plane: Shape, like: str) -> str:
    """Return the output as (batch · channels, 1, *counts).

    With ``ceil_mode`` onnx's shape inference counts a window behind the image, which ONNX Runtime leaves out: then a
    Reshape whose first size is -1 would be inferred to make a wrong one.
    """
    if step.attribute("ceil_mode", 0):
        return step.emit.add("Reshape", step.output(), step.emit.add("Shape", like))
    return step.emit.reshape(step.output(), plane)
