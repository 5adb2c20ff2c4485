"""The report's place: written where the extra ``report`` is installed; otherwise a line says that it is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnx_cam.errors import MissingExtraError

if TYPE_CHECKING:
    from onnx_cam.builds.result import Diff

__all__ = ["write_report_page"]

PAGE = "report.html"


def write_report_page(diff: Diff, folder: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the report of a comparison into a folder.

    Returns
    -------
    tuple of Path
        The page, where it was written.
    tuple of str
        Why it was not, where the extra is missing.
    """
    page = folder / PAGE
    page.unlink(missing_ok=True)  # it shows earlier figures
    from onnx_cam.builds.report import write_report

    try:
        write_report(diff, folder)
    except MissingExtraError as error:
        return (), (f"no {PAGE}: {error}; the other files are written",)
    return (page,), ()
