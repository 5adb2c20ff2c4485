"""Cumulative sums."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["cumsum"]


def cumsum(step: Step) -> Gradients:
    """The cumulative sum from the other end."""
    settings = {"exclusive": step.attribute("exclusive", 0), "reverse": 1 - step.attribute("reverse", 0)}
    return {0: step.emit.add("CumSum", step.gradient, step.node.input[1], **settings)}
