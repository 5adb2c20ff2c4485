"""The report of one or more runs: a single web page that needs neither a network nor a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_cam.drawing.charts import check_charts
from onnx_cam.drawing.templates import make_environment
from onnx_cam.errors import SettingError
from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.results.summary import Summary, summarise
from onnx_cam.files import results_folder, write_files

if TYPE_CHECKING:
    from onnx_cam.evaluation.report.agreements import AgreementTable
    from onnx_cam.evaluation.report.answer import Answer
    from onnx_cam.evaluation.report.charts import Chart
    from onnx_cam.evaluation.report.examples import Gallery
    from onnx_cam.evaluation.report.provenance import Provenance
    from onnx_cam.evaluation.report.tables import MethodsTable
    from onnx_cam.evaluation.report.wins import WinTable

__all__ = ["write_report"]

_TEMPLATE = "report.html.jinja"


@dataclass(frozen=True)
class _RunPart:
    """What the template prints of a run.

    Attributes
    ----------
    id : str
        The part's id in the page.
    name : str
    progress : str
        How far an unfinished run has come; empty once it is finished.
    unusable : int
        Images that could not be used.
    answer : Answer
        What the figures say, in words.
    table : MethodsTable
    charts : list of Chart
    wins : WinTable or None
    agreement : AgreementTable or None
        How far the metrics agree.
    gallery : Gallery or None
    provenance : Provenance
    """

    id: str
    name: str
    progress: str
    unusable: int
    answer: Answer
    table: MethodsTable
    charts: list[Chart]
    wins: WinTable | None
    agreement: AgreementTable | None
    gallery: Gallery | None
    provenance: Provenance


def write_report(evaluations: Sequence[Evaluation], path: str | Path) -> None:
    """Write the report of runs as one HTML file. An existing file is replaced whole or not at all.

    The report begins with what the figures say in words: which method, for what, how sure, and at what cost. It holds
    the papers' tables with intervals, the Insertion and Deletion curves, how often each method wins,
    examples, and what was run. The same runs give the same bytes.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        The runs, of one model or of several.
    path : str or Path
        The file to write.

    Raises
    ------
    MissingExtraError
        Matplotlib, the extra ``report``, is not installed.
    SettingError
        There is no run.
    OutputError
        The file cannot be written.

    Examples
    --------
    This needs Matplotlib and two runs:

    >>> from onnx_cam.evaluation import read_evaluation
    >>> write_report([read_evaluation("run-vgg"), read_evaluation("run-resnet")], "report.html")  # doctest: +SKIP
    """
    check_charts()
    if not evaluations:
        raise SettingError("no run to report on; give at least one folder that onnx-cam evaluate wrote")
    path = Path(path)
    page = _render(evaluations).encode("utf-8", "backslashreplace")
    with results_folder(path.parent):
        write_files({path: page})


def _render(evaluations: Sequence[Evaluation]) -> str:
    from onnx_cam._version import __version__
    from onnx_cam.evaluation.report.provenance import name_runs
    from onnx_cam.evaluation.report.tables import models_tables
    from onnx_cam.evaluation.verdict.ranking import FEW_IMAGES, MOST_EMPTY

    # Each run gets a name, a summary and a part of the page. With several runs, a table for each metric comes first
    # that compares them: methods × runs.
    names = name_runs(evaluations)
    summaries = [summarise(evaluation) for evaluation in evaluations]
    parts = [
        _run_part(evaluation, summary, name, f"run-{number}")
        for number, (evaluation, summary, name) in enumerate(zip(evaluations, summaries, names, strict=True), 1)
    ]
    several = len(evaluations) > 1
    page = (
        make_environment("evaluation/report")
        .get_template(_TEMPLATE)
        .render(
            title=f"Evaluation of {len(names)} runs" if several else f"Evaluation of {names[0]}",
            runs=parts,
            models=models_tables(evaluations, summaries, names) if several else [],
            same_images=len({frozenset(image.sha256 for image in one.images) for one in evaluations}) == 1,
            few=FEW_IMAGES,
            most_empty=f"{100 * MOST_EMPTY:g}",
            version=__version__,
        )
    )
    return page.lstrip()


def _run_part(evaluation: Evaluation, summary: Summary, name: str, prefix: str) -> _RunPart:
    from onnx_cam.evaluation.report.agreements import agreement_table
    from onnx_cam.evaluation.report.answer import answer
    from onnx_cam.evaluation.report.charts import draw_charts
    from onnx_cam.evaluation.report.examples import show_examples
    from onnx_cam.evaluation.report.provenance import describe_run
    from onnx_cam.evaluation.report.tables import methods_table
    from onnx_cam.evaluation.report.wins import win_table
    from onnx_cam.evaluation.verdict.agreement import metric_agreements

    agreements = metric_agreements(evaluation)
    return _RunPart(
        id=prefix,
        name=name,
        progress=str(evaluation.progress or ""),
        unusable=len(evaluation.facts.get("unreadable") or ()),
        answer=answer(evaluation, agreements),
        table=methods_table(evaluation, summary),
        charts=draw_charts(evaluation, prefix),
        wins=win_table(evaluation, summary),
        agreement=agreement_table(agreements),
        gallery=show_examples(evaluation),
        provenance=describe_run(evaluation),
    )
