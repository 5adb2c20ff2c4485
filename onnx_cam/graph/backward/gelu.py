"""Gelu, exactly or by tanh, alone or behind the addition of a bias."""

from __future__ import annotations

import math

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["bias_gelu", "fast_gelu", "gelu"]

_CUBIC = 0.044715


def gelu(step: Step) -> Gradients:
    derivative = _by_tanh if step.attribute("approximate", "none") == "tanh" else _exact
    return {0: step.emit.add("Mul", step.gradient, derivative(step.emit, step.value()))}


def bias_gelu(step: Step) -> Gradients:
    """com.microsoft's BiasGelu: of the sum of both inputs."""
    return _of_sum(step, _exact(step.emit, step.emit.add("Add", step.value(), step.value(1))))


def fast_gelu(step: Step) -> Gradients:
    """com.microsoft's FastGelu: by tanh, of the sum of both inputs where a bias is given."""
    x = step.emit.add("Add", step.value(), step.value(1)) if step.has_input(1) else step.value()
    return _of_sum(step, _by_tanh(step.emit, x))


def _of_sum(step: Step, derivative: str) -> Gradients:
    gradient = step.emit.add("Mul", step.gradient, derivative)
    return {place: step.unbroadcast(gradient, place) for place in (0, 1) if step.wants(place)}


def _exact(emit: Emitter, x: str) -> str:
    """Return Φ(x) + x φ(x), with the normal distribution and its density."""
    below = emit.add("Add", emit.erf(emit.add("Mul", x, math.sqrt(0.5))), 1.0)
    bell = emit.add("Exp", emit.add("Mul", emit.square(x), -0.5))
    slope = emit.add("Mul", emit.add("Mul", x, bell), 1 / math.sqrt(2 * math.pi))
    return emit.add("Add", emit.add("Mul", below, 0.5), slope)


def _by_tanh(emit: Emitter, x: str) -> str:
    """Return (1 + t) / 2 + x (1 − t²) u' / 2, t the tanh of u = √(2/π) (x + 0.044715 x³)."""
    factor, square = math.sqrt(2 / math.pi), emit.square(x)
    inner = emit.add("Add", emit.add("Mul", square, factor * _CUBIC), factor)
    t = emit.add("Tanh", emit.add("Mul", x, inner))
    slope = emit.add("Add", emit.add("Mul", square, 1.5 * factor * _CUBIC), 0.5 * factor)  # u' / 2
    bend = emit.add("Mul", emit.add("Mul", x, slope), emit.add("Sub", 1.0, emit.square(t)))
    return emit.add("Add", emit.add("Add", emit.add("Mul", t, 0.5), 0.5), bend)
