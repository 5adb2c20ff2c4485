"""Pooling."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.pool_windows import PoolWindows, pool_windows, spread_windows
from onnx_cam.graph.backward.step import Gradients, Step
from onnx_cam.graph.backward.windows import fixed_sizes

__all__ = ["average_pool", "global_average_pool", "global_lp_pool", "global_max_pool", "lp_pool"]

Floats = NDArray[np.float32]


def average_pool(step: Step) -> Gradients:
    """An equal share for each position that counts: those of the image, and with ``count_include_pad`` its padding."""
    windows = pool_windows(step)
    shares = 1 / _counted_positions(windows, with_padding=bool(step.attribute("count_include_pad", 0)))
    if math.prod(windows.counts) == 1:
        return {0: step.emit.add("Mul", step.gradient, _only_window(windows) * shares)}
    return {0: _sums_over_windows(step, step.emit.add("Mul", step.gradient, shares), windows)}


def lp_pool(step: Step) -> Gradients:
    """``sign(x) · |x|^(p − 1)`` times the sum of ``g · y^(1 − p)`` over the windows of each position."""
    return {0: _lp_gradient(step, _sums_over_windows(step, _lp_shares(step), pool_windows(step)))}


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


def _sums_over_windows(step: Step, shares: str, windows: PoolWindows) -> str:
    """Return for each position of the image the sum over the windows that it is in."""
    planes = step.emit.reshape(shares, (None, 1, *windows.counts))
    return spread_windows(step, planes, np.ones((1, 1, *windows.kernel)), windows)


def _counted_positions(windows: PoolWindows, *, with_padding: bool) -> Floats:
    """Return how many positions of each window count, (*counts).

    Rows behind the padding, which the last window reaches with ``ceil_mode``, never count.
    """
    positions = np.ones((), np.float32)
    for axis, rows in enumerate(_rows_of_windows(windows)):
        before, after = (windows.before[axis], windows.after[axis]) if with_padding else (0, 0)
        counted = ((rows >= -before) & (rows < windows.sizes[axis] + after)).sum(axis=1)
        positions = np.multiply.outer(positions, counted.astype(np.float32))
    return positions


def _only_window(windows: PoolWindows) -> Floats:
    """Return 1 at the positions of the image that the only window reads, and 0 elsewhere, (*sizes)."""
    inside = np.ones((), np.float32)
    for size, rows in zip(windows.sizes, _rows_of_windows(windows), strict=True):
        inside = np.multiply.outer(inside, np.isin(np.arange(size), rows).astype(np.float32))
    return inside


def _rows_of_windows(windows: PoolWindows) -> list[NDArray[np.int64]]:
    """Return for each axis the rows that each window reads, (count, k); those of the padding are outside the image."""
    each = zip(windows.counts, windows.strides, windows.kernel, windows.dilations, windows.before, strict=True)
    return [s * np.arange(count)[:, None] + d * np.arange(k) - before for count, s, k, d, before in each]
