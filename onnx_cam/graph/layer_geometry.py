"""Where a layer's cells lie in the network's input: the frame that they cover, and how they are turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.frame import WHOLE, Frame
from onnx_cam.graph.image_axes.spans import Span

__all__ = ["AS_IT_IS", "LayerGeometry", "geometry_of_axes"]

_EXACT = 1e-6  # fractions that differ by rounding only


@dataclass(frozen=True)
class LayerGeometry:
    """Where a layer's cells lie in the network's input.

    Attributes
    ----------
    frame : Frame
        The part of the input that the cells cover.
    transposed : bool
        Whether the tensor's rows run along the input's width.
    flipped_rows, flipped_columns : bool
        Whether they run backwards, after the transposition.
    source : {"operators", "run", "unsettled"}
        What this was concluded from.
    reason : str
        For a geometry that is not settled, the operator that cannot be followed.
    a_run_can_tell : bool
        For a geometry that is not settled, whether a run with changed patches can settle it.

    Examples
    --------
    >>> LayerGeometry(transposed=True).oriented(np.array([[[1, 2], [3, 4]]])).tolist()
    [[[1, 3], [2, 4]]]
    """

    frame: Frame = WHOLE
    transposed: bool = False
    flipped_rows: bool = False
    flipped_columns: bool = False
    source: Literal["operators", "run", "unsettled"] = "operators"
    reason: str = ""
    a_run_can_tell: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether the cells cover the whole input, upright."""
        return self.frame.is_whole and not (self.transposed or self.flipped_rows or self.flipped_columns)

    @property
    def is_settled(self) -> bool:
        """Whether the operators or a run say where the cells lie."""
        return self.source != "unsettled"

    def oriented(self, maps: NDArray[Any]) -> NDArray[Any]:
        """Return maps (…, h, w) turned the way the input is."""
        if self.transposed:
            maps = np.swapaxes(maps, -1, -2)
        if self.flipped_rows:
            maps = maps[..., ::-1, :]
        return maps[..., ::-1] if self.flipped_columns else maps

    def __str__(self) -> str:
        if not self.is_settled:
            return f"unknown: {self.reason} cannot be followed"
        parts = [
            "the whole input" if self.frame.is_whole else _describe(self.frame),
            "rows and columns swapped" * self.transposed,
            "upside down" * self.flipped_rows,
            "mirrored" * self.flipped_columns,
        ]
        return ", ".join(filter(None, parts))


AS_IT_IS = LayerGeometry()
"""The geometry of a layer whose cells cover the whole input, upright."""


def geometry_of_axes(rows: Span, columns: Span) -> LayerGeometry | None:
    """Return the geometry of a layer with these two axes; None where both run along the same axis of the input.

    Examples
    --------
    >>> str(geometry_of_axes(Span("height", 0.25, 0.75), Span("width", 1.0, 0.0)))
    'rows 25-75 %, columns 0-100 % of the input, mirrored'
    """
    if rows.axis == columns.axis:
        return None
    transposed = rows.axis == "width"
    if transposed:
        rows, columns = columns, rows
    top, bottom, flipped_rows = _edges(rows)
    left, right, flipped_columns = _edges(columns)
    return LayerGeometry(Frame(top, left, bottom, right), transposed, flipped_rows, flipped_columns)


def _edges(span: Span) -> tuple[float, float, bool]:
    """Return where a span begins and ends, and whether it runs backwards."""
    low, high = min(span.start, span.stop), max(span.start, span.stop)
    low, high = (0.0 if abs(low) < _EXACT else low), (1.0 if abs(high - 1) < _EXACT else high)
    return low, high, span.stop < span.start


def _describe(frame: Frame) -> str:
    top, left, bottom, right = (f"{100 * edge:.3g}" for edge in (frame.top, frame.left, frame.bottom, frame.right))
    return f"rows {top}-{bottom} %, columns {left}-{right} % of the input"
