"""Every method and variant against the slow reference of METHODS.md."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import onnx
import pytest

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.image.picture import open_picture
from onnx_cam.methods import METHODS
from tests import tiny
from tests.gradient_oracle import GRADIENT_REFERENCES
from tests.oracle import REFERENCES, Case, Network

TOLERANCE = 1e-4  # of the map's maximum, METHODS.md
SAMPLES = 3
PAIRS = sorted(REFERENCES)


def test_every_variant_has_a_reference() -> None:
    pairs = {(name, variant) for name, method in METHODS.items() for variant in method.variants}
    assert set(REFERENCES) | set(GRADIENT_REFERENCES) == pairs


def settings(method: str) -> dict[str, Any]:
    return {} if method == "scorecam" else {"samples": SAMPLES}


def difference(found: np.ndarray, reference: np.ndarray) -> float:
    assert reference.max() > 0
    return float(np.abs(found - reference).max() / reference.max())


def case_for(network: Network, x: np.ndarray, method: str, variant: str, target: int, **extra: object) -> Case:
    made = METHODS[method](variant=variant, **settings(method))
    sigma = float(getattr(made, "sigma", 0.0))
    samples = int(getattr(made, "samples", 1))
    return Case(network, x.astype(np.float64), target, samples=samples, sigma=sigma, **extra)  # type: ignore[arg-type]


# The equation's σ drowns the tiny image, so that its maps are empty: a smaller one tests the same formula.
SMALL_SIGMA = {("sscam1", "paper"): 0.3, ("sscam2", "paper"): 0.3}


@pytest.mark.parametrize(("method", "variant"), PAIRS)
@pytest.mark.parametrize("softmax", [False, True])
def test_agrees_with_the_reference_on_a_tiny_graph(
    method: str, variant: str, softmax: bool, tmp_path: pytest.TempPathFactory
) -> None:
    proto = tiny.softmax_model() if softmax else tiny.model()
    classifier = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")  # type: ignore[arg-type]
    network = Network(proto, "relu2", "logits")
    x = tiny.image(zlib.crc32(f"{method} {variant}".encode()) % 1000)
    target = int(np.argmax(network.logit(x.astype(np.float64))))
    case = case_for(network, x, method, variant, target, seed=7, head=tiny.weights()["w3"].astype(np.float64))
    sigma = SMALL_SIGMA.get((method, variant))
    case.sigma = sigma if sigma is not None else case.sigma
    result = onnx_cam.explain(
        classifier,
        x,
        method=method,
        variant=variant,
        target=target,
        seed=7,
        batch_size=4,
        sigma=sigma,
        **settings(method),
    )
    assert result.layer == "relu2"
    assert difference(result.cam, REFERENCES[method, variant](case)) < TOLERANCE


@pytest.mark.parametrize(("method", "variant"), PAIRS)
def test_agrees_with_the_reference_on_a_real_model(method: str, variant: str, lite0: Classifier, photo: str) -> None:
    layer = "_blocks.3._bn2" if method != "sscam-max" else "_blocks.0._bn2"  # (40, 28, 28), (16, 112, 112)
    x = open_picture(photo, lite0.preprocessing, 3, lite0.size).network_input
    sigma = SMALL_SIGMA.get((method, variant))
    result = onnx_cam.explain(
        lite0, photo, method=method, variant=variant, layer=layer, sigma=sigma, **settings(method)
    )
    network = Network(lite0.file.proto, layer, "logits")
    case = case_for(network, x, method, variant, result.target.index)
    case.sigma = case.sigma if sigma is None else sigma
    assert difference(result.cam, REFERENCES[method, variant](case)) < TOLERANCE


def test_sscam_max_weighs_the_maps_by_the_linear_layer(lite0: Classifier, photo: str) -> None:
    head = lite0.linear_head(lite0.layer("_bn1.relu6"))
    stored = next(w for w in lite0.file.proto.graph.initializer if w.name == "_fc.weight")
    assert head is not None
    np.testing.assert_array_equal(head, onnx.numpy_helper.to_array(stored))


@pytest.mark.parametrize("baseline", ["zero", "black", "mean", "blur"])
@pytest.mark.parametrize("score", ["probability", "logit"])
def test_agrees_with_the_reference_for_every_baseline_and_score(
    baseline: str, score: str, tiny_path: str, tmp_path: str
) -> None:
    import cv2

    classifier = onnx_cam.load(tiny_path, device="cpu", preprocess="imagenet")
    pixels = np.random.default_rng(3).integers(0, 256, (SIZE := tiny.SIZE, SIZE, 3), np.uint8)
    x = open_picture(pixels, classifier.preprocessing, 3, classifier.size).network_input.astype(np.float64)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x_b = {
        "zero": np.zeros_like(x),
        "black": np.broadcast_to((-mean / std)[:, None, None], x.shape),
        "mean": np.broadcast_to(x.mean(axis=(1, 2), keepdims=True), x.shape),
        "blur": np.stack([cv2.GaussianBlur(channel, (11, 11), 5) for channel in x]),
    }[baseline]
    network = Network(classifier.file.proto, "relu2", "logits")
    compared = 0
    for target in range(tiny.CLASSES):
        case = Case(network, x, target, score=score, x_b=np.array(x_b))
        reference = REFERENCES["scorecam", "paper"](case)
        result = onnx_cam.explain(classifier, pixels, target=target, score=score, baseline=baseline)  # type: ignore[call-overload]
        assert result.empty == (not reference.any())
        if reference.any():
            assert difference(result.cam, reference) < TOLERANCE
            compared += 1
    assert compared
