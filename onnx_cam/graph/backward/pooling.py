"""Pooling."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.step import Gradients, Step
from onnx_cam.graph.backward.windows import Windows, conv_windows, fixed_sizes

__all__ = ["average_pool", "global_average_pool", "global_lp_pool", "global_max_pool", "lp_pool", "max_pool"]

_LOWEST = float(np.finfo(np.float32).min)

Floats = NDArray[np.float32]


def max_pool(step: Step) -> Gradients:
    """The first maximum of each window has its gradient, as the operator's `Indices` say.

    For each offset in the window, the rows that all windows have there are picked, `step` apart. What the windows have
    not yet given away goes to an offset whose number is not less than the maximum. A transposed convolution, whose
    kernel has a 1 at one offset for each channel, brings the offsets' gradients to where they belong and adds them up.
    """
    emit = step.emit
    windows, sizes, counts = _pool_windows(step)
    rank = len(sizes)
    before, after = windows.before, windows.rows_missing(sizes, counts)
    plane: Shape = (None, 1, *counts)  # (B · C, 1, …): all channels are alike
    rest = emit.reshape(step.gradient, plane)
    maximum = _maxima(step, plane, rest)
    image = emit.pad(emit.reshape(step.value(), (None, 1, *sizes)), [0, 0, *before], [0, 0, *after], _LOWEST)

    # The rows of each offset, one axis after the other from the last on: what two offsets share is picked once.
    picked: dict[tuple[int, ...], str] = {(): image}
    for axis in reversed(range(rank)):
        picked = {
            (offset, *inner): emit.every(
                tensor, 2 + axis, offset * windows.dilations[axis], windows.strides[axis], counts[axis]
            )
            for inner, tensor in picked.items()
            for offset in range(windows.kernel[axis])
        }
    shares = []
    for offsets in list(itertools.product(*map(range, windows.kernel)))[:-1]:
        is_less = emit.cast(emit.add("Less", picked[offsets], maximum))
        others = emit.add("Mul", rest, is_less)
        shares.append(emit.add("Sub", rest, others))
        rest = others
    shares.append(rest)  # the last one of the window is the maximum where no other is
    joined = shares[0] if len(shares) == 1 else emit.add("Concat", *shares, axis=1)
    kernel = np.eye(len(shares), dtype=np.float32).reshape(len(shares), 1, *windows.kernel)
    return {0: _spread_windows(step, joined, kernel, windows, sizes, counts)}


def _maxima(step: Step, plane: Shape, like: str) -> str:
    """Return the output as (B · C, 1, …).

    With ``ceil_mode`` onnx's shape inference counts a window behind the image, which ONNX Runtime leaves out: there a
    Reshape to fixed sizes would get a wrong batch from it.
    """
    if step.attribute("ceil_mode", 0):
        return step.emit.add("Reshape", step.output(), step.emit.add("Shape", like))
    return step.emit.reshape(step.output(), plane)


def average_pool(step: Step) -> Gradients:
    """An equal share for each position that counts: those of the image, and with ``count_include_pad`` its padding."""
    emit = step.emit
    windows, sizes, counts = _pool_windows(step)
    positions = _counted_positions(windows, sizes, counts, with_padding=bool(step.attribute("count_include_pad", 0)))
    if math.prod(counts) == 1:
        inside = _spread_shares(1 / positions, windows, sizes)
        return {0: emit.add("Mul", step.gradient, inside)}
    shares = emit.add("Mul", step.gradient, np.asarray(1 / positions, np.float32))
    return {0: _sums_back(step, shares, windows, sizes, counts)}


def lp_pool(step: Step) -> Gradients:
    """``sign(x) · |x|^(p − 1)`` times the sum of ``g · y^(1 − p)`` over the windows of each position."""
    windows, sizes, counts = _pool_windows(step)
    shares = _lp_shares(step)
    return {0: _lp_gradient(step, _sums_back(step, shares, windows, sizes, counts))}


def global_average_pool(step: Step) -> Gradients:
    """Each position has the same share."""
    sizes = fixed_sizes(step.shape()[2:])
    shape: Shape = (*step.shape()[:2], *[1] * len(sizes))
    return {0: step.spread_over_input(step.emit.add("Mul", step.gradient, 1.0 / math.prod(sizes)), shape)}


def global_max_pool(step: Step) -> Gradients:
    """The maximum has the gradient; several that are equal share it."""
    emit = step.emit
    is_maximum = emit.cast(emit.equal(step.value(), step.output()))
    count = emit.reduce("ReduceSum", is_maximum, range(2, len(step.shape())))
    return {0: emit.add("Mul", is_maximum, emit.add("Div", step.gradient, count))}


def global_lp_pool(step: Step) -> Gradients:
    """As LpPool with one window."""
    return {0: _lp_gradient(step, _lp_shares(step))}


def _lp_shares(step: Step) -> str:
    """Return ``g · y^(1 − p)``; 0 where the norm y is 0."""
    p, emit = step.attribute("p", 2), step.emit
    if p == 1:
        return step.gradient
    is_zero = emit.equal(step.output(), 0.0)
    norm = emit.add("Add", step.output(), emit.cast(is_zero))  # 1 in place of 0
    power = norm if p == 2 else emit.add("Pow", norm, float(p - 1))
    return emit.masked(emit.add("Div", step.gradient, power), emit.add("Not", is_zero))


def _lp_gradient(step: Step, shares: str) -> str:
    p, emit = step.attribute("p", 2), step.emit
    if p == 2:
        return emit.add("Mul", step.value(), shares)
    magnitude = emit.add("Abs", step.value())
    is_positive, is_negative = (emit.cast(emit.add(name, step.value(), 0.0)) for name in ("Greater", "Less"))
    sign = emit.add("Sub", is_positive, is_negative)
    power = sign if p == 1 else emit.add("Mul", sign, emit.add("Pow", magnitude, float(p - 1)))
    return emit.add("Mul", power, shares)


def _pool_windows(step: Step) -> tuple[Windows, list[int], list[int]]:
    """Return the windows of a pooling node, the sizes of the image, and the number of windows along each axis."""
    sizes, counts = fixed_sizes(step.shape()[2:]), fixed_sizes(step.output_shape()[2:])
    return conv_windows(step, step.ints("kernel_shape") or [], sizes), sizes, counts


def _sums_back(step: Step, shares: str, windows: Windows, sizes: list[int], counts: list[int]) -> str:
    """Return for each position of the image the sum over the windows that it is in."""
    planes = step.emit.reshape(shares, (None, 1, *counts))
    ones = np.ones((1, 1, *windows.kernel), np.float32)
    return _spread_windows(step, planes, ones, windows, sizes, counts)


def _spread_windows(
    step: Step, planes: str, kernel: Floats, windows: Windows, sizes: list[int], counts: list[int]
) -> str:
    """Return a transposed convolution of (B · C, K, *counts) with a kernel (K, 1, …), cut to the image and its shape."""
    missing = windows.rows_missing(sizes, counts)
    extra = [max(-rows, 0) for rows in missing]  # rows behind the last window
    settings = {"strides": windows.strides, "dilations": windows.dilations, "kernel_shape": windows.kernel}
    settings["pads"] = [*windows.before, *(max(rows, 0) for rows in missing)]
    if all(rows < s for rows, s in zip(extra, windows.strides, strict=True)):
        settings["output_padding"], extra = extra, [0] * len(sizes)
    image = step.emit.add("ConvTranspose", planes, kernel, **settings)
    return step.like_input(step.emit.pad(image, [0] * (2 + len(sizes)), [0, 0, *extra]))


def _counted_positions(windows: Windows, sizes: list[int], counts: list[int], *, with_padding: bool) -> Floats:
    """Return how many positions of each window count, (*counts).

    Rows behind the padding, which the last window reaches with ``ceil_mode``, never count.
    """
    positions = np.ones((), np.float32)
    for n, before, after, k, s, d, count in zip(
        sizes, windows.before, windows.after, windows.kernel, windows.strides, windows.dilations, counts, strict=True
    ):
        rows = s * np.arange(count)[:, None] + d * np.arange(k) - before  # (count, k)
        first, last = (-before, n + after) if with_padding else (0, n)
        inside = ((rows >= first) & (rows < last)).sum(axis=1)
        positions = np.multiply.outer(positions, inside.astype(np.float32))
    return positions


def _spread_shares(share: Floats, windows: Windows, sizes: list[int]) -> Floats:
    """Return the share of each position of the image in the only window, (1, 1, *sizes)."""
    shares = np.asarray(share, np.float32).reshape([1] * len(sizes))
    for axis, (n, before, k, d) in enumerate(
        zip(sizes, windows.before, windows.kernel, windows.dilations, strict=True)
    ):
        is_inside = np.isin(np.arange(n), d * np.arange(k) - before)
        shares = shares * is_inside.astype(np.float32).reshape([-1 if i == axis else 1 for i in range(len(sizes))])
    return shares[None, None]
