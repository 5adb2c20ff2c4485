"""A convolution with an addition and an activation, com.microsoft's FusedConv."""

from __future__ import annotations

from typing import Any

from onnx_cam.graph.backward.convolution import conv
from onnx_cam.graph.backward.step import Gradients, NoRule, Step

__all__ = ["fused_conv"]


def fused_conv(step: Step) -> Gradients:
    """The gradient in front of the activation, at the convolution and at the summand.

    Raises
    ------
    NoRule
        The weights depend on the image, or the activation is unknown.
    """
    if step.wants(1) or step.wants(2):
        raise NoRule("its weights depend on the image")
    inner = step.with_gradient(_activation_backward(step))
    gradients = dict(conv(inner))
    if step.wants(3):
        gradients[3] = step.unbroadcast(inner.gradient, 3)
    return gradients


def _activation_backward(step: Step) -> str:
    """Return the gradient in front of the activation."""
    emit, g = step.emit, step.gradient
    kind = step.attribute("activation", "")
    parameters: list[float] = step.attribute("activation_params", [])
    first, second = (float(number) for number in [*parameters, 0.0, 0.0][:2])
    if kind == "":
        return g
    if kind == "Relu":
        return emit.masked(g, emit.add("Greater", step.output(), 0.0))
    if kind == "Tanh":
        return emit.add("Mul", g, emit.add("Sub", 1.0, emit.add("Mul", step.output(), step.output())))
    if kind == "Sigmoid":
        return emit.add("Mul", g, emit.add("Mul", step.output(), emit.add("Sub", 1.0, step.output())))
    if kind == "LeakyRelu" and first > 0:
        is_positive = emit.cast(emit.add("Greater", step.output(), 0.0))
        slope = emit.add("Add", emit.add("Mul", is_positive, 1 - first), first)
        return emit.add("Mul", g, slope)
    if kind not in ("Clip", "HardSigmoid"):
        raise NoRule(f"of its activation {kind!r} with the parameters {parameters}")
    # The output does not tell numbers at a bound, where the derivative is that between the bounds, from those beyond.
    before, (low, high, factor) = _before_activation(step), (first, second, 1.0)
    if kind == "HardSigmoid":  # max(0, min(1, first · x + second))
        before = emit.add("Add", emit.add("Mul", before, first), second)
        low, high, factor = 0.0, 1.0, first
    outside = emit.add("Or", emit.add("Less", before, low), emit.add("Greater", before, high))
    scaled = g if factor == 1 else emit.add("Mul", g, factor)
    return emit.masked(scaled, emit.add("Not", outside))


def _before_activation(step: Step) -> str:
    """Return what the activation takes, computed once more: the fused operator does not give it away."""
    names = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    settings: dict[str, Any] = {name: step.attribute(name, None) for name in names}
    bias = step.value(2) if step.has_input(2) else None
    result = step.emit.add("Conv", step.value(0), step.value(1), bias, **settings)
    return step.emit.add("Add", result, step.value(3)) if step.has_input(3) else result
