"""What a finished run leaves beside its results file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx_cam.errors import MissingExtraError
from onnx_cam.evaluation.finished import Evaluation
from onnx_cam.evaluation.report import write_report
from onnx_cam.evaluation.summary import rows_as_csv, rows_as_json, summary_as_json
from onnx_cam.explanation import write_files

__all__ = ["write_output"]


def write_output(evaluation: Evaluation) -> Evaluation:
    """Write ``summary.json``, ``tables.csv`` and ``tables.json``; with the extra ``report``, ``report.html`` too.

    Returns
    -------
    Evaluation
        With the paths, and what should be said.

    Raises
    ------
    OutputError
    """
    contents = {
        evaluation.folder / "summary.json": summary_as_json(evaluation),
        evaluation.folder / "tables.csv": rows_as_csv(evaluation),
        evaluation.folder / "tables.json": rows_as_json(evaluation),
    }
    write_files(contents)
    files: list[Path] = list(contents)
    report, notes = evaluation.folder / "report.html", []
    try:
        write_report([evaluation], report)
        files.append(report)
    except MissingExtraError as error:
        report.unlink(missing_ok=True)  # one of figures before
        notes.append(f"no report.html: {error}; then the same command again, or onnx-cam report {evaluation.folder}")
    return replace(evaluation, files=tuple(files), notes=tuple(notes))
