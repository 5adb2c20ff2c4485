"""How far every method and variant is from its slow reference, and from the tool that it is named after.

    python -m benchmarks.agreement [> benchmarks/results/agreement.md]

Largest difference of the maps L over the reference's maximum, float32 on the CPU. First on the tiny network of the
tests (all classes) and on EfficientNet-Lite0 with a photo of a cat, at layers small enough for one pass at a
time. Then the gradient family and grad-cam's Score-CAM on the networks of `models/`, each exported to ONNX by the torch
exporter's functions, against torchcam, captum and grad-cam on the torch network: their maps as they are before any
resizing and normalising. grad-cam, and MobileNetV2's trained weights, where they are installed.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

import onnx_cam
from onnx_cam.demo import demo_image, demo_model, demo_weights
from onnx_cam.explanation.versions import package_versions
from onnx_cam.image.picture import open_picture
from onnx_cam.methods import METHODS
from tests import tiny
from tests.methods.test_oracles import SMALL_SIGMA
from tests.oracle import REFERENCES, Case, Network
from tests.paper_networks import exported, mobilenet_checkpoint, seeded_network, trained_mobilenet
from tests.peers import (
    GRAD_CAM,
    SAMPLES,
    SEED,
    TORCHCAM,
    TORCHCAM_GRADIENTS,
    PeerMap,
    captum_map,
    grad_cam_map,
    import_grad_cam,
    named_variant,
    torchcam_gradient_map,
    torchcam_map,
)
from tests.torch_twins import Lite0, Tiny

LAYER = "_blocks.10._bn2"  # 112 channels, 14×14
SMALL_LAYER = "_blocks.0._bn2"  # 16 channels, 112×112, for sscam-max's two passes

NETWORKS: dict[str, tuple[Any, ...]] = {
    "alexnet": (224, "features.12", "features.7"),
    "mobilenet_v2": (128, "features.18", "features.14"),
    "resnet18": (128, "layer4", "layer3"),
    "squeezenet1_0": (128, "features.12", "features.7"),
    "vgg16": (224, "features.29"),
}
"""To the size of the input (where the pooling leaves a choice, a small one) and the layers that are explained."""

NO_SCORECAM = ("vgg16",)  # 512 passes of 15 GFLOP, twice
CLASSES = 1000
TARGETS = 3  # the likeliest classes; one for Score-CAM
COMPARISONS: list[tuple[str, str, PeerMap]] = [
    *(("torchcam", method, torchcam_gradient_map) for method in TORCHCAM_GRADIENTS),
    ("captum", "gradcam", captum_map),
    *(("grad-cam", method, grad_cam_map) for method in GRAD_CAM),
]
"""Peer, method, and the peer's map."""


