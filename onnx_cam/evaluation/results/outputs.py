"""The files that a finished run writes beside its results file: summary, tables and report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx_cam.errors import MissingExtraError
from onnx_cam.evaluation.report import write_report
from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.results.summary import as_csv, as_json, flat_table, summarise
from onnx_cam.evaluation.verdict.judgement import judge_metrics
from onnx_cam.files import write_files

__all__ = ["write_outputs"]


def write_outputs(evaluation: Evaluation, *, report: bool = True) -> Evaluation:
    """Write ``summary.json``, ``tables.csv``, ``tables.json`` and ``report.html`` into the run's folder.

    Parameters
    ----------
    evaluation : Evaluation
    report : bool
        Whether to write the report, which needs the extra of that name.

    Returns
    -------
    Evaluation
        The same one with the files that were written, and a note where the extra is missing.

    Raises
    ------
    OutputError
        A file cannot be written.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="equal", metrics="specificity", out="run", report=False)
    >>> [file.name for file in write_outputs(evaluation, report=False).files]
    ['summary.json', 'tables.csv', 'tables.json']
    """
    summary = summarise(evaluation)
    table = flat_table(evaluation, summary)
    contents = {
        evaluation.folder / "summary.json": as_json({**summary, "metrics": judge_metrics(evaluation)}),
        evaluation.folder / "tables.csv": as_csv(table),
        evaluation.folder / "tables.json": as_json(table),
    }
    write_files(contents)
    files: list[Path] = list(contents)
    page = evaluation.folder / "report.html"
    if page.is_file():
        page.unlink()  # it shows earlier figures
    notes = []
    try:
        if report:
            write_report([evaluation], page)
            files.append(page)
    except MissingExtraError as error:
        notes.append(f"no report.html: {error}; then run: onnx-cam report {evaluation.folder}")
    return replace(evaluation, files=tuple(files), notes=tuple(notes))
