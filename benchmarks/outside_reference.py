"""The metrics, CAM and their definitions beside those of torchcam, quantus, grad-cam and openvino-xai.

    python -m benchmarks.outside_reference [> benchmarks/results/outside_reference.md]

Each tool is given the same map, image, class and weights: on the tiny network of the tests with maps drawn at random,
and on EfficientNet-Lite0 with two maps of a photo of a cat. Tools that are not installed are left out.

quantus requires opencv-python, which overwrites opencv-python-headless, and grad-cam torchvision, which has no CPU
build: install them with `pip install --no-deps`, and whatever else they import.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from torchcam.methods import GradCAM
from torchcam.metrics import ClassificationMetric

import onnx_cam
from benchmarks.versions import versions_line
from onnx_cam.demo import demo_image, demo_model, demo_weights
from onnx_cam.image.picture import open_picture
from onnx_cam.metrics import AverageDrop, MaskedImage
from tests import tiny
from tests.metric_peers import PAIRS, Example, Pair, map_without_ties, our_areas, quantus_pixel_flipping
from tests.peers import import_grad_cam, torchcam_cam_map
from tests.torch_twins import Lite0, Tiny

DISTRIBUTIONS = {
    "torchcam": "torchcam",
    "quantus": "quantus",
    "pytorch_grad_cam": "grad-cam",
    "openvino_xai": "openvino-xai",
}
"""Module to the name under which it is installed."""

TINY_STEPS, LITE0_STEPS = 20, 14  # divisors of the number of pixels
LAYER = "head"  # of the torch network; the default layer of the file

DIFFERENCES: tuple[tuple[str, str, str], ...] = (
    (
        "torchcam `ClassificationMetric`",
        "its extractors get the scores that `logits_fn` makes, so that with a softmax a gradient method explains the "
        "probability and not the logit; the map is scaled to [0, 1] before it is upsampled; divides by Y + 1e-7",
        "explains the logit; scaled after upsampling; divides by Y",
    ),
    (
        "torchcam `DeletionInsertionMetric`",
        "steps of ⌈pixels / steps⌉ pixels, of which there can be fewer than asked for; insertion starts from zeros",
        "shares of i / steps, rounded to the nearest pixel; insertion starts from the blurred image by default",
    ),
    ("torchcam `CAM`", "no ReLU", "ReLU"),
    (
        "quantus `PixelFlipping`",
        "a feature is one colour value of a pixel; the curve lacks the whole image, and its area has a spacing of 1; "
        "the image's smallest value replaces features by default; ties in any order. With NumPy 2.4 there is no area: "
        "`np.trapz` is gone",
        "pixels; from the whole image on; area on [0, 1]; zero; ties by position",
    ),
    (
        "quantus and openvino-xai `PointingGame`",
        "whether the largest value lies in the box",
        "`pointing` is the share of the map in the box",
    ),
    (
        "quantus `RelevanceRankAccuracy`, `TopKIntersection`, `AttributionLocalisation`",
        "how many of the highest pixels lie in the box, and the share of the map in it relative to the box's size",
        "none",
    ),
    (
        "quantus `Focus`",
        "mosaics that the user makes; the share of the positive relevance in the cells of the class",
        "`grid-pointing`: makes the mosaics, with one image of the class and three of others",
    ),
    (
        "quantus `MPRT`, `EfficientMPRT`",
        "initialises the layers anew, one after another, and gives Spearman's correlation for each",
        "`randomisation`: permutes all weights behind the layer at once; 1 − Spearman's correlation of `cam`",
    ),
    (
        "quantus `MaxSensitivity`, `AvgSensitivity`, `LocalLipschitzEstimate`; captum `sensitivity_max`",
        "the largest or the mean change of the map under noise, relative to a norm",
        "`stability`: mirror image, crop, and noise of 2 grey levels; distance of unit-length maps",
    ),
    (
        "quantus `RandomLogit`",
        "structural similarity with the map of a class that is drawn at random",
        "`class-change`: distance from the map of the second likeliest class",
    ),
    (
        "quantus `Sparseness`, `Complexity`",
        "Gini index, and entropy of the map",
        "none; the complexity in `adcc` is the map's mean",
    ),
    (
        "grad-cam `DropInConfidence`",
        "Y − O, not divided by Y; of what the target returns, by default of the logit",
        "divided by Y; of the probability by default",
    ),
    ("grad-cam `ROAD`", "imputes pixels from their neighbours, with noise", "a baseline replaces pixels"),
    (
        "grad-cam `ARCC`",
        "harmonic mean of coherency, 1 − complexity and ROAD",
        "`adcc` has 1 − drop in place of ROAD",
    ),
    (
        "grad-cam `FinerCAM`",
        "weighs the other classes by their probability; α = 1",
        "`finercam` weighs them alike, γ = 0.6, as torchcam's `FinerCAM`",
    ),
    (
        "openvino-xai `InsertionDeletionAUC`",
        "rounds the number of pixels down; ties in any order; insertion starts from zeros",
        "rounds to the nearest; ties by position; from the blurred image by default",
    ),
    (
        "openvino-xai `ADCC`",
        "of several images, the harmonic mean of the terms' means; no number for a constant map",
        "the mean of the images' harmonic means; a coherency of 0 for a constant map",
    ),
    ("none of them", "Win %, Average Gain, contrast drop", "`win`, `average-gain`, `contrast-drop`"),
)
"""Tool, what it computes, and what onnx-cam computes."""


def is_installed(module: str) -> bool:
    try:
        import_grad_cam() if module == "pytorch_grad_cam" else import_module(module)
    except ImportError:
        return False
    return True


def tiny_examples() -> Iterator[Example]:
    """Yield maps drawn at random on the tiny network, of each class."""
    with TemporaryDirectory() as folder:
        model = onnx_cam.load(tiny.save(tiny.model(), Path(folder)), device="cpu", preprocess="none")
        for target in range(tiny.CLASSES):
            generator = np.random.default_rng(target)
            cam = generator.random((tiny.SIZE, tiny.SIZE), np.float32)
            boxes = generator.random(cam.shape) < 0.3
            yield Example(Tiny(), MaskedImage(model, tiny.image(target), target, cam, boxes=boxes), TINY_STEPS)


def lite0_examples() -> list[Example]:
    """Return CAM's map of the demo's photo, as cubed ranks of the pixels, and the reverse of it, which is a bad map.

    The box is drawn by hand.
    """
    model = onnx_cam.load(demo_model(), device="cpu")
    network = Lite0(demo_weights())
    x = open_picture(demo_image(), model.preprocessing, 3, model.size).network_input
    boxes = np.zeros(model.size, np.bool_)
    boxes[40:200, 60:200] = True
    result = onnx_cam.explain(model, demo_image(), method="cam")
    ranks = map_without_ties(MaskedImage(model, x, result.target.index, result.cam).importance)
    maps = (ranks**3, (1 - ranks) ** 3)
    return [Example(network, MaskedImage(model, x, result.target.index, cam, boxes=boxes), LITE0_STEPS) for cam in maps]


def largest_difference(pair: Pair, examples: list[Example]) -> float:
    return max(float(np.abs(pair.ours(example) - pair.theirs(example)).max()) for example in examples)


def print_metrics(small: list[Example], real: list[Example]) -> None:
    """Print the first table: metrics that are defined alike."""
    print("| metric | tool | its name | tiny, 4 maps | EfficientNet-Lite0, 2 maps | the figures of these two |")
    print("|---|---|---|---|---|---|")
    for pair in PAIRS:
        if not is_installed(pair.module):
            continue
        shown = "; ".join(shown_figures(pair.ours(example)) for example in real)
        cells = (f"{largest_difference(pair, examples):.1e}" for examples in (small, real))
        print(
            f"| {pair.metric} | {DISTRIBUTIONS[pair.module]} | {pair.name} | {' | '.join(cells)} | {shown} |",
            flush=True,
        )


def shown_figures(figures: np.ndarray) -> str:
    return ", ".join(f"{figure:.4f}" for figure in figures) if len(figures) < 3 else f"{len(figures)} points"


def print_cam() -> None:
    """Print how far CAM is from torchcam's."""
    model = onnx_cam.load(demo_model(), device="cpu")
    x = open_picture(demo_image(), model.preprocessing, 3, model.size).network_input
    network = Lite0(demo_weights())
    differences = []
    results: list[Any] = onnx_cam.explain(model, demo_image(), method="cam", target="top3")
    for result in results:
        reference = torchcam_cam_map(network, LAYER, x, result.target.index)
        differences.append(float(np.abs(result.cam - reference).max() / reference.max()))
    print(f"CAM of the three likeliest classes: {max(differences):.1e} of the map's maximum.")


