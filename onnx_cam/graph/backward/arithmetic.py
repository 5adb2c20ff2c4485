"""Elementwise arithmetic of several tensors."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = ["add", "divide", "multiply", "subtract", "total"]


def add(step: Step) -> Gradients:
    return {place: step.unbroadcast(step.gradient, place) for place in (0, 1) if step.wants(place)}


def total(step: Step) -> Gradients:
    """Sum, of any number of tensors."""
    places = range(len(step.node.input))
    return {place: step.unbroadcast(step.gradient, place) for place in places if step.wants(place)}


def subtract(step: Step) -> Gradients:
    gradients: dict[int, str | None] = {}
    if step.wants(0):
        gradients[0] = step.unbroadcast(step.gradient, 0)
    if step.wants(1):
        gradients[1] = step.unbroadcast(step.emit.add("Neg", step.gradient), 1)
    return gradients


def multiply(step: Step) -> Gradients:
    return {
        place: step.unbroadcast(step.emit.add("Mul", step.gradient, step.value(1 - place)), place)
        for place in (0, 1)
        if step.wants(place)
    }


def divide(step: Step) -> Gradients:
    gradients: dict[int, str | None] = {}
    quotient = step.emit.add("Div", step.gradient, step.value(1))  # g / b
    if step.wants(0):
        gradients[0] = step.unbroadcast(quotient, 0)
    if step.wants(1):  # −(a / b) · g / b
        product = step.emit.add("Mul", step.emit.add("Neg", step.output()), quotient)
        gradients[1] = step.unbroadcast(product, 1)
    return gradients
