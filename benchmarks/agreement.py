"""How far every method and variant is from its slow reference, and from the tool that a variant is named after.

    python -m benchmarks.agreement [> benchmarks/results/agreement.md]

The figures are the largest difference of the maps L, relative to the maximum of the reference, in float32 on the CPU.
The first table is about the tiny network of the tests (all classes) and EfficientNet-Lite0 with a photo of a cat, at
layers that are small enough for one forward pass at a time.

The second table is about the networks of `models/`, each exported to ONNX by the torch exporter. The gradient methods
and grad-cam's Score-CAM are compared with torchcam, captum and grad-cam on the torch network, with their maps before
any resizing and normalising. grad-cam and the trained weights of MobileNetV2 are used if they are installed.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from torch import nn

import onnx_cam
from benchmarks.versions import versions_line
from onnx_cam.demo import demo_image, demo_model, demo_weights
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
SMALL_LAYER = "_blocks.0._bn2"  # 16 channels, 112×112: sscam-max scores every channel twice

NETWORKS: dict[str, tuple[Any, ...]] = {
    "alexnet": (224, "features.12", "features.7"),
    "mobilenet_v2": (128, "features.18", "features.14"),
    "resnet18": (128, "layer4", "layer3"),
    "squeezenet1_0": (128, "features.12", "features.7"),
    "vgg16": (224, "features.29"),
}
"""Network to the size of its input, small where its pooling allows that, and the layers to explain."""

NO_SCORECAM = ("vgg16",)  # 512 forward passes of 15 GFLOP, by both tools
CLASSES = 1000
CAT = 285  # the class of the photo, Egyptian cat
TARGETS = 3  # the most likely classes; for Score-CAM only one
COMPARISONS: list[tuple[str, str, PeerMap]] = [
    *(("torchcam", method, torchcam_gradient_map) for method in TORCHCAM_GRADIENTS),
    ("captum", "gradcam", captum_map),
    *(("grad-cam", method, grad_cam_map) for method in GRAD_CAM),
]
"""Other tool, method, and the function that returns the other tool's map."""


