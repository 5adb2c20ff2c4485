"""Softmax and LogSoftmax, from their outputs."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["log_softmax", "softmax", "softmax_backward"]


def softmax(step: Step) -> Gradients:
    """From the output y: y · (g − Σ g y)."""
    return {0: softmax_backward(step.emit, step.gradient, step.output(), _axes(step))}


def log_softmax(step: Step) -> Gradients:
    """From the output y: g − exp(y) · Σ g."""
    total = step.emit.reduce("ReduceSum", step.gradient, _axes(step))
    shares = step.emit.add("Mul", step.emit.add("Exp", step.output()), total)
    return {0: step.emit.add("Sub", step.gradient, shares)}


def softmax_backward(emit: Emitter, gradient: str, softmax: str, axes: Sequence[int]) -> str:
    """Return the gradient in front of a softmax over some axes."""
    total = emit.reduce("ReduceSum", emit.add("Mul", gradient, softmax), axes)
    return emit.add("Mul", softmax, emit.add("Sub", gradient, total))


def _axes(step: Step) -> list[int]:
    """Return the axes that are normalised; before opset 13 all from ``axis`` on count as one."""
    rank = len(step.shape())
    if step.version >= 13:
        return [step.attribute("axis", -1) % rank]
    return list(range(step.attribute("axis", 1) % rank, rank))
