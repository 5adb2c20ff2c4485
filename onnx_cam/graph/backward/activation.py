"""Activation functions, and other functions of each element by itself."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["clip", "identity", "relu"]


def identity(step: Step) -> Gradients:
    return {0: step.gradient}


def relu(step: Step) -> Gradients:
    """0 at 0. The output tells where the input is positive, so that Conv and Relu can still be fused."""
    return {0: step.emit.masked(step.gradient, step.emit.add("Greater", step.output(), 0.0))}


def clip(step: Step) -> Gradients:
    """1 between the bounds and at them; before opset 11 the bounds are attributes."""
    if step.version < 11:
        low, high = step.attribute("min", None), step.attribute("max", None)
    else:
        low, high = (step.value(place) if step.has_input(place) else None for place in (1, 2))
    inside = step.emit.within(step.value(), low, high)
    return {0: step.gradient if inside is None else step.emit.masked(step.gradient, inside)}
