"""The report of a comparison: a single web page that needs neither a network nor a script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_cam.builds.figures import CHANGED, FIGURES
from onnx_cam.builds.noise_floor import GREY_LEVELS
from onnx_cam.builds.summary import shown
from onnx_cam.drawing.charts import check_charts
from onnx_cam.drawing.templates import make_environment
from onnx_cam.evaluation.report.wording import count, file_name, label, plain
from onnx_cam.files import write_files

if TYPE_CHECKING:
    from onnx_cam.builds.report.charts import Chart
    from onnx_cam.builds.report.examples import Example
    from onnx_cam.builds.result import Diff

__all__ = ["write_report"]

_TEMPLATE = "report.html.jinja"
_PAGE = "report.html"
_MAX_EXAMPLES = 8
_MAX_LEFT_OUT = 20


@dataclass(frozen=True)
class _FigureRow:
    """A line of the table of figures."""

    name: str
    about: str
    value: str
    interval: str
    n: int


def write_report(diff: Diff, folder: Path) -> None:
    """Write the report of a comparison as ``report.html``. An existing file is replaced whole or not at all.

    The same comparison gives the same bytes.

    Parameters
    ----------
    diff : Diff
    folder : Path
        It exists.

    Raises
    ------
    MissingExtraError
        Matplotlib, the extra ``report``, is not installed.
    OutputError
        The file cannot be written.

    Examples
    --------
    This needs Matplotlib:

    >>> import onnx_cam
    >>> write_report(onnx_cam.diff("model.onnx", "model.onnx", "photos"), Path("."))  # doctest: +SKIP
    """
    check_charts()
    write_files({folder / _PAGE: _render(diff).encode("utf-8", "backslashreplace")})


def _render(diff: Diff) -> str:
    from onnx_cam._version import __version__
    from onnx_cam.builds.report.charts import draw_along
    from onnx_cam.builds.report.findings import describe_figures, find_verdict

    old, new = (file_name(build["name"]) for build in (diff.old, diff.new))
    along = diff.along
    page = (
        make_environment("builds/report")
        .get_template(_TEMPLATE)
        .render(
            title=f"{old} and {new}" if old != new else f"Two builds of {old}",
            about=f"Two builds of a model compared on {count(len(diff.images), 'image')}",
            verdict=find_verdict(diff.gates),
            sentences=describe_figures(diff.figures, along, grey_levels=GREY_LEVELS),
            notes=[label(note) for note in diff.notes],
            examples=_examples(diff),
            mapped=count(len(diff.worst), "image"),
            distances=_distances(diff),
            along=draw_along(along) if along is not None and along.tensors else None,
            grey_levels=f"{GREY_LEVELS:g}",
            figures=[_figure_row(diff, name) for name in FIGURES],
            builds=[("Old build", _facts(diff.old)), ("New build", _facts(diff.new))],
            settings=_facts(diff.settings),
            left_out=list(_left_out(diff.left_out)),
            record=json.dumps(diff.record(), indent=1, ensure_ascii=False, allow_nan=False),
            version=__version__,
        )
    )
    return page.lstrip()


def _examples(diff: Diff) -> list[Example]:
    """Return the images whose maps are farthest apart; none of those whose maps are the same."""
    from onnx_cam.builds.report.examples import image_pixels, show_example

    floor = diff.figures["noise_floor"].value or 0.0
    worst = [image for image in diff.worst[:_MAX_EXAMPLES] if image.distance]
    return [show_example(image, image_pixels(image), floor, diff.old_labels, diff.new_labels) for image in worst]


def _distances(diff: Diff) -> Chart | None:
    """Return the chart of the maps that the figures are over."""
    from onnx_cam.builds.report.charts import draw_distances

    floor = diff.figures["noise_floor"].value
    drawn = [image for image in diff.worst if image.is_drawn]
    distances = [image.distance for image in drawn if image.distance is not None]
    floors = [image.old.floor for image in drawn if image.old.floor is not None]
    return draw_distances(distances, floors, CHANGED * floor) if floor is not None else None


def _figure_row(diff: Diff, name: str) -> _FigureRow:
    figure = diff.figures[name]
    value, interval = (text.replace(" %", "\N{NO-BREAK SPACE}%") for text in shown(name, figure))
    return _FigureRow(name.replace("_", " "), FIGURES[name], value, interval, figure.n)


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(label(name.replace("_", " ")), plain(value)) for name, value in record.items() if value not in ({}, [])]


def _left_out(left_out: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, reason in list(left_out.items())[:_MAX_LEFT_OUT]:
        yield file_name(name), label(reason)
    if len(left_out) > _MAX_LEFT_OUT:
        yield "", f"and {len(left_out) - _MAX_LEFT_OUT:,} more; diff.json names all of them"
