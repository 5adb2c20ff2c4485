"""The tables of the papers, as the template prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_cam.evaluation.report.ranking import FEW_IMAGES, Ranking, competitors, is_ranked, rank
from onnx_cam.evaluation.report.wording import choices, explained, figure, label, span
from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.results.summary import Summary
from onnx_cam.metrics import Metric, Win

__all__ = [
    "Cell",
    "Column",
    "Finding",
    "MethodsTable",
    "ModelsTable",
    "WinTable",
    "methods_table",
    "models_tables",
    "win_table",
]


@dataclass(frozen=True)
class Cell:
    """A figure; `n` says over how many images, where its column does not."""

    value: str
    interval: str = ""
    n: int | None = None
    is_best: bool = False
    is_level: bool = False


@dataclass(frozen=True)
class Column:
    """A metric: its heading, what it is (pieces of text, and whether each is a formula), its free choices.

    `n` says over how many images its figures are, where that is not over all.
    """

    title: str
    unit: str
    better: str | None
    about: list[tuple[str, bool]]
    choices: str
    n: int | None = None


@dataclass(frozen=True)
class Line:
    """A method: a cell a metric, then what it cost. `is_compared` is false where too many maps are empty."""

    method: str
    cells: list[Cell]
    empty: int
    passes: str
    seconds: str
    is_compared: bool


@dataclass(frozen=True)
class Finding:
    """Which method is best by a metric, in words."""

    column: Column
    best: list[str]
    value: str
    level: list[str]
    are_all_level: bool


@dataclass(frozen=True)
class MethodsTable:
    """Methods × metrics."""

    columns: list[Column]
    lines: list[Line]
    findings: list[Finding]
    images: int
    is_small: bool


@dataclass(frozen=True)
class ModelsTable:
    """Methods × models, by one metric."""

    column: Column
    models: list[str]
    lines: list[tuple[str, list[Cell | None]]]


@dataclass(frozen=True)
class WinCell:
    """On which share of images the row's method beats the column's; `share` is a number for the shading."""

    value: str
    interval: str
    ties: str
    share: float
    is_clear: bool


@dataclass(frozen=True)
class WinTable:
    """How often each method beats each other one; None where it meets itself."""

    column: Column
    methods: list[str]
    lines: list[tuple[str, list[WinCell | None]]]


def methods_table(evaluation: Evaluation, summary: Summary) -> MethodsTable:
    """Return methods × metrics, Win excepted, with what each method cost."""
    metrics = [metric for metric in evaluation.metrics if not isinstance(metric, Win)]
    rankings = {metric.name: rank(evaluation, metric) for metric in metrics}
    compared, images = competitors(evaluation), len(evaluation.images)
    usual = {metric.name: _usual_n(summary, metric, images) for metric in metrics}
    lines = [
        Line(
            label(name),
            [_cell(figures[one.name], one, rankings[one.name], name, usual[one.name]) for one in metrics],
            figures["empty"]["value"],
            f"{_cost(evaluation, name, 'passes'):,.0f}",
            f"{_cost(evaluation, name, 'seconds'):,.2f}",
            name in compared,
        )
        for name, figures in summary.items()
    ]
    found = [_finding(metric, rankings[metric.name], summary, compared) for metric in metrics]
    columns = [_column(metric, usual[metric.name], images) for metric in metrics]
    return MethodsTable(columns, lines, [one for one in found if one], images, images < FEW_IMAGES)


def models_tables(
    evaluations: Sequence[Evaluation], summaries: Sequence[Summary], names: Sequence[str]
) -> list[ModelsTable]:
    """Return methods × models for each metric with a direction that more than one run measured the same way."""
    tables = []
    metrics = {metric.key: metric for one in evaluations for metric in one.metrics if is_ranked(metric)}
    methods = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.methods))
    for metric in metrics.values():
        rankings = [rank(one, metric) if metric in one.metrics else None for one in evaluations]
        if len([ranking for ranking in rankings if ranking is not None]) < 2:
            continue
        lines: list[tuple[str, list[Cell | None]]] = []
        for name in methods:
            cells = [
                _cell(summary[name][metric.name], metric, ranking, name, len(one.images))
                if ranking is not None and name in summary
                else None
                for one, summary, ranking in zip(evaluations, summaries, rankings, strict=True)
            ]
            lines.append((label(name), cells))
        tables.append(ModelsTable(_column(metric), list(names), lines))
    return tables


def win_table(evaluation: Evaluation, summary: Summary) -> WinTable | None:
    """Return how often each method beats each other one; None where that was not measured."""
    metric = next((metric for metric in evaluation.metrics if isinstance(metric, Win)), None)
    if metric is None or len(evaluation.methods) < 2:
        return None
    lines = [
        (label(name), [_win(summary[name][metric.name].get(other), metric) for other in evaluation.methods])
        for name in evaluation.methods
    ]
    return WinTable(_column(metric), [label(name) for name in evaluation.methods], lines)


def _usual_n(summary: Summary, metric: Metric, images: int) -> int:
    """Return over how many images most methods' figures are."""
    numbers = Counter(figures[metric.name]["n"] for figures in summary.values())
    return max(numbers, key=lambda n: (numbers[n], n)) if numbers else images


def _column(metric: Metric, usual: int = 0, images: int = 0) -> Column:
    n = usual if 0 < usual != images else None
    return Column(metric.title, metric.unit, metric.better, explained(metric), choices(metric), n)


def _cell(found: dict[str, Any], metric: Metric, ranking: Ranking, method: str, usual: int) -> Cell:
    return Cell(
        figure(found["value"], metric.unit),
        span(found["low"], found["high"], metric.unit),
        found["n"] if 0 < found["n"] != usual else None,
        method in ranking.best,
        method in ranking.level,
    )


def _cost(evaluation: Evaluation, method: str, name: str) -> float:
    costs = [float(evaluation.maps[image.sha256, method].record[name]) for image in evaluation.images]
    return float(np.mean(costs)) if costs else 0.0


def _finding(metric: Metric, ranking: Ranking, summary: Summary, compared: list[str]) -> Finding | None:
    if not ranking.best:
        return None
    value = figure(summary[ranking.best[0]][metric.name]["value"], metric.unit)
    others = len(compared) - len(ranking.best)
    return Finding(
        _column(metric),
        [label(name) for name in ranking.best],
        f"{value} %" if metric.unit == "%" else value,
        [label(name) for name in ranking.level],
        len(ranking.level) == others > 1,
    )


def _win(found: dict[str, Any] | None, metric: Metric) -> WinCell | None:
    if found is None:
        return None
    value, low = found["value"], found["low"]
    return WinCell(
        figure(value, metric.unit),
        span(low, found["high"], metric.unit),
        figure(found["ties"], metric.unit),
        value or 0.0,
        low is not None and low > 50 and found["n"] >= FEW_IMAGES,
    )
