"""Pooling."""

from __future__ import annotations

from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.step import Gradients, Step
from onnx_cam.graph.backward.windows import fixed_sizes

__all__ = ["global_average_pool"]


def global_average_pool(step: Step) -> Gradients:
    """Each position has the same share."""
    sizes = fixed_sizes(step.shape()[2:])
    count = 1
    for size in sizes:
        count *= size
    shape: Shape = (*step.shape()[:2], *[1] * len(sizes))
    return {0: step.spread_over_input(step.emit.add("Mul", step.gradient, 1.0 / count), shape)}
