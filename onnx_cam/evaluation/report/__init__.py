"""The report of one or more runs: a single web page that needs neither a network nor a script."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx_cam.drawing.templates import make_environment
from onnx_cam.errors import MissingExtraError, SettingError
from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.results.summary import Summary, summarise
from onnx_cam.files import results_folder, write_files

__all__ = ["write_report"]

_TEMPLATE = "report.html.jinja"


def write_report(evaluations: Sequence[Evaluation], path: str | Path) -> None:
    """Write the report of runs as one HTML file; an existing one is replaced whole or not at all.

    In it are the papers' tables with intervals, the Insertion and Deletion curves, how often each method wins, examples
    and what was run. The same runs give the same bytes.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        One a model, or several of one model.
    path : str or Path

    Raises
    ------
    MissingExtraError
        Matplotlib, the extra ``report``, is not installed.
    SettingError
        There is no run.
    OutputError
        The file cannot be written.
    """
    _check_extra()
    if not evaluations:
        raise SettingError("no run to report on; give at least one folder that onnx-cam evaluate wrote")
    path = Path(path)
    page = _render(evaluations).encode("utf-8", "backslashreplace")
    with results_folder(path.parent):
        write_files({path: page})


def _check_extra() -> None:
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise MissingExtraError(
            "the report needs Matplotlib, which is not installed: pip install 'onnx-cam[report]'"
        ) from error


def _render(evaluations: Sequence[Evaluation]) -> str:
    from onnx_cam._version import __version__
    from onnx_cam.evaluation.report.provenance import name_runs
    from onnx_cam.evaluation.report.ranking import FEW_IMAGES, MOST_EMPTY
    from onnx_cam.evaluation.report.tables import models_tables

    template = make_environment("evaluation/report").get_template(_TEMPLATE)
    names = name_runs(evaluations)
    summaries = [summarise(evaluation) for evaluation in evaluations]
    numbered = enumerate(zip(evaluations, summaries, names, strict=True), 1)
    page = template.render(
        title=f"Evaluation of {names[0]}" if len(names) == 1 else f"Evaluation of {len(names)} runs",
        runs=[_run(*run, f"run-{i}") for i, run in numbered],
        models=models_tables(evaluations, summaries, names) if len(names) > 1 else [],
        same_images=len({frozenset(image.sha256 for image in one.images) for one in evaluations}) == 1,
        few=FEW_IMAGES,
        most_empty=f"{100 * MOST_EMPTY:g}",
        version=__version__,
    )
    return page.lstrip()


def _run(evaluation: Evaluation, summary: Summary, name: str, prefix: str) -> dict[str, Any]:
    """Return what the template prints of a run."""
    from markupsafe import Markup

    from onnx_cam.evaluation.report.charts import draw_charts
    from onnx_cam.evaluation.report.examples import show_examples
    from onnx_cam.evaluation.report.provenance import describe_run
    from onnx_cam.evaluation.report.tables import methods_table, win_table

    charts = draw_charts(evaluation, prefix)
    return {
        "id": prefix,
        "name": name,
        "table": methods_table(evaluation, summary),
        "charts": [(chart, Markup(chart.svg)) for chart in charts],
        "wins": win_table(evaluation, summary),
        "gallery": show_examples(evaluation),
        "provenance": describe_run(evaluation),
        "unusable": len(evaluation.facts.get("unreadable") or ()),
        "progress": str(evaluation.progress or ""),
    }
