"""How far every method and variant is from its slow reference, and the `torchcam` variants from torchcam.

    python -m benchmarks.agreement [> benchmarks/results/agreement.md]

Largest difference of the maps L over the reference's maximum, float32 on the CPU: on the tiny network of the tests (all
classes) and on EfficientNet-Lite0 with scikit-image's photo of a cat, at layers small enough for one pass at a time.
"""

from __future__ import annotations

import platform
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import onnx_cam
from onnx_cam.demo import demo_image, demo_model, demo_weights
from onnx_cam.explain import package_versions
from onnx_cam.methods import METHODS
from onnx_cam.picture import open_picture
from tests import tiny
from tests.oracle import REFERENCES, Case, Network
from tests.test_methods_oracles import SMALL_SIGMA
from tests.test_methods_peers import PEERS, SAMPLES, SEED, torchcam_map
from tests.torch_twins import Lite0, Tiny

LAYER = "_blocks.10._bn2"  # 112 channels, 14×14
SMALL_LAYER = "_blocks.0._bn2"  # 16 channels, 112×112, for sscam-max's two passes


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


def shown(value: float | None) -> str:
    return "both empty" if value is None else f"{value:.1e}"


def main() -> None:
    """Print the table as Markdown."""
    with TemporaryDirectory() as folder:
        small = onnx_cam.load(tiny.save(tiny.model(), Path(folder)), device="cpu", preprocess="none")
        real = onnx_cam.load(demo_model(), device="cpu")
        versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
        print("# Agreement with the references\n")
        print(f"`python -m benchmarks.agreement` on {platform.machine()}, CPU; {versions}. N = {SAMPLES}.\n")
        print("Tiny: the network of the tests. Lite0: EfficientNet-Lite0.\n")
        print("| method | variant | reference, tiny | reference, Lite0 | torchcam, tiny | torchcam, Lite0 |")
        print("|---|---|---|---|---|---|")
        for method, variant in REFERENCES:
            peer = ("–", "–")
            if variant == "torchcam" and method in PEERS:
                peer = tuple(shown(value) for value in against_torchcam(method, small, real))  # type: ignore[assignment]
            ours = shown(oracle_on_tiny(method, variant, small)), shown(oracle_on_lite0(method, variant, real))
            print(f"| {method} | {variant} | {ours[0]} | {ours[1]} | {peer[0]} | {peer[1]} |", flush=True)


if __name__ == "__main__":
    main()
