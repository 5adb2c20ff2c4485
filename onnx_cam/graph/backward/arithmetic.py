"""Elementwise arithmetic of several tensors, and casts."""

from __future__ import annotations

import numpy as np

from onnx_cam.graph.backward.step import Gradients, Step

__all__ = [
    "add",
    "cast",
    "cast_like",
    "divide",
    "maximum",
    "mean",
    "minimum",
    "modulo",
    "multiply",
    "power",
    "subtract",
    "total",
    "where",
]


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


def mean(step: Step) -> Gradients:
    """Mean, of any number of tensors."""
    share = step.emit.add("Mul", step.gradient, 1.0 / len(step.node.input))
    places = range(len(step.node.input))
    return {place: step.unbroadcast(share, place) for place in places if step.wants(place)}


def maximum(step: Step) -> Gradients:
    """Max, of any number of tensors, two by two; of equal ones each has half the gradient, as in torch."""
    return _extremum(step, "Max", "Greater", "Less")


def minimum(step: Step) -> Gradients:
    """Min, of any number of tensors, two by two; of equal ones each has half the gradient, as in torch."""
    return _extremum(step, "Min", "Less", "Greater")


def _extremum(step: Step, operator: str, better: str, worse: str) -> Gradients:
    emit, places = step.emit, range(len(step.node.input))
    best = [step.value(0)]  # of the first input, of the first two …
    for place in places[1:-1]:
        best.append(emit.add(operator, best[-1], step.value(place)))
    gradient, gradients = step.gradient, {}
    for place in reversed(places[1:]):
        former, own = best[place - 1], step.value(place)
        is_own, is_not_former = emit.add(better, own, former), emit.add("Not", emit.add(worse, own, former))
        twice = emit.add("Add", emit.cast(is_own), emit.cast(is_not_former))  # 2, 1 where equal, or 0
        share = emit.add("Mul", emit.add("Mul", gradient, 0.5), twice)
        if step.wants(place):
            gradients[place] = step.unbroadcast(share, place)
        gradient = emit.add("Sub", gradient, share)
    gradients[0] = step.unbroadcast(gradient, 0)
    return gradients


def modulo(step: Step) -> Gradients:
    """Of a − b · q: 1 and −q, with the quotient q rounded towards zero or down."""
    emit = step.emit
    gradients: dict[int, str | None] = {}
    if step.wants(0):
        gradients[0] = step.unbroadcast(step.gradient, 0)
    if step.wants(1):
        quotient = emit.add("Div", step.value(0), step.value(1))
        rounded = emit.add("Floor", emit.add("Abs", quotient) if step.attribute("fmod", 0) else quotient)
        if step.attribute("fmod", 0):
            rounded = emit.add("Mul", emit.sign(quotient), rounded)
        product = emit.add("Mul", emit.add("Neg", step.gradient), rounded)
        gradients[1] = step.unbroadcast(product, 1)
    return gradients


def power(step: Step) -> Gradients:
    """Of a^b: b · a^(b − 1), which is 0 where b is; and a^b · log a, 0 where a is."""
    gradients: dict[int, str | None] = {}
    if step.wants(0):
        gradients[0] = step.unbroadcast(_power_at_base(step), 0)
    if step.wants(1):
        logarithm = step.emit.add("Log", step.emit.divisor(step.value(0)))
        product = step.emit.add("Mul", step.gradient, step.emit.add("Mul", step.output(), logarithm))
        gradients[1] = step.unbroadcast(product, 1)
    return gradients


def _power_at_base(step: Step) -> str:
    emit, g, base = step.emit, step.gradient, step.value(0)
    exponents = step.input_facts(1).value
    if exponents is None or np.unique(exponents).size != 1:
        exponent = step.value(1)
        # Where the exponent is 0 the power is of 1: 0 · a⁻¹ would be no number at a = 0.
        is_zero = emit.equal(exponent, 0.0)
        lower = emit.add("Add", emit.add("Sub", exponent, 1.0), emit.cast(is_zero))
        return emit.add("Mul", g, emit.add("Mul", exponent, emit.add("Pow", base, lower)))
    number = float(np.ravel(exponents)[0])
    if number == 0:
        return emit.add("Mul", g, 0.0)
    if number == 0.5:
        return emit.add("Div", emit.add("Mul", g, 0.5), step.output())
    if number != 1:
        lower = base if number == 2 else emit.add("Pow", base, number - 1)
        g = emit.add("Mul", g, emit.add("Mul", lower, number))
    return g


def where(step: Step) -> Gradients:
    emit = step.emit
    condition = step.node.input[0]
    gradients: dict[int, str | None] = {}
    if step.wants(1):
        gradients[1] = step.unbroadcast(emit.masked(step.gradient, condition), 1)
    if step.wants(2):
        gradients[2] = step.unbroadcast(emit.masked(step.gradient, emit.add("Not", condition)), 2)
    return gradients


def cast(step: Step) -> Gradients:
    """Between floating types, and of quantized integers to floats; a cast to integers is not on the path."""
    return {0: step.gradient}


def cast_like(step: Step) -> Gradients:
    """As `cast`; to integers it ends the gradient."""
    return {0: step.gradient if step.input_facts(1).is_float else None}
