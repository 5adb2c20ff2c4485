"""A part of the passes against all of them: what is left to find, and what it costs.

    python -m benchmarks.budget measure MODEL PHOTOS -o rows.jsonl [--method scorecam] [--samples N] [--images N]
    python -m benchmarks.budget table rows.jsonl…
    python -m benchmarks.budget picture rows.jsonl… -o budget.png

MODEL is a file, or `lite0` for the EfficientNet-Lite0 of `onnx-cam demo`; PHOTOS a dataset as for `onnx-cam evaluate`:
its images with boxes are used. Each photo is explained exactly, and then from 5, 10 and 20 % of the passes: by the
regression, by the nearest of k-means representatives, and by the channels of the highest variance alone (Faster
Score-CAM); the last two for Score-CAM only. Seconds are those of the whole call, plan and regression included.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np

import onnx_cam
from benchmarks.representatives import nearest_representative, representatives
from onnx_cam.budget.features import DEAD, describe_channels
from onnx_cam.budget.map_error import relative_error
from onnx_cam.demo import demo_model
from onnx_cam.evaluation.datasets import Sample, open_dataset
from onnx_cam.evaluation.datasets.boxes import box_mask
from onnx_cam.image.picture import open_picture
from onnx_cam.methods import Method, ScoreCAM, Subject, make_method
from onnx_cam.methods.base import Weighed
from onnx_cam.metrics import MaskedImage, choose_metrics
from onnx_cam.runtime.masks import is_dead, normalised
from onnx_cam.runtime.schedule import Schedule

BUDGETS = (0.05, 0.1, 0.2)
TOLERANCES = (0.1, 0.05)
HEADER = "| | passes | left, median | left, worst | seconds | Average Drop % | energy % | bars cover | interval holds |"
DEVIATIONS = 1.645  # of a 90 % bar
AXES = {"passes": "share of the exact map's passes", "seconds": "share of the exact map's time"}
TITLES = {
    "regression": "regression",
    "nearest": "nearest representative",
    "top": "channels of highest variance",
    "tolerance": "tolerance",
}


@dataclass(frozen=True)
class TopChannels(ScoreCAM):
    """Faster Score-CAM: the channels whose maps vary most, and no other."""

    name: ClassVar[str] = "top"
    count: int = 1

    def weigh(self, subject: Subject) -> Weighed:
        order = np.argsort(-subject.maps.std(axis=(1, 2)), kind="stable")[: self.count]
        weights = np.zeros((1, len(subject.maps)))
        weights[0, order] = scores_of(subject, order)
        return Weighed(weights)


@dataclass(frozen=True)
class Nearest(ScoreCAM):
    """Each mask weighs what its nearest representative does."""

    name: ClassVar[str] = "nearest"
    count: int = 1

    def weigh(self, subject: Subject) -> Weighed:
        masks = normalised(subject.maps, subject.scorer.size, self.wiring.masking)
        channels = describe_channels(subject.maps, masks)
        chosen = representatives(channels.features, np.linalg.norm(channels.maps, axis=1), self.count)
        scores = scores_of(subject, channels.representatives[chosen])
        of_mask = scores[nearest_representative(channels.features, chosen)]
        return Weighed(np.where(channels.mask_of == DEAD, 0.0, of_mask[channels.mask_of])[None])


def scores_of(subject: Subject, channels: np.ndarray) -> np.ndarray:
    """Return the weights of some channels, by one pass each."""
    baseline = subject.scorer.baseline_scores(subject.score_kind)[0]
    scores = subject.scorer.run(Schedule(subject.maps[channels], path=np.ones(1)), subject.score_kind)[:, 0, 0]
    return np.asarray(np.where(is_dead(subject.maps[channels]), 0, scores - baseline))


@click.group()
def main() -> None:
    pass


@main.command()
@click.argument("model")
@click.argument("photos")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path))
@click.option("--method", default="scorecam")
@click.option("--variant")
@click.option("--samples", type=int)
@click.option("--skip", default=10, help="Photos that the plan was developed on.")
@click.option("--images", default=20)
@click.option("--labels")
@click.option("--threads", type=int)
@click.option("--ways", default=",".join(TITLES), show_default=True)
def measure(model: str, photos: str, out: Path, skip: int, images: int, **settings: Any) -> None:
    """Measure, and add a line for each map to a file; photos that are in it already are left out."""
    path = demo_model() if model == "lite0" else model
    classifier = onnx_cam.load(path, labels=settings["labels"], threads=settings["threads"])
    own = {key: settings[key] for key in ("method", "variant", "samples") if settings[key]}
    boxed = [sample for sample in open_dataset(photos).samples if sample.boxes][skip : skip + images]
    done = {row["photo"] for row in read([out])} if out.exists() else set()
    onnx_cam.explain(classifier, boxed[0].path, method=own["method"], budget="5%")  # the batch is measured
    for sample in boxed:
        if sample.name in done:
            continue
        rows = [
            {"model": model, **own, **row}
            for row in measure_photo(classifier, sample, own, settings["ways"].split(","))
        ]
        with out.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        click.echo(f"{sample.name}: " + ", ".join(f"{r['how']} {r['asked']:.0%} {r.get('share', 0):.3f}" for r in rows))


def measure_photo(
    classifier: onnx_cam.Classifier, sample: Sample, own: dict[str, Any], ways: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield the facts of each map of a photo, the exact one first."""
    exact = onnx_cam.explain(classifier, sample.path, method=make_method(**own))
    facts = Facts(classifier, sample, exact)
    yield {"how": "exact", "asked": 1.0, **facts.of(exact)}
    for how, asked, method in methods(own, exact.passes):
        if how in ways:
            yield {"how": how, "asked": asked, **facts.of(explain(classifier, sample, method))}


