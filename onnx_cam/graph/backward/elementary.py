"""Functions of each element by itself: f' times the gradient, from the output wherever that gives f'."""

from __future__ import annotations

import math

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = [
    "absolute",
    "cosine",
    "erf",
    "exponential",
    "logarithm",
    "negative",
    "piecewise_constant",
    "reciprocal",
    "sigmoid",
    "sine",
    "square_root",
    "tangent",
    "tanh",
]


def absolute(step: Step) -> Gradients:
    """0 at 0."""
    return _product(step, step.emit.sign(step.value()))


def piecewise_constant(step: Step) -> Gradients:
    """Ceil, Floor, Round and Sign: 0 everywhere."""
    return {0: step.emit.add("Mul", step.gradient, 0.0)}


def cosine(step: Step) -> Gradients:
    return _product(step, step.emit.add("Neg", step.emit.add("Sin", step.value())))


def sine(step: Step) -> Gradients:
    return _product(step, step.emit.add("Cos", step.value()))


def tangent(step: Step) -> Gradients:
    """1 + y²."""
    return _product(step, step.emit.add("Add", step.emit.square(step.output()), 1.0))


def exponential(step: Step) -> Gradients:
    return _product(step, step.output())


def logarithm(step: Step) -> Gradients:
    return {0: step.emit.add("Div", step.gradient, step.value())}


def negative(step: Step) -> Gradients:
    return {0: step.emit.add("Neg", step.gradient)}


def reciprocal(step: Step) -> Gradients:
    """−y²."""
    return _product(step, step.emit.add("Neg", step.emit.square(step.output())))


def square_root(step: Step) -> Gradients:
    """1 / 2y: infinite at 0."""
    return {0: step.emit.add("Div", step.gradient, step.emit.add("Mul", step.output(), 2.0))}


def erf(step: Step) -> Gradients:
    """2 exp(−x²) / √π."""
    bell = step.emit.add("Exp", step.emit.add("Neg", step.emit.square(step.value())))
    return _product(step, step.emit.add("Mul", bell, 2 / math.sqrt(math.pi)))


def tanh(step: Step) -> Gradients:
    """1 − y²."""
    return _product(step, step.emit.add("Sub", 1.0, step.emit.square(step.output())))


def sigmoid(step: Step) -> Gradients:
    """Of the output: y (1 − y)."""
    y = step.output()
    return _product(step, step.emit.add("Mul", y, step.emit.add("Sub", 1.0, y)))


def _product(step: Step, derivative: str) -> Gradients:
    return {0: step.emit.add("Mul", step.gradient, derivative)}
