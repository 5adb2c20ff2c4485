"""Normalisations, as at inference."""

from __future__ import annotations

import math

from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.standardised import Standardised
from onnx_cam.graph.backward.step import Gradients, NoRule, Step
from onnx_cam.graph.backward.windows import fixed_sizes

__all__ = [
    "batch_normalization",
    "group_normalization",
    "instance_normalization",
    "lp_normalization",
    "lrn",
    "mean_variance_normalization",
]

_EPSILON = 1e-5


def batch_normalization(step: Step) -> Gradients:
    """A product with ``scale / √(variance + ε)``, all constants; before opset 9, ``spatial=0``: for each position."""
    _check_constant(step, 1, 2, 3, 4)
    emit = step.emit
    deviation = emit.add("Sqrt", emit.add("Add", step.value(4), float(step.attribute("epsilon", _EPSILON))))
    factor = emit.add("Div", step.value(1), deviation)
    if len(step.shape(1)) == 1:
        factor = _by_channel(step, factor, step.shape(1)[0])
    return {0: emit.add("Mul", step.gradient, factor)}


def instance_normalization(step: Step) -> Gradients:
    """Normalised over the height and the width."""
    _check_constant(step, 1, 2)
    scaled = step.emit.add("Mul", step.gradient, _by_channel(step, step.value(1), step.shape(1)[0]))
    axes = list(range(2, len(step.shape())))
    epsilon = step.attribute("epsilon", _EPSILON)
    return {0: Standardised.of(step.emit, step.value(), axes, epsilon).backward(step.emit, scaled)}


def group_normalization(step: Step) -> Gradients:
    """Normalised over groups of channels; the scale is one of each group before opset 21, and of each channel since."""
    _check_constant(step, 1, 2)
    emit, count, scales = step.emit, step.attribute("num_groups", 1), step.shape(1)[0]
    size = math.prod(fixed_sizes(step.shape()[1:]))
    groups: Shape = (step.shape()[0], count, size // count)
    gradient = step.gradient
    if scales != count:
        gradient = emit.add("Mul", gradient, _by_channel(step, step.value(1), scales))
    gradient = emit.reshape(gradient, groups)
    if scales == count:
        gradient = emit.add("Mul", gradient, emit.reshape(step.value(1), (count, 1)))
    epsilon = step.attribute("epsilon", _EPSILON)
    standardised = Standardised.of(emit, emit.reshape(step.value(), groups), [2], epsilon)
    return {0: step.like_input(standardised.backward(emit, gradient))}


def lrn(step: Step) -> Gradients:
    """Of x · d^−β, with d = bias + α · (mean of x² over a window of channels, zeros included)."""
    emit = step.emit
    alpha, beta = step.attribute("alpha", 1e-4), step.attribute("beta", 0.75)
    channels, *sizes = fixed_sizes(step.shape()[1:])
    planes: Shape = (step.shape()[0], 1, channels, math.prod(sizes))
    x, g = (emit.reshape(tensor, planes) for tensor in (step.value(), step.gradient))
    mean = _channel_means(step, emit.square(x), transposed=False)
    base = emit.add("Add", emit.add("Mul", mean, alpha), step.attribute("bias", 1.0))
    scaled = emit.add("Mul", g, emit.add("Pow", base, -beta))
    # The gradient at d, of all windows that a channel lies in.
    at_base = emit.add("Div", emit.add("Mul", scaled, x), base)
    shared = emit.add("Mul", _channel_means(step, at_base, transposed=True), 2 * alpha * beta)
    return {0: step.like_input(emit.add("Sub", scaled, emit.add("Mul", x, shared)))}


def _channel_means(step: Step, planes: str, *, transposed: bool) -> str:
    """Return means over a window of channels of a tensor (N, 1, channels, positions)."""
    size = step.attribute("size", 1)
    before, after = (size - 1) // 2, size // 2
    pads = [after, 0, before, 0] if transposed else [before, 0, after, 0]
    return step.emit.add("AveragePool", planes, kernel_shape=[size, 1], pads=pads, count_include_pad=1)


def lp_normalization(step: Step) -> Gradients:
    """Of x / n, with the norm n: g / n − n' · Σ g x / n², and g where n is 0."""
    emit, x, g = step.emit, step.value(), step.gradient
    axes = [step.attribute("axis", -1) % len(step.shape())]
    order = step.attribute("p", 2)
    norm = emit.divisor(emit.reduce(f"ReduceL{order}", x, axes))
    slope = emit.sign(x) if order == 1 else emit.add("Div", x, norm)
    share = emit.add("Div", emit.reduce("ReduceSum", emit.add("Mul", g, x), axes), norm)
    return {0: emit.add("Div", emit.add("Sub", g, emit.add("Mul", slope, share)), norm)}


def mean_variance_normalization(step: Step) -> Gradients:
    """Of c / (s + 10⁻⁹), with the centred c and the standard deviation s."""
    emit, g = step.emit, step.gradient
    axes = [axis % len(step.shape()) for axis in step.ints("axes") or (0, 2, 3)]
    centred = emit.add("Sub", step.value(), emit.reduce("ReduceMean", step.value(), axes))
    deviation = emit.add("Sqrt", emit.reduce("ReduceMean", emit.square(centred), axes))
    width = emit.add("Add", deviation, 1e-9)
    straight = emit.add("Sub", g, emit.reduce("ReduceMean", g, axes))
    covariance = emit.reduce("ReduceMean", emit.add("Mul", g, centred), axes)
    share = emit.add("Div", covariance, emit.add("Mul", width, emit.divisor(deviation)))
    return {0: emit.add("Div", emit.add("Sub", straight, emit.add("Mul", centred, share)), width)}


def _by_channel(step: Step, vector: str, channels: int | None) -> str:
    """Return one value for each channel, shaped to broadcast over the input (N, C, …)."""
    return step.emit.reshape(vector, (channels, *[1] * (len(step.shape()) - 2)))


def _check_constant(step: Step, *places: int) -> None:
    for place in places:
        if step.wants(place):
            raise NoRule(f"its input {step.node.input[place]!r} depends on the layer")