def explain(classifier: onnx_cam.Classifier, sample: Sample, method: Method) -> onnx_cam.Explanation:
    classifier.sessions.forget_baselines()
    found: onnx_cam.Explanation = onnx_cam.explain(classifier, sample.path, method=method)
    return found


def methods(own: dict[str, Any], exact: int) -> Iterator[tuple[str, float, Method]]:
    for budget in BUDGETS:
        yield "regression", budget, make_method(**own, budget=budget)
        if own["method"] == "scorecam":
            yield "nearest", budget, Nearest(count=round(budget * exact))
            yield "top", budget, TopChannels(count=round(budget * exact))
    for tolerance in TOLERANCES:
        yield "tolerance", tolerance, make_method(**own, tolerance=tolerance)


class Facts:
    """What is compared with the exact map of one photo."""

    def __init__(self, classifier: onnx_cam.Classifier, sample: Sample, exact: onnx_cam.Explanation) -> None:
        self.classifier, self.sample, self.exact = classifier, sample, exact
        self.picture = open_picture(sample.path, classifier.preprocessing, classifier.input.channels, classifier.size)
        maps = classifier.sessions.activations(classifier.layer(), self.picture.network_input).maps
        self.equal = np.maximum(maps[~is_dead(maps)].sum(axis=0, dtype=np.float64), 0)
        self.boxes = box_mask(sample.boxes, self.picture.geometry, classifier.size)

    def of(self, found: onnx_cam.Explanation) -> dict[str, Any]:
        flat = (each.astype(np.float64).ravel() for each in (found.cam, self.exact.cam, self.equal))
        facts = {
            "photo": self.sample.name,
            "passes": found.passes,
            "seconds": found.seconds,
            "empty": self.exact.empty,
            "share": relative_error(*flat),
            **self.figures(found),
        }
        if found.error is not None and found.error_of == "passes left out" and found.relative_error_interval:
            low, high = found.relative_error_interval
            bar = DEVIATIONS * found.error + 1e-6 * self.exact.cam.max()
            facts["covered"] = float((np.abs(found.cam - self.exact.cam) <= bar).mean())
            facts["estimate"], facts["low"], facts["high"] = found.relative_error, low, high
        return facts

    def figures(self, found: onnx_cam.Explanation) -> dict[str, float | None]:
        image = MaskedImage(
            self.classifier,
            self.picture.network_input,
            self.exact.target.index,
            found.cam,
            preprocessing=self.classifier.preprocessing,
            boxes=self.boxes,
        )
        return {metric.name: metric.measure(image).value for metric in choose_metrics("average-drop,pointing")}


