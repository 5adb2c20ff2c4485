"""Insertion and Deletion curves with their bands (Figure 4 of the SS-CAM paper), as SVG inside the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnx_cam.drawing.charts import COLOURS, INK, chart_style, dress_axes, svg_element
from onnx_cam.evaluation.report.wording import count, figure, named, settings, span
from onnx_cam.evaluation.results.evaluation import Evaluation, figure_key
from onnx_cam.evaluation.verdict.ranking import comparable
from onnx_cam.methods.controls import is_control
from onnx_cam.metrics import Metric
from onnx_cam.metrics.interval import mean_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["Chart", "draw_charts"]

_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)))
_MARKERS = "osD^vPX*<>"
_MAX_POINTS = 101  # of a curve
_WIDTH, _HEIGHT = 5.2, 3.3  # inches of 72 points
_LONG_NAME = 20  # characters: with a longer name the legend has one column


@dataclass(frozen=True)
class Chart:
    """A chart, and the numbers in it as a table.

    Attributes
    ----------
    title : str
        The metric's title.
    settings : str
        The metric's settings on one line.
    svg : str
        The drawing as markup, safe to be printed as it is; empty where no method has a map to draw.
    columns : list of str
        The methods that are drawn.
    lines : list of list of str
        The table: the share of pixels in %, then each method's mean with its interval.
    left_out : list of str
        The methods whose maps are all empty.
    has_uncompared : bool
        Whether too many maps of a method are empty for a comparison.

    Examples
    --------
    >>> lines = [["0", "0.9"], ["100", "0.1"]]
    >>> Chart("Deletion", "steps 1", "<svg></svg>", ["cam"], lines, left_out=[], has_uncompared=False).lines[-1]
    ['100', '0.1']
    """

    title: str
    settings: str
    svg: str
    columns: list[str]
    lines: list[list[str]]
    left_out: list[str]
    has_uncompared: bool


@dataclass(frozen=True)
class _Series:
    """The mean curve of a method."""

    method: str
    place: int  # among the methods, which gives the line its look
    band: NDArray[np.float64]  # (3, points): mean, low, high
    area: float
    images: int
    mark: str


def draw_charts(evaluation: Evaluation, prefix: str) -> list[Chart]:
    """Return a chart for each metric that has curves, Insertion first.

    Parameters
    ----------
    evaluation : Evaluation
    prefix : str
        What all ids in the markup begin with, so that one page can hold several charts.

    Returns
    -------
    list of Chart

    Examples
    --------
    This needs Matplotlib and a run:

    >>> from onnx_cam.evaluation import read_evaluation
    >>> [chart.title for chart in draw_charts(read_evaluation("run"), "run-1")]  # doctest: +SKIP
    ['Insertion', 'Deletion']
    """
    curved = [metric for metric in evaluation.metrics if _has_curves(evaluation, metric)]
    return [
        _chart(evaluation, metric, f"{prefix}-{metric.name}")
        for metric in sorted(curved, key=lambda metric: metric.name != "insertion")
    ]


def _has_curves(evaluation: Evaluation, metric: Metric) -> bool:
    if not evaluation.images:
        return False
    image, method = evaluation.images[0], next(iter(evaluation.methods))
    return bool(evaluation.maps[image.sha256, method].figures[figure_key(metric, image.facts)].curve)


def _chart(evaluation: Evaluation, metric: Metric, prefix: str) -> Chart:
    series = list(filter(None, (_series(evaluation, metric, *numbered) for numbered in enumerate(evaluation.methods))))
    drawn = [one.method for one in series]
    shares = np.linspace(0, 100, series[0].band.shape[1]) if series else np.zeros(0)  # (points,) of the pixels, %
    lines = [
        [f"{share:.3g}", *(f"{figure(one.band[0, i])} {span(*one.band[1:, i])}" for one in series)]
        for i, share in enumerate(shares)
    ]
    return Chart(
        title=metric.title,
        settings=settings(metric),
        svg=_svg(series, metric, shares, prefix) if series else "",
        columns=[named(name) for name in drawn],
        lines=lines,
        left_out=[named(name) for name in evaluation.methods if name not in drawn],
        has_uncompared=any(one.mark for one in series),
    )


def _series(evaluation: Evaluation, metric: Metric, place: int, method: str) -> _Series | None:
    """Return the mean curve over the images whose map is not empty."""
    usable = ~evaluation.blank(method)
    if not usable.any():
        return None
    curves = evaluation.curves(metric, method)[usable]  # (n, points)
    if curves.shape[1] > _MAX_POINTS:
        curves = curves[:, np.linspace(0, curves.shape[1] - 1, _MAX_POINTS).round().astype(int)]
    mark = "" if method in comparable(evaluation) else " †"
    area = float(np.nanmean(evaluation.values(metric, method)[usable]))
    return _Series(method, place, mean_band(curves), area, len(curves), mark)


def _svg(series: Sequence[_Series], metric: Metric, shares: NDArray[np.float64], prefix: str) -> str:
    from matplotlib.figure import Figure

    # The axes on top and the legend below them, both of a fixed size, so that charts of many methods grow in height.
    columns = 2 if max(len(named(one.method)) for one in series) <= _LONG_NAME else 1
    legend = 0.215 * -(-len(series) // columns) + 0.1
    # The same content in words, for those who cannot see the drawing.
    areas = ", ".join(f"{named(one.method)} {figure(one.area)} ({count(one.images, 'image')})" for one in series)
    about = f"Mean curves over images with bands of 95 %. Area under each: {areas}. A table of the numbers follows."
    with chart_style(prefix):
        drawing = Figure(figsize=(_WIDTH, _HEIGHT + legend), facecolor="none")
        bottom = (0.56 + legend) / (_HEIGHT + legend)
        axes = drawing.add_axes((0.125, bottom, 0.835, 1 - bottom - 0.1 / (_HEIGHT + legend)), facecolor="none")
        handles = [_draw(axes, one, shares, opacity=_opacity(len(series))) for one in series]
        _dress(axes, metric)
        names = [f"{named(one.method)[:40]}{one.mark}  {figure(one.area)}" for one in series]
        _add_legend(drawing, handles, names, columns)
        return svg_element(drawing, prefix, f"{metric.title} curves", about)


def _opacity(bands: int) -> float:
    """Return how opaque a band may be: where many of them overlap, the lines must stay visible."""
    return 0.16 if bands <= 2 else 0.1 if bands <= 4 else 0.05


def _draw(axes: Axes, series: _Series, shares: NDArray[np.float64], *, opacity: float) -> Line2D:
    mean, low, high = series.band
    place = series.place
    if is_control(series.method):
        # Thin, in the colour of the text and without a band: what the methods' lines are to be compared with.
        (line,) = axes.plot(shares, mean, color=INK, linewidth=0.9, linestyle=_DASHES[place % len(_DASHES)])
        return line
    colour = COLOURS[place % len(COLOURS)]
    axes.fill_between(shares, low, high, color=colour, alpha=opacity, linewidth=0)
    (line,) = axes.plot(
        shares,
        mean,
        color=colour,
        linewidth=1.8,
        linestyle=_DASHES[(place + place // len(COLOURS)) % len(_DASHES)],
        marker=_MARKERS[place % len(_MARKERS)],
        markersize=4.5,
        markevery=((place % 5) / 40, 0.125),  # of the axes' diagonal, so that markers of two lines do not overlap
    )
    return line


def _dress(axes: Axes, metric: Metric) -> None:
    word = "inserted" if metric.name == "insertion" else "removed" if metric.name == "deletion" else ""
    axes.set_xlabel(f"pixels {word}, %".replace(" ,", ","), color=INK)
    axes.set_ylabel(str(metric.parameters.get("score", "score")), color=INK)
    axes.set_xlim(0, 100)
    if axes.get_ylim()[0] > -0.1:
        axes.set_ylim(bottom=0)
    dress_axes(axes)


def _add_legend(drawing: Figure, handles: Sequence[Line2D], names: Sequence[str], columns: int) -> None:
    drawing.legend(
        handles,
        names,
        loc="lower center",
        ncols=columns,
        frameon=False,
        labelcolor=INK,
        handlelength=3,
        columnspacing=1.6,
        borderpad=0.1,
        labelspacing=0.35,
    )