def relative(cam: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the largest difference, relative to the maximum of the reference; None if both maps are empty."""
    if not reference.max() and not cam.max():
        return None
    return float(np.abs(cam - reference).max() / reference.max())


def settings(method: str) -> dict[str, Any]:
    """Return the settings of a method that make it quick."""
    return {} if method == "scorecam" else {"samples": SAMPLES}


def largest(differences: Iterable[float | None]) -> float | None:
    """Return the largest difference; None if there is none, because all maps are empty."""
    return max((difference for difference in differences if difference is not None), default=None)


def oracle_on_tiny(method: str, variant: str, model: onnx_cam.Classifier) -> float | None:
    """Return the largest difference from the reference over all classes of the tiny network."""
    sigma = SMALL_SIGMA.get((method, variant))
    return largest(_oracle_on_tiny(method, variant, model, target, sigma) for target in range(tiny.CLASSES))


def _oracle_on_tiny(
    method: str, variant: str, model: onnx_cam.Classifier, target: int, sigma: float | None
) -> float | None:
    parameters = METHODS[method](variant=variant, **settings(method)).parameters
    x = tiny.image(target)
    case = Case(
        Network(model.file.proto, "relu2", "logits"),
        x.astype(np.float64),
        target,
        seed=SEED,
        samples=int(parameters.get("samples", 1)),
        sigma=float(parameters.get("sigma", 0) if sigma is None else sigma),
        head=tiny.weights()["w3"].astype(np.float64),
    )
    result = onnx_cam.explain(
        model, x, method=method, variant=variant, target=target, seed=SEED, sigma=sigma, **settings(method)
    )
    return relative(result.cam, REFERENCES[method, variant](case))


def oracle_on_lite0(method: str, variant: str, model: onnx_cam.Classifier) -> float | None:
    """Return the difference from the reference for the most likely class of a photo."""
    parameters = METHODS[method](variant=variant, **settings(method)).parameters
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
        samples=int(parameters.get("samples", 1)),
        sigma=float(parameters.get("sigma", 0)),
    )
    return relative(result.cam, REFERENCES[method, variant](case))


def against_torchcam(method: str, small: onnx_cam.Classifier, real: onnx_cam.Classifier) -> tuple[float, float]:
    """Return the largest differences from torchcam's maps, on the tiny network and on EfficientNet-Lite0."""
    method_settings = {"method": method, "variant": "torchcam", "seed": SEED, **settings(method)}
    differences = [
        relative(
            onnx_cam.explain(small, tiny.image(target), target=target, **method_settings).cam,
            torchcam_map(Tiny(), "relu2", tiny.image(target), target, method),
        )
        for target in range(tiny.CLASSES)
    ]
    x = open_picture(demo_image(), real.preprocessing, 3, real.size).network_input
    result = onnx_cam.explain(real, demo_image(), layer=LAYER, target=CAT, **method_settings)
    on_lite0 = relative(result.cam, torchcam_map(Lite0(demo_weights()), LAYER, x, CAT, method))
    return largest(differences) or 0.0, on_lite0 or 0.0


def networks() -> Iterator[tuple[str, nn.Module, int, tuple[str, ...]]]:
    """Yield each network of the papers: its name, the module, the size of its input, and the layers to explain."""
    for name, (size, *layers) in NETWORKS.items():
        yield name, seeded_network(name, CLASSES, size), size, tuple(layers)
    checkpoint = mobilenet_checkpoint()
    if checkpoint is not None:
        size, *layers = NETWORKS["mobilenet_v2"]
        yield "mobilenet_v2, trained", trained_mobilenet(checkpoint), size, tuple(layers)


def against_peers(name: str, network: nn.Module, size: int, layer: str) -> Iterator[tuple[str, str, float | None]]:
    """Yield each other tool, method and the largest difference over the classes, for one exported network."""
    with TemporaryDirectory() as folder:
        model = onnx_cam.load(exported(network, layer, size, Path(folder)), device="cpu")
    x = open_picture(demo_image(), model.preprocessing, 3, model.size).network_input
    for peer, method, peer_map in COMPARISONS:
        if (peer == "grad-cam" and not has_grad_cam()) or (method == "scorecam" and name in NO_SCORECAM):
            continue
        targets = 1 if method == "scorecam" else TARGETS
        results = onnx_cam.explain(
            model, demo_image(), method=method, variant=named_variant(method), target=f"top{targets}"
        )
        assert isinstance(results, list)
        peer_maps = [peer_map(network, layer, x, result.target.index, method) for result in results]
        yield peer, method, largest(map(relative, (result.cam for result in results), peer_maps))


def has_grad_cam() -> bool:
    try:
        import_grad_cam()
    except ImportError:
        return False
    return True


def shown(value: float | None) -> str:
    return "both empty" if value is None else f"{value:.1e}"


def print_references() -> None:
    """Print the first table: every variant, compared with its reference."""
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
    """Print the second table: the networks of the papers, compared with other tools."""
    columns = [f"{method}, {peer}" for peer, method, _ in COMPARISONS]
    print(f"| network, layer, input | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for name, network, size, layers in networks():
        for layer in layers:
            cells = {f"{method}, {peer}": shown(d) for peer, method, d in against_peers(name, network, size, layer)}
            print(f"| {name}, {layer}, {size} | {' | '.join(cells.get(c, '–') for c in columns)} |", flush=True)


@click.command()
def main() -> None:
    """Print how far maps are from slow references and from other tools, as Markdown tables."""
    peers = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchcam", "captum"))
    peers += f", grad-cam {version('grad-cam')}" if has_grad_cam() else ", without grad-cam"
    print("# Agreement with the references\n")
    print(
        f"`python -m benchmarks.agreement` on {platform.machine()}, CPU; {versions_line()}; {peers}. N = {SAMPLES}.\n"
    )
    print("## Every variant\n\nTiny is the network of the tests, Lite0 is EfficientNet-Lite0.\n")
    print_references()
    print(f"\n## The networks of the papers\n\nRandom weights from a seed; {TARGETS} classes, for Score-CAM one.\n")
    print_peers()


if __name__ == "__main__":
    main()
