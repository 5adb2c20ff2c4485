"""The figures of a run: methods × metrics, each a mean over images with its interval."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.metrics import Metric, Win
from onnx_cam.metrics.interval import Interval, mean_interval

__all__ = ["Summary", "as_csv", "as_json", "flat_table", "mean_error", "summarise"]

Summary = dict[str, dict[str, Any]]
"""A figure, as plain JSON values, by the method's name and the metric's."""


def summarise(evaluation: Evaluation) -> Summary:
    """Return the means of a run, each with its interval.

    Empty maps (zero, or the same, everywhere) are counted under ``empty`` and left out of every other figure.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    dict
        ``{method: {metric: {"value", "low", "high", "n"}}}``: the mean, the bounds of its 95 % interval, and the number
        of images; None where there is no image. A metric that is made of several terms also has ``"parts"``, the same
        for each of them. ``win`` of method A is ``{B: {"value", "low", "high", "n", "ties"}}``,
        over the images for which neither map is empty.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="equal", metrics="class-change", out="run")
    >>> summarise(evaluation)["equal"]["class-change"]
    {'value': 0.0, 'low': 0.0, 'high': 0.0, 'n': 2}
    """
    summary: Summary = {}
    empty = {method: evaluation.blank(method) for method in evaluation.methods}  # (n,) bool each
    for method in evaluation.methods:
        figures: dict[str, Any] = {}
        for metric in evaluation.metrics:
            if isinstance(metric, Win):
                figures[metric.name] = _wins(evaluation, metric, method, empty)
            else:
                figures[metric.name] = _figure(evaluation, metric, method, ~empty[method])
        number = int(empty[method].sum())
        figures["empty"] = {"value": number, "low": None, "high": None, "n": len(empty[method])}
        summary[method] = figures
    return summary


def _figure(evaluation: Evaluation, metric: Metric, method: str, used: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the mean of a metric, and those of its parts, over the images that are used, (n,) bool."""
    figure = _mean(evaluation.values(metric, method)[used])
    parts = {name: _mean(evaluation.parts(metric, method, name)[used]) for name in metric.part_names}
    return {**figure, "parts": parts} if parts else figure


def _mean(values: NDArray[np.float64]) -> dict[str, Any]:
    return mean_interval(values[~np.isnan(values)]).describe()


def _wins(
    evaluation: Evaluation, metric: Win, method: str, empty: Mapping[str, NDArray[np.bool_]]
) -> dict[str, dict[str, Any]]:
    """Return how often a method wins against each other one."""
    drops = evaluation.values(metric, method)
    against = {}
    for other in evaluation.methods:
        if other == method:
            continue
        both = ~(empty[method] | empty[other])
        ours, theirs = drops[both], evaluation.values(metric, other)[both]
        ties = metric.ties(ours, theirs)
        tied = float(ties.mean()) if len(ties) else None
        against[other] = {**mean_interval(metric.wins(ours, theirs)).describe(), "ties": tied}
    return against


def mean_error(evaluation: Evaluation, method: str) -> Interval:
    """Return the mean estimated relative error of a method's maps, a fraction; n is 0 where none has an estimate.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="sscam2,cam", metrics="specificity", out="run")
    >>> mean_error(evaluation, "sscam2").n, mean_error(evaluation, "cam").n
    (2, 0)
    """
    errors = evaluation.relative_errors(method)
    return mean_interval(errors[~np.isnan(errors)])


def flat_table(evaluation: Evaluation, summary: Summary) -> list[dict[str, Any]]:
    """Return a summary as a table: a row for each method and metric, and for each part of a metric.

    For ``win`` there is a row for each pair of methods.

    Besides the metrics there are rows for ``empty``, for ``passes`` and ``seconds``, what one map costs, and for
    ``relative_error``, a fraction, of methods that estimate it: means over all images, and over those with an estimate.

    Parameters
    ----------
    evaluation : Evaluation
    summary : dict
        What :func:`summarise` returns for it.

    Returns
    -------
    list of dict
        The columns are ``method``, ``metric``, ``part``, ``against``, ``value``, ``low``, ``high``, ``n``, ``ties``,
        ``unit``, ``better`` and ``parameters``; None where one does not apply.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> settings = {"metrics": "class-change", "controls": False, "out": "run"}
    >>> evaluation = evaluate(model, "photos.csv", methods="equal", **settings)
    >>> [row["metric"] for row in flat_table(evaluation, summarise(evaluation))]
    ['class-change', 'empty', 'passes', 'seconds']
    """
    return list(_rows(evaluation, summary))


def _rows(evaluation: Evaluation, summary: Summary) -> Iterator[dict[str, Any]]:
    metrics = {metric.name: metric for metric in evaluation.metrics}
    for method, figures in summary.items():
        for name, figure in figures.items():
            metric = metrics.get(name)
            if isinstance(metric, Win):
                for other, against in figure.items():
                    yield _row(method, name, metric, against, against=other)
            else:
                yield _row(method, name, metric, figure)
                for part, mean in figure.get("parts", {}).items():
                    yield _row(method, name, metric, mean, part=part)
        for name in ("passes", "seconds"):
            yield _row(method, name, None, mean_interval(evaluation.costs(method, name)).describe())
        error = mean_error(evaluation, method)
        if error.n:
            yield _row(method, "relative_error", None, error.describe())


def _row(
    method: str,
    name: str,
    metric: Metric | None,
    figure: Mapping[str, Any],
    *,
    part: str | None = None,
    against: str | None = None,
) -> dict[str, Any]:
    return {
        "method": method,
        "metric": name,
        "part": part,
        "against": against,
        **{key: figure.get(key) for key in ("value", "low", "high", "n", "ties")},
        "unit": metric.unit if metric else None,
        "better": metric.better if metric and not part else None,
        "parameters": metric.parameters if metric else None,
    }


def as_json(content: Mapping[str, Any] | list[dict[str, Any]]) -> bytes:
    """Return a summary, or the table of it, as the content of a JSON file.

    Examples
    --------
    >>> print(as_json([{"method": "equal"}]).decode(), end="")
    [
      {
        "method": "equal"
      }
    ]
    """
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def as_csv(table: list[dict[str, Any]]) -> bytes:
    """Return the table of a summary as the content of a CSV file with a header. Its parameters are JSON.

    Examples
    --------
    >>> as_csv([{"method": "equal", "parameters": {"steps": 50}}]).decode().splitlines()
    ['method,parameters', 'equal,"{""steps"": 50}"']
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    for row in table:
        writer.writerow({**row, "parameters": json.dumps(row["parameters"]) if row["parameters"] else ""})
    return buffer.getvalue().encode()
