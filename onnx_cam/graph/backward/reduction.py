"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.step import Gradients, NoRule, Rule, Step

__all__ = [
    "l1",
    "l2",
    "log_sum",
    "log_sum_exp",
    "maximum",
    "mean",
    "minimum",
    "product",
    "reduction",
    "sum_square",
    "total",
]


@dataclass(frozen=True, eq=False)
class Reduction:
    """A reduction that is differentiated.

    Attributes
    ----------
    step : Step
    axes : list of int
        The axes that are reduced, in ascending order.
    gradient : str
        The gradient at the output, with a size of 1 along the reduced axes.
    """

    step: Step
    axes: list[int]
    gradient: str

    def output(self) -> str:
        """Return the output, with a size of 1 along the reduced axes."""
        return _kept(self.step, self.step.output(), self.axes)

    def spread(self, gradient: str) -> str:
        """Return a gradient repeated over the reduced axes."""
        shape: Shape = tuple(1 if axis in self.axes else size for axis, size in enumerate(self.step.shape()))
        return self.step.spread_over_input(gradient, shape)


def reduction(derivative: Callable[[Reduction], str]) -> Rule:
    """Return the rule of a reduction; its axes are an attribute in older versions and an input in newer ones."""

    def rule(step: Step) -> Gradients:
        rank, given = len(step.shape()), step.ints_or("axes", 1)
        if not given and step.attribute("noop_with_empty_axes", 0):
            return {0: step.gradient}
        axes = sorted({axis % rank for axis in given}) if given else list(range(rank))
        return {0: derivative(Reduction(step, axes, _kept(step, step.gradient, axes)))}

    return rule


def _kept(step: Step, tensor: str, axes: list[int]) -> str:
    return tensor if step.attribute("keepdims", 1) else step.emit.unsqueeze(tensor, axes)


def total(reduced: Reduction) -> str:
    return reduced.spread(reduced.gradient)


def mean(reduced: Reduction) -> str:
    count = 1
    for axis in reduced.axes:
        size = reduced.step.shape()[axis]
        if size is None:
            raise NoRule("it is a mean over the batch")
        count *= size
    return reduced.spread(reduced.step.emit.add("Mul", reduced.gradient, 1.0 / count))


def l1(reduced: Reduction) -> str:
    step = reduced.step
    return step.emit.add("Mul", reduced.gradient, step.emit.sign(step.value()))


def l2(reduced: Reduction) -> str:
    """Of the output: x / y, and 0 where y is 0."""
    step = reduced.step
    share = step.emit.add("Div", reduced.gradient, step.emit.divisor(reduced.output()))
    return step.emit.add("Mul", step.value(), share)


def log_sum(reduced: Reduction) -> str:
    emit, x = reduced.step.emit, reduced.step.value()
    return reduced.spread(emit.add("Div", reduced.gradient, emit.reduce("ReduceSum", x, reduced.axes)))


def log_sum_exp(reduced: Reduction) -> str:
    """The softmax, exp(x − y)."""
    emit = reduced.step.emit
    softmax = emit.add("Exp", emit.add("Sub", reduced.step.value(), reduced.output()))
    return emit.add("Mul", softmax, reduced.gradient)


def sum_square(reduced: Reduction) -> str:
    emit = reduced.step.emit
    return emit.add("Mul", reduced.step.value(), emit.add("Mul", reduced.gradient, 2.0))


def maximum(reduced: Reduction) -> str:
    return _extremum(reduced, "ReduceMax")


def minimum(reduced: Reduction) -> str:
    return _extremum(reduced, "ReduceMin")


def _extremum(reduced: Reduction, operator: str) -> str:
    """Return the gradient at the extremum, in equal parts where there are several, as in torch."""
    step, emit, x = reduced.step, reduced.step.emit, reduced.step.value()
    # A float16 output can differ from each float32 number that it may have been rounded from.
    exact = step.input_facts(0).dtype == "float32"
    extremum = reduced.output() if exact else emit.reduce(operator, x, reduced.axes)
    is_extremum = emit.cast(emit.equal(x, extremum))
    count = emit.reduce("ReduceSum", is_extremum, reduced.axes)
    return emit.add("Mul", is_extremum, emit.add("Div", reduced.gradient, count))


def product(reduced: Reduction) -> str:
    """The product of the other numbers, also where one of them is 0."""
    emit, x = reduced.step.emit, reduced.step.value()
    is_zero = emit.cast(emit.equal(x, 0.0))
    nonzero = emit.add("Add", x, is_zero)
    others = emit.add("Div", emit.reduce("ReduceProd", nonzero, reduced.axes), nonzero)
    other_zeros = emit.add("Sub", emit.reduce("ReduceSum", is_zero, reduced.axes), is_zero)
    derivative = emit.masked(others, emit.add("Less", other_zeros, 0.5))
    return emit.add("Mul", derivative, reduced.gradient)
