"""What a finished run leaves beside its results file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx_cam.errors import MissingExtraError
from onnx_cam.evaluation.report import write_report
from onnx_cam.evaluation.results.finished import Evaluation
from onnx_cam.evaluation.results.summary import as_csv, as_json, rows, summarise
from onnx_cam.files import write_files

__all__ = ["write_output"]


def write_output(evaluation: Evaluation, *, report: bool = True) -> Evaluation:
    """Write ``summary.json``, ``tables.csv`` and ``tables.json``; if asked to, and with its extra, ``report.html``.

    Returns
    -------
    Evaluation
        With the paths, and what should be said.

    Raises
    ------
    OutputError
    """
    summary = summarise(evaluation)
    table = rows(evaluation, summary)
    contents = {
        evaluation.folder / "summary.json": as_json(summary),
        evaluation.folder / "tables.csv": as_csv(table),
        evaluation.folder / "tables.json": as_json(table),
    }
    write_files(contents)
    files: list[Path] = list(contents)
    page = evaluation.folder / "report.html"
    if page.is_file():
        page.unlink()  # one of the figures before
    notes = []
    try:
        if report:
            write_report([evaluation], page)
            files.append(page)
    except MissingExtraError as error:
        notes.append(f"no report.html: {error}; then the same command again, or onnx-cam report {evaluation.folder}")
    return replace(evaluation, files=tuple(files), notes=tuple(notes))
