"""An axis of a tensor, or a row of tokens, and the part of the network's input that it covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

__all__ = ["NOWHERE", "InputAxis", "Span", "TokenSpan", "Unsettled", "View", "agree"]

InputAxis = Literal["height", "width"]

_TOLERANCE = 0.02  # of the input: branches whose strides round differently still cover the same


@dataclass(frozen=True)
class Span:
    """One axis of a tensor: along which axis of the input it runs, and from where to where.

    Attributes
    ----------
    axis : {"height", "width"}
        The axis of the input.
    start, stop : float
        Where its first entry begins and its last one ends, in fractions of the input; ``stop < start`` for a flip.

    Examples
    --------
    >>> Span("height").cut(8, 2, 6)  # the middle half of 8 entries
    Span(axis='height', start=0.25, stop=0.75)
    """

    axis: InputAxis
    start: float = 0.0
    stop: float = 1.0

    def cut(self, size: int, first: float, end: float) -> Span:
        """Return the span of the entries from `first` up to `end`, of `size`; numbers outside extend it."""
        step = (self.stop - self.start) / size
        return replace(self, start=self.start + first * step, stop=self.start + end * step)


@dataclass(frozen=True)
class TokenSpan:
    """One axis of a tensor that holds a grid of tokens, one row after the other.

    Attributes
    ----------
    rows, columns : Span
        The axes of the grid.
    height, width : int
        Its size in tokens.
    before, after : int
        Tokens around the grid's that lie nowhere in the image: class token, registers.

    Examples
    --------
    >>> TokenSpan(Span("height"), Span("width"), 14, 14, before=1).after
    0
    """

    rows: Span
    columns: Span
    height: int
    width: int
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Unsettled:
    """A tensor whose axes cannot be followed any further.

    Attributes
    ----------
    reason : str
        The operator that ended it, and its node.
    reorders_tokens : bool
        Whether the operator took a grid of tokens apart: which token is which patch is open from there on, and a run
        that changes patches shows too little of it.

    Examples
    --------
    >>> Unsettled("GridSample 'warp'").reason
    "GridSample 'warp'"
    """

    reason: str
    reorders_tokens: bool = False


View: TypeAlias = Mapping[int, Span | TokenSpan]
"""Axis of a tensor to what it covers; axes that are not in it lie nowhere in the image."""

NOWHERE: View = {}
"""The view of a tensor that depends on the image but has no axis of it any more, as after global pooling."""


def agree(first: View, second: View) -> bool:
    """Tell whether two tensors cover the same part of the input with the same axes.

    Examples
    --------
    >>> agree({2: Span("height")}, {2: Span("height", 0.0, 0.99)}), agree({2: Span("height")}, {2: Span("width")})
    (True, False)
    """
    return first.keys() == second.keys() and all(_agree(first[axis], second[axis]) for axis in first)


def _agree(first: Span | TokenSpan, second: Span | TokenSpan) -> bool:
    if isinstance(first, Span) and isinstance(second, Span):
        near = abs(first.start - second.start) < _TOLERANCE and abs(first.stop - second.stop) < _TOLERANCE
        return first.axis == second.axis and near
    if isinstance(first, TokenSpan) and isinstance(second, TokenSpan):
        sizes = (first.height, first.width, first.before, first.after)
        same_grid = sizes == (second.height, second.width, second.before, second.after)
        return same_grid and _agree(first.rows, second.rows) and _agree(first.columns, second.columns)
    return False
