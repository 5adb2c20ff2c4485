"""Operators that rearrange, repeat, join or split tensors without changing their numbers."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["reshaped"]


def reshaped(step: Step) -> Gradients:
    """Reshape, Flatten, Squeeze and Unsqueeze: the same numbers in another shape."""
    return {0: step.like_input(step.gradient)}