def read(paths: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def grouped(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return rows by what was measured: model, method, samples; photos with an empty exact map are left out."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if not row["empty"]:
            samples = f", N = {row['samples']}" if "samples" in row else ""
            name = f"{Path(row['model']).stem}, {row['method']}{samples}"
            groups.setdefault(name, []).append(row)
    return groups


def summary(rows: list[dict[str, Any]], how: str, asked: float) -> dict[str, float] | None:
    """Return means, medians and worst cases of one way at one budget."""
    own = [row for row in rows if row["how"] == how and row["asked"] == asked]
    if not own:
        return None
    whole = {row["photo"]: row for row in rows if row["how"] == "exact"}
    share = [row["share"] for row in own]
    figures = {
        "n": len(own),
        "median": float(np.median(share)),
        "worst": max(share),
        "passes": float(np.mean([row["passes"] / whole[row["photo"]]["passes"] for row in own])),
        "seconds": float(np.median([row["seconds"] / whole[row["photo"]]["seconds"] for row in own])),
        "drop": mean_of(own, "average-drop"),
        "energy": mean_of(own, "pointing"),
    }
    if how in ("regression", "tolerance"):
        barred = [row for row in own if "covered" in row]
        figures["covered"] = mean_of(barred, "covered")
        figures["held"] = float(np.mean([row["low"] <= row["share"] <= row["high"] for row in barred] or [np.nan]))
        figures["within"] = float(np.mean([row["share"] <= asked for row in own]))
    return figures


def mean_of(rows: list[dict[str, Any]], key: str) -> float:
    values = [row[key] for row in rows if row.get(key) is not None]
    return float(np.mean(values)) if values else float("nan")


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def table(paths: tuple[Path, ...]) -> None:
    """Print the figures as Markdown."""
    for name, rows in grouped(read(list(paths))).items():
        exact = summary(rows, "exact", 1.0)
        assert exact is not None
        seconds = float(np.median([row["seconds"] for row in rows if row["how"] == "exact"]))
        passes = float(np.mean([row["passes"] for row in rows if row["how"] == "exact"]))
        click.echo(
            f"\n**{name}**: {exact['n']} photos; exact: {passes:,.0f} passes, {seconds:.1f} s, Average Drop "
            f"{exact['drop']:.1f} %, energy in the box {exact['energy']:.1f} %.\n"
        )
        click.echo(HEADER)
        click.echo("|---|" + "---|" * 8)
        for how, title in TITLES.items():
            for asked in TOLERANCES if how == "tolerance" else BUDGETS:
                if (f := summary(rows, how, asked)) is not None:
                    click.echo(line(f"{title} {asked:g}" if how == "tolerance" else title, f))


def line(title: str, f: dict[str, float]) -> str:
    bars = f" {f['covered']:.2f} | {f['held']:.2f} |" if "covered" in f else " | |"
    within = f" (within it: {f['within']:.0%})" if title.startswith("tolerance") else ""
    return (
        f"| {title}{within} | {f['passes']:.1%} | {f['median']:.3f} | {f['worst']:.2f} | {f['seconds']:.0%} | "
        f"{f['drop']:.1f} | {f['energy']:.1f} |{bars}"
    )


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path))
def picture(paths: tuple[Path, ...], out: Path) -> None:
    """Draw what is left against passes and against seconds: the median, and as a band the middle 80 % of the photos."""
    from matplotlib.figure import Figure

    groups = grouped(read(list(paths)))
    figure = Figure(figsize=(4.2 * len(groups), 7.2), layout="constrained")
    grid = figure.subplots(2, len(groups), squeeze=False, sharey=True)
    for column, (name, rows) in enumerate(groups.items()):
        for row, (axis, label) in enumerate(AXES.items()):
            draw_curves(grid[row, column], rows, axis)
            grid[row, column].set_xlabel(label)
        grid[0, column].set_title(name)
    for row in grid:
        row[0].set_ylabel("share left (0 = exact)")
    grid[0, 0].legend(frameon=False)
    figure.savefig(out, dpi=110)


def draw_curves(axes: Any, rows: list[dict[str, Any]], axis: str) -> None:
    whole = {row["photo"]: row for row in rows if row["how"] == "exact"}
    styles = {"regression": ("C0", "-"), "nearest": ("C1", "--"), "top": ("C3", ":")}
    for how, (colour, style) in styles.items():
        points = []
        for asked in BUDGETS:
            own = [row for row in rows if row["how"] == how and row["asked"] == asked]
            if own:
                x = float(np.median([row[axis] / whole[row["photo"]][axis] for row in own]))
                points.append((x, *np.quantile([row["share"] for row in own], (0.1, 0.5, 0.9))))
        if points:
            x, low, middle, high = np.array(points).T
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, middle, style, color=colour, marker="o", label=TITLES[how])
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


if __name__ == "__main__":
    main()
