"""Cumulative sums."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["cumsum"]


def cumsum(step: Step) -> Gradients:
    """The cumulative sum from the other end."""
    exclusive, reverse = step.attribute("exclusive", 0), 1 - step.attribute("reverse", 0)
    sums = step.emit.add("CumSum", step.gradient, step.node.input[1], exclusive=exclusive, reverse=reverse)
    return {0: sums}
