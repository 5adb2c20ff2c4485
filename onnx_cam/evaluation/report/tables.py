"""The tables of the papers, as the template prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from onnx_cam.evaluation.report.wording import explained, figure, label, named, settings, span
from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.results.summary import Summary, mean_error
from onnx_cam.evaluation.verdict.controls import ControlResult, compare_controls
from onnx_cam.evaluation.verdict.ranking import FEW_IMAGES, Ranking, comparable, competitors, is_ranked, rank
from onnx_cam.methods.controls import is_control
from onnx_cam.metrics import Metric, Win

__all__ = [
    "Cell",
    "Column",
    "Finding",
    "MethodsTable",
    "ModelsTable",
    "column",
    "methods_table",
    "models_tables",
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
    is_won : bool
        Whether it is the figure of a control that is better than the best method.

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
    is_won: bool = False


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
    """A method or a control: a cell for each metric, then what its maps cost.

    Attributes
    ----------
    method : str
    cells : list of Cell
    empty : int
        Its empty maps.
    passes, seconds : str
        What one map costs: means over the images.
    error : Cell or None
        The mean estimated relative error, in %; None where its maps have no such estimate.
    is_compared : bool
        Whether few enough maps are empty for a comparison.
    is_control : bool
    """

    method: str
    cells: list[Cell]
    empty: int
    passes: str
    seconds: str
    error: Cell | None
    is_compared: bool
    is_control: bool


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
    won_by : list of str
        The controls that are better than the best method.

    Examples
    --------
    >>> column = Column("Average Drop", "%", "lower", about=[], settings="")
    >>> Finding(column, best=["cam"], value="8.4 %", level=["gradcam"], are_all_level=False, won_by=["centre"]).best
    ['cam']
    """

    column: Column
    best: list[str]
    value: str
    level: list[str]
    are_all_level: bool
    won_by: list[str]


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
    has_errors : bool
        Whether the maps of a method have an estimated error.

    Examples
    --------
    >>> MethodsTable(columns=[], lines=[], findings=[], images=3, is_small=True, has_errors=False).images
    3
    """

    columns: list[Column]
    lines: list[Line]
    findings: list[Finding]
    images: int
    is_small: bool
    has_errors: bool


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


def methods_table(evaluation: Evaluation, summary: Summary) -> MethodsTable:
    """Return methods × metrics without Win, and what each method's maps cost.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate, summarise
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="equal", metrics="class-change", out="run")
    >>> table = methods_table(evaluation, summarise(evaluation))
    >>> table.lines[0].method, table.lines[0].cells[0].value, table.lines[0].is_control
    ('equal', '0.000', True)
    """
    metrics = [metric for metric in evaluation.metrics if not isinstance(metric, Win)]
    # For each metric, which methods are best, what the controls win, and how many images most figures are about; then a
    # line for each method.
    rankings = {metric.name: rank(evaluation, metric) for metric in metrics}
    controls = {metric.name: compare_controls(evaluation, metric) for metric in metrics if is_ranked(metric)}
    compared, images = comparable(evaluation), len(evaluation.images)
    usual = {metric.name: _usual_n(summary, metric, images) for metric in metrics}
    lines = [
        Line(
            method=label(name),
            cells=[
                _marked(
                    _cell(figures[one.name], one, rankings[one.name], name, usual[one.name]),
                    [result for result in controls.get(one.name, []) if result.control == name],
                )
                for one in metrics
            ],
            empty=figures["empty"]["value"],
            passes=f"{_cost(evaluation, name, 'passes'):,.0f}",
            seconds=f"{_cost(evaluation, name, 'seconds'):,.2f}",
            error=_error(evaluation, name),
            is_compared=name in compared,
            is_control=is_control(name),
        )
        for name, figures in summary.items()
    ]
    findings = [
        _finding(metric, rankings[metric.name], summary, competitors(evaluation), controls.get(metric.name, []))
        for metric in metrics
    ]
    columns = [column(metric, usual[metric.name], images) for metric in metrics]
    has_errors = any(line.error for line in lines)
    return MethodsTable(columns, lines, list(filter(None, findings)), images, images < FEW_IMAGES, has_errors)


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
            lines.append((named(name), cells))
        tables.append(ModelsTable(column(metric), list(names), lines))
    return tables


def _usual_n(summary: Summary, metric: Metric, images: int) -> int:
    """Return the number of images that most methods' figures are means over."""
    numbers = Counter(figures[metric.name]["n"] for figures in summary.values())
    return max(numbers, key=lambda n: (numbers[n], n)) if numbers else images


def column(metric: Metric, usual: int = 0, images: int = 0) -> Column:
    """Return the column of a metric, of whose figures most are means over `usual` of the images.

    Examples
    --------
    >>> from onnx_cam.metrics import Deletion
    >>> column(Deletion(), 11, 12).n
    11
    """
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


def _marked(cell: Cell, results: Sequence[ControlResult]) -> Cell:
    """Return a control's cell with how it does against the best method; other cells have no result."""
    outcomes = {result.outcome for result in results}
    return replace(cell, is_level=cell.is_level or "level" in outcomes, is_won="better" in outcomes)


def _cost(evaluation: Evaluation, method: str, name: str) -> float:
    costs = evaluation.costs(method, name)
    return float(costs.mean()) if len(costs) else 0.0


def _error(evaluation: Evaluation, method: str) -> Cell | None:
    error = mean_error(evaluation, method)
    if error.value is None or error.low is None or error.high is None:
        return None
    n = error.n if error.n != len(evaluation.images) else None
    return Cell(figure(100 * error.value, "%"), span(100 * error.low, 100 * error.high, "%"), n)


def _finding(
    metric: Metric, ranking: Ranking, summary: Summary, compared: list[str], controls: Sequence[ControlResult]
) -> Finding | None:
    if not ranking.best:
        return None
    value = figure(summary[ranking.best[0]][metric.name]["value"], metric.unit)
    others = len(compared) - len(ranking.best)
    return Finding(
        column=column(metric),
        best=[label(name) for name in ranking.best],
        value=f"{value} %" if metric.unit == "%" else value,
        level=[label(name) for name in ranking.level],
        are_all_level=len(ranking.level) == others > 1,
        won_by=[label(result.control) for result in controls if result.outcome == "better"],
    )
