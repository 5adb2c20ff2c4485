"""The charts of the report: how far the maps are apart beside noise, and where the builds diverge along the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnx_cam.builds.along import FLOORS, AlongTheNetwork
from onnx_cam.drawing.charts import COLOURS, FAINT_INK, INK, chart_style, dress_axes, svg_element
from onnx_cam.evaluation.report.wording import count, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

__all__ = ["Chart", "draw_along", "draw_distances"]

Doubles = NDArray[np.float64]

_WIDTH, _HEIGHT = 5.2, 3.4  # inches of 72 points
_BINS = 24
_MAPS, _NOISE = COLOURS[0], COLOURS[1]
_SMALLEST = 1e-4  # of a distance along the network, so that a logarithmic axis can show a zero


@dataclass(frozen=True)
class Chart:
    """A chart, and the numbers in it as a table.

    Attributes
    ----------
    svg : str
        The drawing as markup, safe to be printed as it is.
    columns : list of str
    lines : list of list of str

    Examples
    --------
    >>> Chart("<svg></svg>", ["from", "to", "images"], [["0", "0.1", "24"]]).columns[0]
    'from'
    """

    svg: str
    columns: list[str]
    lines: list[list[str]]


def draw_distances(distances: Sequence[float], floors: Sequence[float], limit: float) -> Chart:
    """Return the distribution of the maps' distances d beside that of the noise floor.

    Parameters
    ----------
    distances : sequence of float
        Of the two builds' maps of each image, from 0 to √2.
    floors : sequence of float
        Of the old build's maps of each image and of the image with noise.
    limit : float
        The distance from which on a map counts as changed.

    Examples
    --------
    This needs Matplotlib:

    >>> chart = draw_distances([0.2, 0.4], [0.03, 0.04], 0.07)  # doctest: +SKIP
    >>> chart.columns  # doctest: +SKIP
    ['d', 'old against new', 'noise alone']
    """
    apart, noise = np.asarray(distances, np.float64), np.asarray(floors, np.float64)  # (n,), (m,)
    end = 1.05 * max(float(apart.max(initial=0)), float(noise.max(initial=0)), limit, 1e-6)
    edges = np.linspace(0, end, _BINS + 1)
    counts = [np.histogram(values, edges)[0] for values in (apart, noise)]
    about = (
        f"Histogram of {count(len(apart), 'distance')} of old and new maps: median {np.median(apart):.3f}, "
        f"from {apart.min():.3f} to {apart.max():.3f}; and of {count(len(noise), 'distance')} by noise alone: median "
        f"{np.median(noise):.3f}. A map counts as changed above {limit:.3f}. A table of the numbers follows."
    )
    with chart_style("distances"):
        drawing, axes = _axes()
        axes.stairs(counts[0], edges, fill=True, color=_MAPS, alpha=0.75, label="old against new")
        axes.stairs(counts[1], edges, color=_NOISE, linewidth=2, label="noise alone")
        axes.axvline(limit, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="changed from here on")
        axes.set_xlim(0, end)
        axes.yaxis.set_major_locator(_whole_numbers())
        axes.set_xlabel("distance d of two maps of an image", color=INK)
        axes.set_ylabel("images", color=INK)
        _finish(drawing, axes)
        svg = svg_element(drawing, "distances", "Distribution of the maps' distances", about)
    lines = [
        [f"{edges[i]:.3f} to {edges[i + 1]:.3f}", str(counts[0][i]), str(counts[1][i])]
        for i in range(_BINS)
        if counts[0][i] or counts[1][i]
    ]
    return Chart(svg, ["d", "old against new", "noise alone"], lines)


def draw_along(along: AlongTheNetwork) -> Chart:
    """Return the distance of the builds' activations from the input to the scores, beside its limit.

    Parameters
    ----------
    along : AlongTheNetwork
        With at least one tensor.

    Examples
    --------
    This needs Matplotlib:

    >>> from onnx_cam.builds.along import TensorDistance
    >>> tensor = TensorDistance("relu1", "relu1", "Relu", (6, 10, 10), distance=0.4, floor=0.1)
    >>> draw_along(AlongTheNetwork((tensor,), images=8)).lines  # doctest: +SKIP
    [['1', 'relu1', 'Relu', '6×10×10', '0.4000', '0.3000', 'yes']]
    """
    tensors = along.tensors
    places = np.arange(1, len(tensors) + 1)
    apart = np.array([one.distance for one in tensors])
    limits = FLOORS * np.array([one.floor for one in tensors])
    first = along.first
    where = "They do not diverge." if first is None else f"They first diverge at {label(first.old)}."
    about = (
        f"Relative distance of the activations at {count(len(tensors), 'tensor')} from the input to the scores, and "
        f"{FLOORS} times the noise floor at each. {where} A table of the numbers follows."
    )
    with chart_style("along"):
        drawing, axes = _axes()
        axes.plot(places, np.maximum(apart, _SMALLEST), color=_MAPS, linewidth=1.8, label="old against new")
        axes.plot(
            places,
            np.maximum(limits, _SMALLEST),
            color=_NOISE,
            linewidth=1.8,
            linestyle=(0, (6, 2)),
            label=f"{FLOORS} noise floors",
        )
        if first is not None:
            place = tensors.index(first)
            axes.plot(
                [places[place]], [apart[place]], "o", color=_MAPS, markersize=9, clip_on=False, label="first divergence"
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlim(0.5, len(tensors) + 0.5)
        axes.xaxis.set_major_locator(_whole_numbers())
        axes.set_xlabel("tensor, from the input to the scores", color=INK)
        axes.set_ylabel("relative distance", color=INK)
        _finish(drawing, axes)
        svg = svg_element(drawing, "along", "Distance along the network", about)
    lines = [
        [
            str(place),
            label(one.old),
            label(one.op_type),
            "×".join(map(str, one.shape)),
            f"{one.distance:.4f}",
            f"{FLOORS * one.floor:.4f}",
            "yes" if one.parts else "no",
        ]
        for place, one in enumerate(tensors, 1)
    ]
    columns = ["", "tensor", "operator", "K×h×w", "distance", f"{FLOORS} noise floors", "parts"]
    return Chart(svg, columns, lines)


def _axes() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(_WIDTH, _HEIGHT + 0.6), facecolor="none")
    height = _HEIGHT + 0.6
    return drawing, drawing.add_axes((0.135, 1.1 / height, 0.83, 1 - 1.2 / height), facecolor="none")


def _whole_numbers() -> MaxNLocator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins="auto", integer=True)


def _finish(drawing: Figure, axes: Axes) -> None:
    dress_axes(axes)
    axes.grid(which="minor", visible=False)
    axes.grid(axis="x", color=FAINT_INK, linewidth=0.6)
    drawing.legend(loc="lower center", ncols=2, frameon=False, labelcolor=INK, handlelength=2.2, columnspacing=1.4)
