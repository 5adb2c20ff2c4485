"""What speaks for A and against B: the contrast drop of contrast maps, beside that of A's own maps.

    python -m benchmarks.contrast MODEL PHOTOS -o RUN

PHOTOS is a dataset as `onnx-cam evaluate` reads it. Of its photos, those are taken whose two likeliest classes are the
hardest to tell apart. RUN is the folder of the run; an interrupted one is continued.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

import onnx_cam
from benchmarks.evaluation import print_facts, show
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.evaluation import Evaluation, evaluate, summarise
from onnx_cam.evaluation.datasets import Dataset, Sample, open_dataset
from onnx_cam.metrics.interval import mean_interval

METHODS = ("cam", "gradcam", "gradcam++", "layercam", "hirescam", "scorecam:budget=10%")
CONTROLS = ("equal", "centre", "random")


@click.command()
@click.argument("model", type=click.Path(exists=True))
@click.argument("photos", type=click.Path(exists=True))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path))
@click.option("--pairs", type=int, default=40, show_default=True)
@click.option("--preprocess", default="imagenet", show_default=True)
def main(model: str, photos: str, out: Path, pairs: int, preprocess: str) -> None:
    """Print the contrast drop of each method's plain and contrast map, and the paired difference, as Markdown."""
    classifier = onnx_cam.load(model, labels="imagenet", preprocess=preprocess)
    dataset = open_dataset(photos)
    chosen = most_confusable(classifier, dataset, pairs)
    words = [word for method in METHODS for word in (method, f"{method}:versus=next")]
    evaluation = evaluate(
        classifier,
        replace(dataset, samples=tuple(sample for sample, _ in chosen)),
        methods=[*words, "finercam"],
        metrics="contrast-drop",
        out=out,
        ignore_labels=True,
    )
    print_facts(evaluation)
    shares = [share for _, share in chosen]
    print(
        f"The {len(chosen)} photos with the closest pair: A's share of both probabilities is {min(shares):.2f} to "
        f"{max(shares):.2f}.\n"
    )
    print_drops(evaluation)


def most_confusable(classifier: Classifier, dataset: Dataset, count: int) -> list[tuple[Sample, float]]:
    """Return the photos whose likeliest two classes are the closest, each with the first one's share of both."""
    found = []
    for sample in dataset.samples:
        image = classifier.network_input(sample.path)
        first, second = sorted(classifier.sessions.scores(image[None])[0], reverse=True)[:2]
        found.append((sample, float(first / (first + second))))
    return sorted(found, key=lambda pair: pair[1])[:count]


def print_drops(evaluation: Evaluation) -> None:
    """Print a row for each method: plain, contrast, and the paired difference with its interval."""
    (metric,) = evaluation.metrics
    figures = summarise(evaluation)
    print("| | map of A | map of A rather than B | difference | empty contrast maps |\n|---|---|---|---|---|")
    for method in METHODS:
        contrast = f"{method}:versus=next"
        plain, own = (evaluation.values(metric, name) for name in (method, contrast))
        both = ~(np.isnan(plain) | np.isnan(own))
        gain = mean_interval(own[both] - plain[both])
        cells = [show(figures[name][metric.name]) for name in (method, contrast)]
        cells += [f"{gain.value:+.1f} ({gain.low:+.1f} to {gain.high:+.1f}) n={gain.n}"]
        print(f"| `{method}` | {' | '.join(cells)} | {figures[contrast]['empty']['value']} |")
    for name in ("finercam", *(name for name in CONTROLS if name in figures)):
        print(f"| `{name}` | {show(figures[name][metric.name])} | – | – | – |")


if __name__ == "__main__":
    main()
