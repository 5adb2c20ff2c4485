"""The figures of a run: methods × metrics, each a mean over images with its interval."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.evaluation.results.finished import Evaluation
from onnx_cam.metrics import Metric, Win
from onnx_cam.metrics.interval import mean_interval

__all__ = ["as_csv", "as_json", "rows", "summarise"]

Summary = dict[str, dict[str, Any]]


def summarise(evaluation: Evaluation) -> Summary:
    """Return ``{method: {metric: {"value", "low", "high", "n"}}}``.

    Maps that say nothing (zero, or the same, everywhere) are in no figure but their own number, ``empty``. ``win`` of
    method A is ``{B: {"value", …, "ties"}}``, over the images where neither map is empty.
    """
    summary: Summary = {}
    blanks = {method: evaluation.blank(method) for method in evaluation.methods}
    for method, blank in blanks.items():
        figures: dict[str, Any] = {}
        for metric in evaluation.metrics:
            if isinstance(metric, Win):
                figures[metric.name] = _wins(evaluation, metric, method, blanks)
            else:
                figures[metric.name] = _mean(evaluation.values(metric, method)[~blank])
        figures["empty"] = {"value": int(blank.sum()), "low": None, "high": None, "n": len(blank)}
        summary[method] = figures
    return summary


def _mean(values: NDArray[np.float64]) -> dict[str, Any]:
    return mean_interval(values[~np.isnan(values)]).describe()


def _wins(evaluation: Evaluation, metric: Win, method: str, blanks: dict[str, NDArray[np.bool_]]) -> dict[str, Any]:
    own = evaluation.values(metric, method)
    against = {}
    for other in evaluation.methods:
        if other == method:
            continue
        both = ~(blanks[method] | blanks[other])
        ours, theirs = own[both], evaluation.values(metric, other)[both]
        ties = metric.ties(ours, theirs)
        share = float(ties.mean()) if len(ties) else None
        against[other] = {**mean_interval(metric.wins(ours, theirs)).describe(), "ties": share}
    return against


def rows(evaluation: Evaluation, summary: Summary) -> list[dict[str, Any]]:
    """Return its summary as a flat table: a row a method and metric, for ``win`` a row a pair of methods.

    Each row: ``method``, ``metric``, ``against``, ``value``, ``low``, ``high``, ``n``, ``ties``, ``unit``, ``better``
    and ``parameters``; None where it does not apply. Beside the metrics there are ``empty``,
    ``passes`` and ``seconds``, the latter two means over all images.
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
        for name in ("passes", "seconds"):
            cost = [float(evaluation.maps[image.sha256, method].record[name]) for image in evaluation.images]
            yield _row(method, name, None, mean_interval(np.array(cost)).describe())


def _row(
    method: str, name: str, metric: Metric | None, figure: dict[str, Any], *, against: str | None = None
) -> dict[str, Any]:
    return {
        "method": method,
        "metric": name,
        "against": against,
        **{key: figure.get(key) for key in ("value", "low", "high", "n", "ties")},
        "unit": metric.unit if metric else None,
        "better": metric.better if metric else None,
        "parameters": metric.parameters if metric else None,
    }


def as_json(content: Summary | list[dict[str, Any]]) -> bytes:
    """Return a summary, or the flat table, as JSON."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def as_csv(table: list[dict[str, Any]]) -> bytes:
    """Return the flat table as CSV, with a header; parameters as JSON."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    for row in table:
        writer.writerow({**row, "parameters": json.dumps(row["parameters"]) if row["parameters"] else ""})
    return buffer.getvalue().encode()
