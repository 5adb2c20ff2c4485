"""The tables of the papers, as the template prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx_cam.evaluation.report.ranking import FEW_IMAGES, Ranking, competitors, is_ranked, rank
from onnx_cam.evaluation.report.wording import explained, figure, label, settings, span
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
    """A figure in a table.

    Attributes
    ----------
    value, interval : str
    n : int or None
        The number of images, where it is not that of the column.
    is_best, is_level : bool
        Whether the method is the best by this metric, or cannot be told apart from the best.
    parts : list of (str, str)
        The terms that the figure is made of, and their means.

    Examples
    --------
    >>> Cell("8.4", "[4.3, 13.2]", is_best=True).value
    '8.4'
    """

    value: str
    interval: str = ""
    n: int | None = None
    is_best: bool = False
    is_level: bool = False
    parts: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """A metric.

    Attributes
    ----------
    title, unit : str
    better : {"lower", "higher", None}
    about : list of (str, bool)
        What it measures: pieces of text, and whether each is a formula.
    settings : str
    n : int or None
        The number of images of most of its figures, where that is not all images.

    Examples
    --------
    >>> Column("Average Drop", "%", "lower", about=[], settings="share of pixels kept 1").better
    'lower'
    """

    title: str
    unit: str
    better: str | None
    about: list[tuple[str, bool]]
    settings: str
    n: int | None = None


@dataclass(frozen=True)
class Line:
    """A method: a cell for each metric, then what its maps cost.

    Attributes
    ----------
    method : str
    cells : list of Cell
    empty : int
        Its empty maps.
    passes, seconds : str
        What one map costs: means over the images.
    is_compared : bool
        Whether few enough maps are empty for a comparison.
    """

    method: str
    cells: list[Cell]
    empty: int
    passes: str
    seconds: str
    is_compared: bool


@dataclass(frozen=True)
class Finding:
    """The best methods by a metric, in words.

    Attributes
    ----------
    column : Column
    best : list of str
    value : str
        Their mean, with its unit.
    level : list of str
        The methods that cannot be told apart from the best.
    are_all_level : bool
        Whether that is true of all other methods, and there are several.

    Examples
    --------
    >>> column = Column("Average Drop", "%", "lower", about=[], settings="")
    >>> Finding(column, best=["cam"], value="8.4 %", level=["equal"], are_all_level=False).best
    ['cam']
    """

    column: Column
    best: list[str]
    value: str
    level: list[str]
    are_all_level: bool


@dataclass(frozen=True)
class MethodsTable:
    """Methods × metrics.

    Attributes
    ----------
    columns : list of Column
    lines : list of Line
    findings : list of Finding
    images : int
    is_small : bool
        Whether there are too few images to tell methods apart.

    Examples
    --------
    >>> MethodsTable(columns=[], lines=[], findings=[], images=3, is_small=True).images
    3
    """

    columns: list[Column]
    lines: list[Line]
    findings: list[Finding]
    images: int
    is_small: bool


@dataclass(frozen=True)
class ModelsTable:
    """Methods × runs, by one metric.

    Attributes
    ----------
    column : Column
    models : list of str
        The runs' names.
    lines : list of (str, list of Cell or None)
        A method's name and its cells; None where a run did not measure it.

    Examples
    --------
    >>> column = Column("Average Drop", "%", "lower", about=[], settings="")
    >>> ModelsTable(column, ["vgg.onnx", "resnet.onnx"], [("cam", [Cell("8.4"), None])]).models
    ['vgg.onnx', 'resnet.onnx']
    """

    column: Column
    models: list[str]
    lines: list[tuple[str, list[Cell | None]]]


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


def methods_table(evaluation: Evaluation, summary: Summary) -> MethodsTable:
    """Return methods × metrics without Win, and what each method's maps cost.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate, summarise
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="equal", metrics="class-change", out="run")
    >>> table = methods_table(evaluation, summarise(evaluation))
    >>> table.lines[0].method, table.lines[0].cells[0].value
    ('equal', '0.000')
    """
    metrics = [metric for metric in evaluation.metrics if not isinstance(metric, Win)]
    # For each metric, which methods are best and how many images most figures are about; then a line for each method.
    rankings = {metric.name: rank(evaluation, metric) for metric in metrics}
    compared, images = competitors(evaluation), len(evaluation.images)
    usual = {metric.name: _usual_n(summary, metric, images) for metric in metrics}
    lines = [
        Line(
            method=label(name),
            cells=[_cell(figures[one.name], one, rankings[one.name], name, usual[one.name]) for one in metrics],
            empty=figures["empty"]["value"],
            passes=f"{_cost(evaluation, name, 'passes'):,.0f}",
            seconds=f"{_cost(evaluation, name, 'seconds'):,.2f}",
            is_compared=name in compared,
        )
        for name, figures in summary.items()
    ]
    findings = [_finding(metric, rankings[metric.name], summary, compared) for metric in metrics]
    columns = [_column(metric, usual[metric.name], images) for metric in metrics]
    return MethodsTable(columns, lines, list(filter(None, findings)), images, images < FEW_IMAGES)


def models_tables(
    evaluations: Sequence[Evaluation], summaries: Sequence[Summary], names: Sequence[str]
) -> list[ModelsTable]:
    """Return methods × runs for each metric that has a better direction and that several runs measured the same way.

    Parameters
    ----------
    evaluations : sequence of Evaluation
    summaries : sequence of dict
        Of each run, as :func:`onnx_cam.evaluation.summarise` returns it.
    names : sequence of str
        The runs' names.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate, summarise
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> runs = [evaluate(model, "photos.csv", methods="scorecam", metrics="win,deletion", out=out) for out in "ab"]
    >>> [table.column.title for table in models_tables(runs, [summarise(run) for run in runs], ["a", "b"])]
    ['Deletion']
    """
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
    """Return how often each method beats each other one; None where the run did not measure that.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate, summarise
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="scorecam,equal", metrics="win", out="run")
    >>> win_table(evaluation, summarise(evaluation)).methods
    ['scorecam', 'equal']
    """
    metric = next((metric for metric in evaluation.metrics if isinstance(metric, Win)), None)
    if metric is None or len(evaluation.methods) < 2:
        return None
    lines = [
        (label(name), [_win(summary[name][metric.name].get(other), metric) for other in evaluation.methods])
        for name in evaluation.methods
    ]
    return WinTable(_column(metric), [label(name) for name in evaluation.methods], lines)


def _usual_n(summary: Summary, metric: Metric, images: int) -> int:
    """Return the number of images that most methods' figures are means over."""
    numbers = Counter(figures[metric.name]["n"] for figures in summary.values())
    return max(numbers, key=lambda n: (numbers[n], n)) if numbers else images


def _column(metric: Metric, usual: int = 0, images: int = 0) -> Column:
    n = usual if 0 < usual != images else None
    return Column(metric.title, metric.unit, metric.better, explained(metric), settings(metric), n)


def _cell(mean: Mapping[str, Any], metric: Metric, ranking: Ranking, method: str, usual: int) -> Cell:
    return Cell(
        value=figure(mean["value"], metric.unit),
        interval=span(mean["low"], mean["high"], metric.unit),
        n=mean["n"] if 0 < mean["n"] != usual else None,
        is_best=method in ranking.best,
        is_level=method in ranking.level,
        parts=[(name, figure(part["value"])) for name, part in mean.get("parts", {}).items()],
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
        column=_column(metric),
        best=[label(name) for name in ranking.best],
        value=f"{value} %" if metric.unit == "%" else value,
        level=[label(name) for name in ranking.level],
        are_all_level=len(ranking.level) == others > 1,
    )


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
