"""Maps from a part of the forward passes, compared with the exact map: how accurate they are, and what they cost.

    python -m benchmarks.budget measure MODEL PHOTOS -o rows.jsonl [--method scorecam] [--samples N] [--images N]
    python -m benchmarks.budget table rows.jsonl…
    python -m benchmarks.budget picture rows.jsonl… -o budget.png

MODEL is a file, or `lite0` for the EfficientNet-Lite0 of `onnx-cam demo`. PHOTOS is a dataset as for `onnx-cam
evaluate`, of which the images with boxes are used. Each photo is explained exactly, and then from 5, 10 and 20 % of the
forward passes in three ways: by the regression, by the nearest of k-means representatives, and by using only the
channels with the highest variance (Faster Score-CAM); the last two for Score-CAM only. Seconds are those of the whole
call, planning and regression included.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np
from numpy.typing import NDArray

import onnx_cam
from benchmarks.representatives import nearest_representative, representatives
from onnx_cam.budget.features import DEAD, describe_channels
from onnx_cam.budget.map_error import relative_error
from onnx_cam.demo import demo_model
from onnx_cam.evaluation.datasets import Sample, open_dataset
from onnx_cam.evaluation.datasets.boxes import box_mask
from onnx_cam.image.picture import open_picture
from onnx_cam.methods import Method, ScoreCAM, Subject, make_method
from onnx_cam.methods.weights import Weighed
from onnx_cam.metrics import MaskedImage, choose_metrics
from onnx_cam.runtime.masks import is_dead, normalised
from onnx_cam.runtime.schedule import Schedule

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
Row = dict[str, Any]
"""One map, as a line of JSON."""

BUDGETS = (0.05, 0.1, 0.2)
TOLERANCES = (0.1, 0.05)
HEADER = (
    "| | passes | relative error, median | worst | seconds | Average Drop % | energy % | bars cover | interval holds |"
)
BAR = 1.645  # standard deviations on either side: 90 % of a normal distribution
AXES = {"passes": "share of the exact map's passes", "seconds": "share of the exact map's time"}
WAYS = {
    "regression": "regression",
    "nearest": "nearest representative",
    "top": "channels of highest variance",
    "tolerance": "tolerance",
}
"""The ways to save forward passes, and their names in tables and legends."""

EXACT = "exact"
"""The way that saves none."""


@dataclass(frozen=True)
class TopChannels(ScoreCAM):
    """Faster Score-CAM: only the channels whose maps have the highest variance are scored, and the others ignored."""

    name: ClassVar[str] = "top"
    count: int = 1

    def weigh(self, subject: Subject) -> Weighed:
        channels = np.argsort(-subject.maps.std(axis=(1, 2)), kind="stable")[: self.count]
        weights = np.zeros((1, len(subject.maps)))
        weights[0, channels] = channel_weights(subject, channels)
        return Weighed(weights)


@dataclass(frozen=True)
class Nearest(ScoreCAM):
    """Each mask has the weight of its nearest k-means representative, and only these are scored."""

    name: ClassVar[str] = "nearest"
    count: int = 1

    def weigh(self, subject: Subject) -> Weighed:
        masks = normalised(subject.maps, subject.scorer.size, self.wiring.masking)
        channels = describe_channels(subject.maps, masks)
        centres = representatives(channels.features, np.linalg.norm(channels.maps, axis=1), self.count)
        centre_weights = channel_weights(subject, channels.representatives[centres])
        mask_weights = centre_weights[nearest_representative(channels.features, centres)]  # (M,)
        return Weighed(np.where(channels.mask_of == DEAD, 0.0, mask_weights[channels.mask_of])[None])


def channel_weights(subject: Subject, channels: Indices) -> Doubles:
    """Return the exact Score-CAM weights of some channels, with one forward pass for each."""
    baseline = subject.scorer.baseline_scores(subject.score_kind)[0]
    scores = subject.scorer.run(Schedule(subject.maps[channels], path=np.ones(1)), subject.score_kind)[:, 0, 0]
    return np.asarray(np.where(is_dead(subject.maps[channels]), 0, scores - baseline))


@click.group()
def main() -> None:
    """Compare maps from a part of the forward passes with the exact map."""


@main.command()
@click.argument("model")
@click.argument("photos")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="JSON Lines file to append to.")
@click.option("--method", default="scorecam", show_default=True, help="Method to explain with.")
@click.option("--variant", help="Variant of the method; the method's default if omitted.")
@click.option("--samples", type=int, help="Number of samples N; the variant's default if omitted.")
@click.option("--skip", default=10, show_default=True, help="Photos to skip, since the plan was developed on them.")
@click.option("--images", default=20, show_default=True, help="Photos to measure.")
@click.option("--labels", help="Class names, as for onnx-cam explain.")
@click.option("--threads", type=int, help="Threads of ONNX Runtime.")
@click.option("--ways", default=",".join(WAYS), show_default=True, help="Ways to save passes, separated by commas.")
def measure(model: str, photos: str, out: Path, skip: int, images: int, **settings: Any) -> None:
    """Measure photos, and append a line for each map to a file; photos that are in the file already are skipped."""
    path = demo_model() if model == "lite0" else model
    classifier = onnx_cam.load(path, labels=settings["labels"], threads=settings["threads"])
    chosen_method = {key: settings[key] for key in ("method", "variant", "samples") if settings[key]}
    samples = [sample for sample in open_dataset(photos).samples if sample.boxes][skip : skip + images]
    finished = {row["photo"] for row in read([out])} if out.exists() else set()
    # The first call measures the best batch size, which is not to be timed.
    onnx_cam.explain(classifier, samples[0].path, method=chosen_method["method"], budget="5%")
    for sample in samples:
        if sample.name in finished:
            continue
        maps = measure_photo(classifier, sample, chosen_method, settings["ways"].split(","))
        rows = [{"model": model, **chosen_method, **row} for row in maps]
        with out.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        errors = (f"{row['way']} {row['limit']:.0%} {row['relative_error']:.3f}" for row in rows)
        click.echo(f"{sample.name}: {', '.join(errors)}")


def measure_photo(
    classifier: onnx_cam.Classifier, sample: Sample, chosen_method: dict[str, Any], ways: list[str]
) -> Iterator[Row]:
    """Yield the row of each map of a photo, the exact one first."""
    exact = onnx_cam.explain(classifier, sample.path, method=make_method(**chosen_method))
    assert isinstance(exact, onnx_cam.Explanation)
    comparison = PhotoComparison(classifier, sample, exact)
    yield {"way": EXACT, "limit": 1.0, **comparison.row(exact)}
    for way, limit, method in limited_methods(chosen_method, exact.passes):
        if way in ways:
            yield {"way": way, "limit": limit, **comparison.row(explain(classifier, sample, method))}


def explain(classifier: onnx_cam.Classifier, sample: Sample, method: Method) -> onnx_cam.Explanation:
    """Return a map whose cost includes the pass for the baseline."""
    classifier.sessions.forget_baselines()
    result = onnx_cam.explain(classifier, sample.path, method=method)
    assert isinstance(result, onnx_cam.Explanation)
    return result


def limited_methods(chosen_method: dict[str, Any], exact_passes: int) -> Iterator[tuple[str, float, Method]]:
    """Yield each way to save passes, its budget or tolerance, and the method that does it."""
    for budget in BUDGETS:
        yield "regression", budget, make_method(**chosen_method, budget=budget)
        if chosen_method["method"] == "scorecam":
            yield "nearest", budget, Nearest(count=round(budget * exact_passes))
            yield "top", budget, TopChannels(count=round(budget * exact_passes))
    for tolerance in TOLERANCES:
        yield "tolerance", tolerance, make_method(**chosen_method, tolerance=tolerance)


class PhotoComparison:
    """The exact map of one photo, with which the other maps are compared."""

    def __init__(self, classifier: onnx_cam.Classifier, sample: Sample, exact: onnx_cam.Explanation) -> None:
        self.classifier, self.sample, self.exact = classifier, sample, exact
        self.picture = open_picture(sample.path, classifier.preprocessing, classifier.input.channels, classifier.size)
        maps = classifier.sessions.activations(classifier.layer(), self.picture.network_input).maps
        self.equal = np.maximum(maps[~is_dead(maps)].sum(axis=0, dtype=np.float64), 0)
        self.boxes = box_mask(sample.boxes, self.picture.geometry, classifier.size)

    def row(self, result: onnx_cam.Explanation) -> Row:
        """Return what is measured of one map."""
        flat_maps = (map_.astype(np.float64).ravel() for map_ in (result.cam, self.exact.cam, self.equal))
        row: Row = {
            "photo": self.sample.name,
            "passes": result.passes,
            "seconds": result.seconds,
            "empty": self.exact.empty,
            "relative_error": relative_error(*flat_maps),
            **self.metrics(result),
        }
        if result.error is not None and result.error_of == "passes left out" and result.relative_error_interval:
            low, high = result.relative_error_interval
            bar = BAR * result.error + 1e-6 * self.exact.cam.max()
            row["bars_cover"] = float((np.abs(result.cam - self.exact.cam) <= bar).mean())
            row["estimate"], row["low"], row["high"] = result.relative_error, low, high
        return row

    def metrics(self, result: onnx_cam.Explanation) -> dict[str, float | None]:
        """Return Average Drop and the energy inside the boxes."""
        image = MaskedImage(
            self.classifier,
            self.picture.network_input,
            self.exact.target.index,
            result.cam,
            preprocessing=self.classifier.preprocessing,
            boxes=self.boxes,
        )
        return {metric.name: metric.measure(image).value for metric in choose_metrics("average-drop,pointing")}


def read(paths: list[Path]) -> list[Row]:
    """Return the rows of JSON Lines files."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def grouped(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the rows of each model, method and number of samples; photos with an empty exact map are left out."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if not row["empty"]:
            samples = f", N = {row['samples']}" if "samples" in row else ""
            name = f"{Path(row['model']).stem}, {row['method']}{samples}"
            groups.setdefault(name, []).append(row)
    return groups