def own_average_drops() -> Iterator[tuple[float, float]]:
    """Yield Average Drop of Grad-CAM's maps of the five likeliest classes: ours, and torchcam's with its extractor."""
    model = onnx_cam.load(demo_model(), device="cpu")
    x = open_picture(demo_image(), model.preprocessing, 3, model.size).network_input
    network = Lite0(demo_weights())
    results: list[Any] = onnx_cam.explain(model, demo_image(), method="gradcam", target="top5")
    for result in results:
        target = result.target.index
        ours = AverageDrop().measure(MaskedImage(model, x, target, result.cam)).value
        with GradCAM(network, LAYER, input_shape=x.shape) as extractor:
            metric = ClassificationMetric(extractor, lambda logits: torch.softmax(logits, dim=-1))
            metric.update(torch.from_numpy(x[None]), class_idx=target)
        assert ours is not None
        yield ours, 100 * metric.summary()["avg_drop"]


def print_differences(real: list[Example]) -> None:
    """Print where definitions differ, and by how much in two cases that are easily confused."""
    print("| tool | what it computes | what onnx-cam computes |\n|---|---|---|")
    for row in DIFFERENCES:
        print(f"| {' | '.join(row)} |")
    drops = ", ".join(f"{ours:.1f} and {theirs:.1f}" for ours, theirs in own_average_drops())
    print(
        "\nAverage Drop in per cent of Grad-CAM's maps of the five likeliest classes, by onnx-cam and by torchcam with "
        f"its own extractor and a softmax: {drops}. The maps of the logit agree; torchcam's metric has that of the "
        "probability."
    )
    if is_installed("quantus"):
        deletion, points = our_areas(real[0])[0], quantus_pixel_flipping(real[0])
        area = float((points[1:] + points[:-1]).sum() / 2)
        print(
            f"\nDeletion of CAM's map: {deletion:.4f}; the area under quantus's points with a spacing of 1: {area:.4f}."
        )


@click.command()
def main() -> None:
    """Print how far metrics are from those of other tools, and where definitions differ."""
    installed = [f"{name} {version(name)}" for module, name in DISTRIBUTIONS.items() if is_installed(module)]
    print("# An outside reference for the metrics\n")
    print(f"`python -m benchmarks.outside_reference`; {versions_line()}; {', '.join(installed)}.\n")
    print("## Metrics that are defined alike\n")
    print(
        "The largest differences, as absolute numbers; figures in per cent are divided by 100. On the tiny network "
        "the maps are drawn at random, one for each class. On EfficientNet-Lite0 they are CAM's of a photo and its "
        "reverse, with the pixels' cubed ranks as values: the tools take equal pixels in different orders.\n"
    )
    small, real = list(tiny_examples()), lite0_examples()
    print_metrics(small, real)
    print("\n## CAM\n")
    print_cam()
    print("\n## Where definitions differ\n")
    print_differences(real)


if __name__ == "__main__":
    main()
