"""The metrics, CAM and their definitions beside those of torchcam, quantus, grad-cam and openvino-xai.

    python -m benchmarks.outside_reference [> benchmarks/results/outside_reference.md]

Each tool is given the same map, image, class and weights: on the tiny network of the tests with maps drawn at random,
and on EfficientNet-Lite0 with maps of a photo of a cat. Tools that are not installed are left out. quantus and grad-cam
require OpenCV with windows and torchvision; `pip install --no-deps` with the packages that they ask for when they are
imported is enough.
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

METHODS = ("cam", "gradcam++")
TINY_STEPS, LITE0_STEPS = 20, 14  # divisors of the number of pixels
LAYER = "head"  # of the torch network; the default layer of the file

DIFFERENCES: tuple[tuple[str, str, str], ...] = (
    (
        "torchcam `ClassificationMetric`",
        "its own extractors scale the map to [0, 1] at the layer's size and upsample it then, so that it may not reach "
        "0 and 1 at the input's size; divides by Y + 1e-7",
        "scaled after upsampling; divides by Y",
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
        "of several images, the harmonic mean of the terms' means",
        "the mean of the images' harmonic means",
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


def lite0_examples() -> Iterator[tuple[str, Example]]:
    """Yield methods and their maps of the demo's photo, as ranks of the pixels, and a box drawn by hand."""
    model = onnx_cam.load(demo_model(), device="cpu")
    network = Lite0(demo_weights())
    x = open_picture(demo_image(), model.preprocessing, 3, model.size).network_input
    boxes = np.zeros(model.size, np.bool_)
    boxes[40:200, 60:200] = True
    for method in METHODS:
        result = onnx_cam.explain(model, demo_image(), method=method)
        ranks = map_without_ties(MaskedImage(model, x, result.target.index, result.cam).importance)
        yield method, Example(network, MaskedImage(model, x, result.target.index, ranks, boxes=boxes), LITE0_STEPS)


def largest_difference(pair: Pair, examples: list[Example]) -> float:
    return max(float(np.abs(pair.ours(example) - pair.theirs(example)).max()) for example in examples)


def print_metrics(small: list[Example], real: list[Example]) -> None:
    """Print the first table: metrics that are defined alike."""
    print("| metric | tool | its name | tiny, 4 maps | EfficientNet-Lite0, 2 maps | the figure there |")
    print("|---|---|---|---|---|---|")
    for pair in PAIRS:
        if not is_installed(pair.module):
            continue
        figures = pair.ours(real[0])
        shown = ", ".join(f"{figure:.4f}" for figure in figures) if len(figures) < 3 else f"{len(figures)} points"
        cells = (f"{largest_difference(pair, examples):.1e}" for examples in (small, real))
        print(
            f"| {pair.metric} | {DISTRIBUTIONS[pair.module]} | {pair.name} | {' | '.join(cells)} | {shown} |",
            flush=True,
        )


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


def own_average_drops() -> tuple[float, float]:
    """Return Average Drop of Grad-CAM's map, as a share: ours, and torchcam's with its own extractor."""
    model = onnx_cam.load(demo_model(), device="cpu")
    x = open_picture(demo_image(), model.preprocessing, 3, model.size).network_input
    result = onnx_cam.explain(model, demo_image(), method="gradcam")
    ours = AverageDrop().measure(MaskedImage(model, x, result.target.index, result.cam)).value
    network = Lite0(demo_weights())
    with GradCAM(network, LAYER, input_shape=x.shape) as extractor:
        metric = ClassificationMetric(extractor, lambda logits: torch.softmax(logits, dim=-1))
        metric.update(torch.from_numpy(x[None]), class_idx=result.target.index)
    assert ours is not None
    return ours / 100, metric.summary()["avg_drop"]


def print_differences(real: list[Example]) -> None:
    """Print where definitions differ, and by how much in two cases that are easily confused."""
    print("| tool | what it computes | what onnx-cam computes |\n|---|---|---|")
    for row in DIFFERENCES:
        print(f"| {' | '.join(row)} |")
    ours, theirs = own_average_drops()
    print(
        f"\nAverage Drop of Grad-CAM's map of the cat: {ours:.4f} with the map scaled after upsampling, "
        f"{theirs:.4f} by torchcam with its own extractor, which scales it before."
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
    print("The largest differences, as absolute numbers; figures in per cent are divided by 100.\n")
    small, real = list(tiny_examples()), [example for _, example in lite0_examples()]
    print_metrics(small, real)
    print("\n## CAM\n")
    print_cam()
    print("\n## Where definitions differ\n")
    print_differences(real)


if __name__ == "__main__":
    main()
