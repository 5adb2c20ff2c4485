"""What the rules of operators share: the facts that they need, and how views of several inputs are joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.image_axes.spans import Span, TokenSpan, View, agree
from onnx_cam.graph.walk import input_names, output_names

__all__ = ["Facts", "MissingFact", "Rule", "Views", "image_view", "integers", "merged", "moved"]

Views: TypeAlias = Mapping[str, View]
"""Input of a node to what it covers, for those inputs that are computed from the image."""


class MissingFact(Exception):
    """A shape or a value that a rule needs is not known."""


@dataclass
class Facts:
    """Shapes and values of tensors, and which of them were needed and not known.

    Attributes
    ----------
    constants : Constants
        The model's constants.
    shapes : dict of str to tuple of int
        Shapes of tensors for a batch of 1, as far as the file or a run tells.
    values : dict of str to ndarray
        Values of tensors, as a run tells them.
    missing : set of str
        The tensors whose shape or value was needed and not known: a run can tell.

    Examples
    --------
    >>> import onnx
    >>> facts = Facts(Constants(onnx.ModelProto()), shapes={"image": (1, 3, 8, 8)})
    >>> facts.shape("image"), facts.find_shape("other")
    ((1, 3, 8, 8), None)
    """

    constants: Constants
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    values: dict[str, NDArray[Any]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def find_shape(self, name: str) -> tuple[int, ...] | None:
        """Return a tensor's shape, or None where it is not known."""
        return self.shapes.get(name) or self.constants.shape(name)

    def find_value(self, name: str) -> NDArray[Any] | None:
        """Return a tensor's value, or None where it is not known."""
        value = self.values.get(name)
        return self.constants.evaluated(name) if value is None else value

    def note_missing(self, node: gs.Node) -> None:
        """Note every tensor of a node whose shape is not known."""
        names = [*input_names(node), *output_names(node)]
        self.missing.update(name for name in names if name and self.find_shape(name) is None)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape, or raise MissingFact."""
        shape = self.find_shape(name)
        if shape is None:
            self.missing.add(name)
            raise MissingFact(name)
        return shape

    def value(self, name: str) -> NDArray[Any]:
        """Return a tensor's value, or raise MissingFact."""
        value = self.find_value(name)
        if value is None:
            self.missing.add(name)
            raise MissingFact(name)
        return value


Rule: TypeAlias = Callable[[gs.Node, Views, Facts], "list[View] | None"]
"""Returns what each output of a node covers; None where that cannot be said."""


def image_view(node: gs.Node, views: Views) -> View | None:
    """Return what a node's first input covers; None where that is not computed from the image."""
    return views.get(node.inputs[0].name) if node.inputs else None


def moved(view: View, axes: Mapping[int, int]) -> View:
    """Return a view whose axes have other numbers; those that are not in the mapping are gone."""
    return {axes[axis]: span for axis, span in view.items() if axis in axes}


def integers(node: gs.Node, facts: Facts, attribute: str, position: int) -> list[int] | None:
    """Return the whole numbers of an attribute, or of the input that took its place; None where there is neither."""
    if attribute in node.attrs:
        return [int(number) for number in node.attrs[attribute]]
    names = input_names(node)
    if position >= len(names) or not names[position]:
        return None
    return [int(number) for number in np.ravel(facts.value(names[position]))]


def merged(views: Views, facts: Facts) -> View | None:
    """Return what the output of a broadcasting operator covers; None where its inputs disagree.

    Inputs without an axis of the image, such as the gate of a squeeze-and-excite block, do not count.
    """
    covering = {name: view for name, view in views.items() if view}
    ranks = {name: len(facts.find_shape(name) or ()) for name in covering}
    most = max(ranks.values())
    aligned = [_aligned(view, most - ranks[name] if ranks[name] else 0) for name, view in covering.items()]
    return aligned[0] if all(agree(aligned[0], other) for other in aligned[1:]) else None


def _aligned(view: View, missing_axes: int) -> dict[int, Span | TokenSpan]:
    """Return a view whose tensor is broadcast to more axes."""
    return {axis + missing_axes: span for axis, span in view.items()}