def relative(found: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the largest difference over the reference's maximum; None where both maps are empty."""
    if not reference.max() and not found.max():
        return None
    return float(np.abs(found - reference).max() / reference.max())


def settings(method: str) -> dict[str, Any]:
    return {} if method == "scorecam" else {"samples": SAMPLES}


def oracle_on_tiny(method: str, variant: str, model: onnx_cam.Classifier) -> float | None:
    sigma = SMALL_SIGMA.get((method, variant))
    found = [_oracle_on_tiny(method, variant, model, target, sigma) for target in range(tiny.CLASSES)]
    return max((value for value in found if value is not None), default=None)


def _oracle_on_tiny(
    method: str, variant: str, model: onnx_cam.Classifier, target: int, sigma: float | None
) -> float | None:
    made = METHODS[method](variant=variant, **settings(method))
    x = tiny.image(target)
    case = Case(
        Network(model.file.proto, "relu2", "logits"),
        x.astype(np.float64),
        target,
        seed=SEED,
        samples=int(getattr(made, "samples", 1)),
        sigma=float(getattr(made, "sigma", 0) if sigma is None else sigma),
        head=tiny.weights()["w3"].astype(np.float64),
    )
    result = onnx_cam.explain(
        model, x, method=method, variant=variant, target=target, seed=SEED, sigma=sigma, **settings(method)
    )
    return relative(result.cam, REFERENCES[method, variant](case))


def oracle_on_lite0(method: str, variant: str, model: onnx_cam.Classifier) -> float | None:
    made = METHODS[method](variant=variant, **settings(method))
    layer = SMALL_LAYER if method == "sscam-max" else LAYER
    x = open_picture(demo_image(), model.preprocessing, 3, model.size).network_input
    result = onnx_cam.explain(
        model, demo_image(), method=method, variant=variant, layer=layer, seed=SEED, **settings(method)
    )
    case = Case(
        Network(model.file.proto, layer, "logits"),
        x.astype(np.float64),
        result.target.index,
        seed=SEED,
        samples=int(getattr(made, "samples", 1)),
        sigma=float(getattr(made, "sigma", 0)),
    )
    return relative(result.cam, REFERENCES[method, variant](case))


def against_torchcam(method: str, small: onnx_cam.Classifier, real: onnx_cam.Classifier) -> tuple[float, float]:
    chosen = {"method": method, "variant": "torchcam", "seed": SEED, **settings(method)}
    differences = [
        relative(
            onnx_cam.explain(small, tiny.image(target), target=target, **chosen).cam,
            torchcam_map(Tiny(), "relu2", tiny.image(target), target, method),
        )
        for target in range(tiny.CLASSES)
    ]
    x = open_picture(demo_image(), real.preprocessing, 3, real.size).network_input
    result = onnx_cam.explain(real, demo_image(), layer=LAYER, target=285, **chosen)
    there = relative(result.cam, torchcam_map(Lite0(demo_weights()), LAYER, x, 285, method))
    return max(d or 0.0 for d in differences), there or 0.0


def networks() -> Iterator[tuple[str, nn.Module, int, tuple[str, ...]]]:
    """Make each network of the papers: its name, itself, the size of its input, and the layers to explain."""
    for name, (size, *layers) in NETWORKS.items():
        yield name, seeded_network(name, CLASSES, size), size, tuple(layers)
    checkpoint = mobilenet_checkpoint()
    if checkpoint is not None:
        size, *layers = NETWORKS["mobilenet_v2"]
        yield "mobilenet_v2, trained", trained_mobilenet(checkpoint), size, tuple(layers)


def against_peers(name: str, network: nn.Module, size: int, layer: str) -> Iterator[tuple[str, str, float | None]]:
    """Return peer, method and the largest difference over the classes, for one exported file."""
    with TemporaryDirectory() as folder:
        model = onnx_cam.load(exported(network, layer, size, Path(folder)), device="cpu")
    x = open_picture(demo_image(), model.preprocessing, 3, model.size).network_input
    for peer, method, peer_map in COMPARISONS:
        if (peer == "grad-cam" and not has_grad_cam()) or (method == "scorecam" and name in NO_SCORECAM):
            continue
        targets = 1 if method == "scorecam" else TARGETS
        found = onnx_cam.explain(
            model, demo_image(), method=method, variant=named_variant(method), target=f"top{targets}"
        )
        assert isinstance(found, list)
        apart = [relative(one.cam, peer_map(network, layer, x, one.target.index, method)) for one in found]
        yield peer, method, max((value for value in apart if value is not None), default=None)


def has_grad_cam() -> bool:
    try:
        import_grad_cam()
    except ImportError:
        return False
    return True


def shown(value: float | None) -> str:
    return "both empty" if value is None else f"{value:.1e}"


def print_references() -> None:
    """Print the table of the slow references."""
    with TemporaryDirectory() as folder:
        small = onnx_cam.load(tiny.save(tiny.model(), Path(folder)), device="cpu", preprocess="none")
        real = onnx_cam.load(demo_model(), device="cpu")
        print("| method | variant | reference, tiny | reference, Lite0 | torchcam, tiny | torchcam, Lite0 |")
        print("|---|---|---|---|---|---|")
        for method, variant in REFERENCES:
            peer = ("–", "–")
            if variant == "torchcam" and method in TORCHCAM:
                peer = tuple(shown(value) for value in against_torchcam(method, small, real))  # type: ignore[assignment]
            ours = shown(oracle_on_tiny(method, variant, small)), shown(oracle_on_lite0(method, variant, real))
            print(f"| {method} | {variant} | {ours[0]} | {ours[1]} | {peer[0]} | {peer[1]} |", flush=True)


def print_peers() -> None:
    """Print the table of the networks of the papers."""
    columns = [f"{method}, {peer}" for peer, method, _ in COMPARISONS]
    print(f"| network, layer, input | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for name, network, size, layers in networks():
        for layer in layers:
            found = {f"{method}, {peer}": shown(d) for peer, method, d in against_peers(name, network, size, layer)}
            print(f"| {name}, {layer}, {size} | {' | '.join(found.get(c, '–') for c in columns)} |", flush=True)


def main() -> None:
    """Print the tables as Markdown."""
    versions = ", ".join(f"{name} {found}" for name, found in package_versions().items())
    peers = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchcam", "captum"))
    peers += f", grad-cam {version('grad-cam')}" if has_grad_cam() else ", without grad-cam"
    print("# Agreement with the references\n")
    print(f"`python -m benchmarks.agreement` on {platform.machine()}, CPU; {versions}; {peers}. N = {SAMPLES}.\n")
    print("## Every variant\n\nTiny: the network of the tests. Lite0: EfficientNet-Lite0.\n")
    print_references()
    print(f"\n## The networks of the papers\n\nSeeded weights; {TARGETS} classes, one for Score-CAM.\n")
    print_peers()


if __name__ == "__main__":
    main()
