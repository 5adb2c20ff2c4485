"""CAM and the named variants against the tools that have them, on the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.demo import demo_weights
from onnx_cam.image.picture import open_picture
from tests import tiny
from tests.peers import SAMPLES, SEED, TORCHCAM, grad_cam_map, torchcam_cam_map, torchcam_map
from tests.torch_twins import Lite0, Tiny

TOLERANCE = 1e-4  # of the map's maximum


def largest_difference(found: np.ndarray, reference: np.ndarray) -> float:
    assert reference.max() > 0
    return float(np.abs(found - reference).max() / reference.max())


def settings(method: str) -> dict[str, Any]:
    return {"variant": "torchcam", "seed": SEED, **({} if method == "scorecam" else {"samples": SAMPLES})}


@pytest.mark.parametrize("method", sorted(TORCHCAM))
@pytest.mark.parametrize("target", range(tiny.CLASSES))
def test_torchcam_on_a_tiny_network(method: str, target: int, tiny_classifier: Classifier) -> None:
    x = tiny.image(target)
    reference = torchcam_map(Tiny(), "relu2", x, target, method)
    result = onnx_cam.explain(tiny_classifier, x, method=method, target=target, **settings(method))
    assert largest_difference(result.cam, reference) < TOLERANCE


@pytest.mark.parametrize("target", range(tiny.CLASSES))
def test_torchcams_cam_on_a_tiny_network(target: int, tiny_classifier: Classifier) -> None:
    x = tiny.image(target)
    result = onnx_cam.explain(tiny_classifier, x, method="cam", target=target)
    reference = torchcam_cam_map(Tiny(), "relu2", x, target)  # of class 0 both maps are empty
    np.testing.assert_allclose(result.cam, reference, atol=TOLERANCE * reference.max())


@pytest.fixture(scope="module")
def lite0_torch() -> Lite0:
    return Lite0(demo_weights())


@pytest.mark.parametrize("method", sorted(TORCHCAM))
def test_torchcam_on_a_real_network(method: str, lite0: Classifier, lite0_torch: Lite0, photo: Path) -> None:
    x = open_picture(photo, lite0.preprocessing, 3, lite0.size).network_input
    reference = torchcam_map(lite0_torch, "_blocks.3._bn2", x, 285, method)
    result = onnx_cam.explain(lite0, photo, method=method, target=285, layer="_blocks.3._bn2", **settings(method))
    assert result.layer_shape == (40, 28, 28)
    assert largest_difference(result.cam, reference) < TOLERANCE


def test_the_rebuilt_graph_is_the_torch_network(lite0: Classifier, lite0_torch: Lite0, photo: Path) -> None:
    x = open_picture(photo, lite0.preprocessing, 3, lite0.size).network_input[None]
    with torch.inference_mode():
        reference = lite0_torch(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(lite0.sessions.scores(x, "logit"), reference, atol=1e-4 * np.abs(reference).max())


@pytest.mark.parametrize("target", range(tiny.CLASSES))
@pytest.mark.usefixtures("grad_cam")
def test_pytorch_grad_cam_on_a_tiny_network(target: int, tmp_path: Path) -> None:
    """Without a map that is constant above 0: grad-cam divides its rounding errors by 1e-8 to make a mask of them."""
    x = tiny.image(target)
    classifier = onnx_cam.load(tiny.save(tiny.model(constant=0.0), tmp_path), device="cpu", preprocess="none")
    result = onnx_cam.explain(classifier, x, variant="pytorch-grad-cam", target=target)
    reference = grad_cam_map(Tiny(constant=0.0), "relu2", x, target, "scorecam")
    assert largest_difference(result.cam, reference) < TOLERANCE
