"""The files of a comparison: its figures, its images, its gates for a test report, and a summary for a CI job."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_cam.builds.junit import as_junit
from onnx_cam.builds.report_page import write_report_page
from onnx_cam.builds.summary import as_markdown
from onnx_cam.files import write_files

if TYPE_CHECKING:
    from onnx_cam.builds.compared import ImageDiff
    from onnx_cam.builds.result import Diff

__all__ = ["write_outputs"]

_COLUMNS = (
    *("image", "sha256", "label", "old_class", "old_name", "new_class", "new_name", "flip"),
    *("old_score", "new_score", "drawn", "distance", "floor", "old_empty", "new_empty"),
)


def write_outputs(diff: Diff, folder: str | Path) -> Diff:
    """Write ``diff.json``, ``images.csv``, ``junit.xml``, ``summary.md`` and, with its extra, ``report.html``.

    The same comparison gives the same bytes.

    Parameters
    ----------
    diff : Diff
    folder : str or Path
        It exists.

    Returns
    -------
    Diff
        The same one with the files that were written, and a note where the report's extra is missing.

    Raises
    ------
    OutputError
        A file cannot be written.

    Examples
    --------
    >>> import onnx_cam
    >>> result = write_outputs(onnx_cam.diff("model.onnx", "model.onnx", ["cat.jpg", "dog.jpg"]), ".")
    >>> [path.name for path in result.files][:4]
    ['diff.json', 'images.csv', 'junit.xml', 'summary.md']
    """
    makers: dict[str, Callable[[Diff], str]] = {
        "diff.json": as_json,
        "images.csv": as_csv,
        "junit.xml": as_junit,
        "summary.md": as_markdown,
    }
    contents = {Path(folder) / name: make(diff).encode("utf-8", "backslashreplace") for name, make in makers.items()}
    write_files(contents)
    page, notes = write_report_page(diff, Path(folder))
    return replace(diff, files=(*contents, *page), notes=(*diff.notes, *notes))


def as_json(diff: Diff) -> str:
    """Return the figures, the builds, the settings and the gates as JSON text."""
    return json.dumps(diff.record(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(diff: Diff) -> str:
    """Return a line for each image."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerows(_row(diff, image) for image in diff.images)
    return text.getvalue()


def _row(diff: Diff, image: ImageDiff) -> Sequence[object]:
    old, new = image.old, image.new
    return (
        image.name,
        image.image.sha256,
        image.image.label,
        old.predicted,
        diff.old_labels.name(old.predicted),
        new.predicted,
        diff.new_labels.name(new.predicted),
        int(image.is_flip),
        old.probability,
        new.probability,
        int(image.is_drawn),
        image.distance,
        old.floor,
        None if old.map is None else int(old.map.is_empty),
        None if new.map is None else int(new.map.is_empty),
    )
