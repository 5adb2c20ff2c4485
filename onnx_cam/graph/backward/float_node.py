"""A float operator inside an operator on integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from onnx import helper

from onnx_cam.graph.backward.facts import Shape, TensorFacts
from onnx_cam.graph.backward.step import Gradients, Rule, Step

__all__ = ["FloatNode", "channels_first", "channels_last", "settings_of"]


@dataclass(frozen=True)
class FloatNode:
    """The float operator inside an operator on integers, whose rule gives the gradient.

    Attributes
    ----------
    step : Step
        The operator on integers.
    operator : str
    rule : callable
        The float operator's.
    places : tuple of int
        Of the integers among the inputs.
    operands : tuple of str
        What they stand for, float32.
    shapes : tuple of tuple
        Of the operands.
    shape : tuple of int or None
        Of the result.
    attributes : dict of str to object
    """

    step: Step
    operator: str
    rule: Rule
    places: tuple[int, ...]
    operands: tuple[str, ...]
    shapes: tuple[Shape, ...]
    shape: Shape
    attributes: dict[str, Any] = field(default_factory=dict)

    def forward(self, bias: str | None = None) -> str:
        """Emit the operator."""
        bias_input = [] if bias is None else [bias]
        return self.step.emit.add(self.operator, *self.operands, *bias_input, **self.attributes)

    def backward(self, gradient: str) -> Gradients:
        """Return the gradient at the operands, given that at the result."""
        step, output = self.step, self.step.node.output[0]
        node = helper.make_node(self.operator, self.operands, [output], **self.attributes)
        shapes = {output: self.shape, **dict(zip(self.operands, self.shapes, strict=True))}
        facts = {name: TensorFacts(shape, "float32") for name, shape in shapes.items()}
        wanted = {name for name, place in zip(self.operands, self.places, strict=True) if step.wants(place)}
        inner = Step(
            node,
            step.emit.opset,
            emitter=step.emit,
            facts=facts,
            wanted=frozenset(wanted),
            gradients=[gradient],
            values={},
        )
        return {self.places[i]: found for i, found in self.rule(inner).items() if found is not None}


def settings_of(step: Step) -> dict[str, Any]:
    """Return the attributes of a node that are those of the float operator, too."""
    return {name: value for name, value in step.attributes.items() if name != "channels_last"}


def channels_first(rank: int) -> list[int]:
    """Return the order of axes that brings the last one to the second place."""
    return [0, rank - 1, *range(1, rank - 1)]


def channels_last(rank: int) -> list[int]:
    """Return the order of axes that brings the second one to the last place."""
    return [0, *range(2, rank), 1]