def summary(rows: list[Row], way: str, limit: float) -> dict[str, float] | None:
    """Return means, medians and worst cases of one way at one budget or tolerance; None without such rows."""
    selected = [row for row in rows if row["way"] == way and row["limit"] == limit]
    if not selected:
        return None
    exact = {row["photo"]: row for row in rows if row["way"] == EXACT}
    errors = [row["relative_error"] for row in selected]
    figures = {
        "n": len(selected),
        "median": float(np.median(errors)),
        "worst": max(errors),
        "passes": float(np.mean([row["passes"] / exact[row["photo"]]["passes"] for row in selected])),
        "seconds": float(np.median([row["seconds"] / exact[row["photo"]]["seconds"] for row in selected])),
        "drop": mean_of(selected, "average-drop"),
        "energy": mean_of(selected, "pointing"),
    }
    if way in ("regression", "tolerance"):
        with_bars = [row for row in selected if "bars_cover" in row]
        holds = [row["low"] <= row["relative_error"] <= row["high"] for row in with_bars]
        figures["bars_cover"] = mean_of(with_bars, "bars_cover")
        figures["holds"] = float(np.mean(holds or [np.nan]))
        figures["within"] = float(np.mean([error <= limit for error in errors]))
    return figures


def mean_of(rows: list[Row], key: str) -> float:
    """Return the mean of what rows have under a key; NaN if none has."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return float(np.mean(values)) if values else float("nan")


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def table(paths: tuple[Path, ...]) -> None:
    """Print the figures of measured rows as Markdown tables."""
    for name, rows in grouped(read(list(paths))).items():
        exact = summary(rows, EXACT, 1.0)
        assert exact is not None
        seconds = float(np.median([row["seconds"] for row in rows if row["way"] == EXACT]))
        passes = float(np.mean([row["passes"] for row in rows if row["way"] == EXACT]))
        click.echo(
            f"\n**{name}**: {exact['n']} photos; exact map: {passes:,.0f} forward passes, {seconds:.1f} s, Average "
            f"Drop {exact['drop']:.1f} %, energy inside the box {exact['energy']:.1f} %.\n"
        )
        click.echo(HEADER)
        click.echo("|---|" + "---|" * 8)
        for way, title in WAYS.items():
            for limit in TOLERANCES if way == "tolerance" else BUDGETS:
                if (figures := summary(rows, way, limit)) is not None:
                    click.echo(line(f"{title} {limit:g}" if way == "tolerance" else title, figures))


def line(title: str, figures: dict[str, float]) -> str:
    """Return one line of the table."""
    bars = f" {figures['bars_cover']:.2f} | {figures['holds']:.2f} |" if "bars_cover" in figures else " | |"
    within = f" (within it: {figures['within']:.0%})" if title.startswith("tolerance") else ""
    return (
        f"| {title}{within} | {figures['passes']:.1%} | {figures['median']:.3f} | {figures['worst']:.2f} "
        f"| {figures['seconds']:.0%} | {figures['drop']:.1f} | {figures['energy']:.1f} |{bars}"
    )


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="PNG or SVG file to write.")
def picture(paths: tuple[Path, ...], out: Path) -> None:
    """Draw the relative error against passes and seconds: the median, and as a band the middle 80 % of the photos."""
    from matplotlib.figure import Figure

    groups = grouped(read(list(paths)))
    figure = Figure(figsize=(4.2 * len(groups), 7.2), layout="constrained")
    grid = figure.subplots(2, len(groups), squeeze=False, sharey=True)
    for column, (name, rows) in enumerate(groups.items()):
        for row, (cost, label) in enumerate(AXES.items()):
            draw_curves(grid[row, column], rows, cost)
            grid[row, column].set_xlabel(label)
        grid[0, column].set_title(name)
    for row in grid:
        row[0].set_ylabel("relative error (0 = exact)")
    grid[0, 0].legend(frameon=False)
    figure.savefig(out, dpi=110)


def draw_curves(axes: Any, rows: list[Row], cost: str) -> None:
    """Draw the curve and the band of each way over a cost, passes or seconds."""
    exact = {row["photo"]: row for row in rows if row["way"] == EXACT}
    styles = {"regression": ("C0", "-"), "nearest": ("C1", "--"), "top": ("C3", ":")}
    for way, (colour, style) in styles.items():
        points = []
        for limit in BUDGETS:
            selected = [row for row in rows if row["way"] == way and row["limit"] == limit]
            if selected:
                x = float(np.median([row[cost] / exact[row["photo"]][cost] for row in selected]))
                points.append((x, *np.quantile([row["relative_error"] for row in selected], (0.1, 0.5, 0.9))))
        if points:
            x, low, median, high = np.array(points).T
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, median, style, color=colour, marker="o", label=WAYS[way])
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


if __name__ == "__main__":
    main()
