"""Normalisations."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["batch_normalization"]


def batch_normalization(step: Step) -> Gradients:
    """A product with ``scale / √(variance + ε)`` for each channel, all constants."""
    emit = step.emit
    deviation = emit.add("Sqrt", emit.add("Add", step.value(4), float(step.attribute("epsilon", 1e-5))))
    factor = emit.add("Div", step.value(1), deviation)
    channels = emit.reshape(factor, (step.shape(1)[0], *[1] * (len(step.shape()) - 2)))
    return {0: emit.add("Mul", step.gradient, channels)}
