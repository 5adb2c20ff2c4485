"""One node of the path, as its rule sees it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.facts import Shape, TensorFacts

__all__ = ["Gradients", "NoRule", "Rule", "Step"]

_T = TypeVar("_T")

Gradients = Mapping[int, "str | None"]
"""The gradient at each input, by the input's place; inputs without a gradient are left out, or None."""


class NoRule(Exception):
    """A node's gradient cannot be written as a graph; the message says why."""


class Step:
    """A node that is differentiated: what it reads and makes, and the gradient at its outputs.

    The gradient at a tensor is always float32 and has the tensor's shape, also where the tensor itself is float16 or
    holds quantized integers, which count as the real numbers of the same value.

    Parameters
    ----------
    node : onnx.NodeProto
    version : int
        The version of the node's domain.
    emitter : Emitter
        Takes the nodes that compute the gradient.
    facts : mapping of str to TensorFacts
        Of each tensor that the node reads or makes.
    wanted : collection of str
        The tensors whose gradient is needed.
    gradients : sequence of str or None
        The gradient at each output; None where nothing behind it leads to the logits.
    values : dict of tuple of str to str
        Forward values that were cast to float32 already.

    Attributes
    ----------
    attributes : dict of str to object
        The node's, text being bytes.
    """

    def __init__(
        self,
        node: onnx.NodeProto,
        version: int,
        *,
        emitter: Emitter,
        facts: Mapping[str, TensorFacts],
        wanted: frozenset[str],
        gradients: Sequence[str | None],
        values: dict[str, str],
    ) -> None:
        self.node = node
        self.version = version
        self.emit = emitter
        self.gradients = gradients
        self._facts = facts
        self._wanted = wanted
        self._values = values
        self.attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}

    @property
    def gradient(self) -> str:
        """The gradient at the first output.

        Raises
        ------
        NoRule
            The logits depend on another output only.
        """
        if self.gradients[0] is None:
            raise NoRule("the scores depend on its other outputs")
        return self.gradients[0]

    def with_gradient(self, gradient: str) -> Step:
        """Return the step with another gradient at its first output: that in front of a fused activation."""
        step = copy.copy(self)
        step.gradients = [gradient]
        return step

    def has_input(self, place: int) -> bool:
        """Return whether an optional input is given."""
        return place < len(self.node.input) and bool(self.node.input[place])

    def wants(self, place: int) -> bool:
        """Return whether the gradient at an input is needed."""
        return self.has_input(place) and self.node.input[place] in self._wanted

    def input_facts(self, place: int) -> TensorFacts:
        """Return what is known of an input."""
        return self._facts[self.node.input[place]]

    def output_facts(self, place: int = 0) -> TensorFacts:
        """Return what is known of an output."""
        return self._facts[self.node.output[place]]

    def shape(self, place: int = 0) -> Shape:
        """Return the shape of an input."""
        return self.input_facts(place).shape

    def output_shape(self, place: int = 0) -> Shape:
        """Return the shape of an output."""
        return self.output_facts(place).shape

    def value(self, place: int = 0) -> str:
        """Return an input as float32."""
        return self._as_float(self.node.input[place])

    def output(self, place: int = 0) -> str:
        """Return an output as float32."""
        return self._as_float(self.node.output[place])

    def attribute(self, name: str, default: _T) -> _T:
        """Return an attribute, or its default where the node does not have it; text comes back as str."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value  # type: ignore[return-value]

    def ints(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of integers; None where the node does not have it."""
        value = self.attributes.get(name)
        return None if value is None else [int(number) for number in value]

    def parameter(self, place: int) -> NDArray[Any] | None:
        """Return the value of an input that says what the operator does; None where it is not given.

        Raises
        ------
        NoRule
            It depends on the image or on the batch.
        """
        if not self.has_input(place):
            return None
        value = self.input_facts(place).value
        if value is None:
            raise NoRule(f"its input {self.node.input[place]!r} depends on the image or the batch")
        return value

    def ints_or(self, name: str, place: int) -> list[int] | None:
        """Return integers that newer versions take as an input and older ones as an attribute; None without either."""
        value = self.parameter(place)
        return self.ints(name) if value is None else [int(number) for number in np.ravel(value)]

    def like_input(self, gradient: str, place: int = 0) -> str:
        """Return a gradient reshaped to an input's shape."""
        return self.emit.reshape(gradient, self.shape(place), self.node.input[place])

    def unbroadcast(self, gradient: str, place: int, shape: Shape | None = None) -> str:
        """Return a gradient summed over the axes along which an input was broadcast, by default to the output."""
        wide, narrow = self.output_shape() if shape is None else shape, self.shape(place)
        missing = len(wide) - len(narrow)
        padded = (1,) * missing + tuple(narrow)
        axes = [axis for axis, (n, m) in enumerate(zip(wide, padded, strict=True)) if m == 1 and n != 1]
        summed = self.emit.reduce("ReduceSum", gradient, axes)
        return self.like_input(summed, place) if missing else summed

    def spread_over_input(self, gradient: str, shape: Shape, place: int = 0) -> str:
        """Return a gradient repeated along the axes where its size is 1, to an input's shape."""
        return self.emit.spread(gradient, shape, self.shape(place), self.node.input[place])

    def _as_float(self, tensor: str) -> str:
        if self._facts[tensor].dtype == "float32":
            return tensor
        if tensor not in self._values:
            self._values[tensor] = self.emit.cast(tensor)
        return self._values[tensor]


Rule = Callable[[Step], Gradients]
"""``rule(step)`` emits the gradient at those inputs that the step wants, and returns it by the input's place."""
