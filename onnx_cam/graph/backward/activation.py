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
    """1 between the bounds and at them, which is where the output equals the input."""
    return {0: step.emit.masked(step.gradient, step.emit.equal(step.output(), step.value()))}
