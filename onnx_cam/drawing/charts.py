"""What the charts of all pages share: colours that follow the page's scheme, plain axes, and SVG inside the page."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from onnx_cam.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "FAINT_INK", "INK", "chart_style", "check_charts", "dress_axes", "svg_element"]

COLOURS = ("#005ea8", "#b84300", "#00735a", "#a33b83", "#5c5c5c", "#8a6100", "#00789a", "#8c2f4f")
"""The colours of the lines on white. The page has a variable for each, with another value on a dark background."""

INK, FAINT_INK = "#010203", "#040506"
"""Placeholders for the page's own colours of text and of rules."""

_VARIABLES = {INK: "currentColor", FAINT_INK: "var(--rule)"} | {
    colour: f"var(--line-{i})" for i, colour in enumerate(COLOURS)
}
_FONT = 11.5  # points: a phone shows the chart at about its own size


def check_charts() -> None:
    """Check that charts can be drawn.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.

    Examples
    --------
    This needs Matplotlib:

    >>> check_charts()  # doctest: +SKIP
    """
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise MissingExtraError(
            "the report needs Matplotlib, which is not installed: pip install 'onnx-cam[report]'"
        ) from error


@contextmanager
def chart_style(prefix: str) -> Iterator[None]:
    """Draw and save with text that stays text, and with ids that are the same each time.

    Parameters
    ----------
    prefix : str
        What tells this chart from the others of its page.

    Examples
    --------
    This needs Matplotlib:

    >>> with chart_style("run-1"):  # doctest: +SKIP
    ...     figure = Figure()
    """
    import matplotlib

    style: Any = {"svg.fonttype": "none", "svg.hashsalt": prefix, "font.size": _FONT, "text.parse_math": False}
    with matplotlib.rc_context(style):
        yield


def dress_axes(axes: Axes) -> None:
    """Leave a grid, the lower axis and the numbers, in the page's colours.

    Examples
    --------
    This needs Matplotlib:

    >>> dress_axes(Figure().add_subplot())  # doctest: +SKIP
    """
    axes.grid(color=FAINT_INK, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", color=FAINT_INK, labelcolor=INK, length=0, pad=5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK)


def svg_element(drawing: Figure, prefix: str, title: str, about: str) -> str:
    """Return a drawing as an element of the page, with the page's colours and font, ids of its own and a title.

    Parameters
    ----------
    drawing : matplotlib.figure.Figure
    prefix : str
        What all ids in the markup begin with, so that one page can hold several charts.
    title : str
    about : str
        The content in words, for those who cannot see the drawing.

    Returns
    -------
    str
        Markup, safe to be printed as it is.

    Examples
    --------
    This needs Matplotlib:

    >>> svg_element(Figure(), "run-1", "Deletion curves", "Mean curves")[:18]  # doctest: +SKIP
    '<svg class="chart"'
    """
    content = io.StringIO()
    drawing.savefig(content, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = content.getvalue()
    size = re.search(r'viewBox="[\d. ]+"', svg)
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*;?\s*", "", body)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = body.replace('xlink:href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    return (
        f'<svg class="chart" {size[0] if size else ""} role="img" aria-labelledby="{prefix}-title {prefix}-desc">'
        f'<title id="{prefix}-title">{escape(title)}</title><desc id="{prefix}-desc">{escape(about)}</desc>{body}'
    )
