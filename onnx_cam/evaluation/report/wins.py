"""How often each method beats each other one, as the template prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnx_cam.evaluation.report.tables import Column, column
from onnx_cam.evaluation.report.wording import figure, named, span
from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.results.summary import Summary
from onnx_cam.evaluation.verdict.ranking import FEW_IMAGES
from onnx_cam.metrics import Metric, Win

__all__ = ["WinCell", "WinTable", "win_table"]


@dataclass(frozen=True)
class WinCell:
    """The share of images on which the row's method beats the column's.

    Attributes
    ----------
    value, interval, ties : str
    share : float
        The value in %, for the shading.
    is_clear : bool
        Whether the whole interval lies above 50 %.
    """

    value: str
    interval: str
    ties: str
    share: float
    is_clear: bool


@dataclass(frozen=True)
class WinTable:
    """How often each method beats each other one.

    Attributes
    ----------
    column : Column
    methods : list of str
    lines : list of (str, list of WinCell or None)
        A method's name and its cells; None where it would meet itself.

    Examples
    --------
    >>> column = Column("Win", "%", "higher", about=[], settings="")
    >>> cell = WinCell("60.0", "[30.0, 90.0]", ties="10.0", share=60.0, is_clear=False)
    >>> WinTable(column, ["cam", "equal"], [("cam", [None, cell])]).lines[0][1][1].value
    '60.0'
    """

    column: Column
    methods: list[str]
    lines: list[tuple[str, list[WinCell | None]]]


def win_table(evaluation: Evaluation, summary: Summary) -> WinTable | None:
    """Return how often each method beats each other one; None where the run did not measure that.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate, summarise
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="scorecam", metrics="win", out="run")
    >>> win_table(evaluation, summarise(evaluation)).methods
    ['scorecam', 'equal (control)', 'centre (control)', 'random (control)']
    """
    metric = next((metric for metric in evaluation.metrics if isinstance(metric, Win)), None)
    if metric is None or len(evaluation.methods) < 2:
        return None
    lines = [
        (named(name), [_win(summary[name][metric.name].get(other), metric) for other in evaluation.methods])
        for name in evaluation.methods
    ]
    return WinTable(column(metric), [named(name) for name in evaluation.methods], lines)


def _win(wins: Mapping[str, Any] | None, metric: Metric) -> WinCell | None:
    if wins is None:
        return None
    value, low = wins["value"], wins["low"]
    return WinCell(
        value=figure(value, metric.unit),
        interval=span(low, wins["high"], metric.unit),
        ties=figure(wins["ties"], metric.unit),
        share=value or 0.0,
        is_clear=low is not None and low > 50 and wins["n"] >= FEW_IMAGES,
    )
