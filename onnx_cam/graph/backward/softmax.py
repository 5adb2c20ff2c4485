"""Softmax and LogSoftmax, from their outputs."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["log_softmax", "softmax"]


def softmax(step: Step) -> Gradients:
    """y · (g − Σ g y)."""
    y, axes = step.output(), _axes(step)
    return {0: step.emit.softmax_backward(step.gradient, y, axes)}


def log_softmax(step: Step) -> Gradients:
    """g − exp(y) · Σ g."""
    total = step.emit.reduce("ReduceSum", step.gradient, _axes(step))
    shares = step.emit.add("Mul", step.emit.add("Exp", step.output()), total)
    return {0: step.emit.add("Sub", step.gradient, shares)}


def _axes(step: Step) -> list[int]:
    """Return the axes that are normalised; before opset 13 all from ``axis`` on count as one."""
    rank = len(step.shape())
    if step.version >= 13:
        return [step.attribute("axis", -1) % rank]
    return list(range(step.attribute("axis", 1) % rank, rank))
