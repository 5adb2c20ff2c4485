"""The named variants against the tools that they are named after, on the same weights."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchcam.methods import ISCAM, SSCAM, ScoreCAM

import onnx_cam
from onnx_cam.classifier import Classifier
from onnx_cam.demo import demo_weights
from onnx_cam.picture import open_picture
from onnx_cam.runtime.noise import noise_field
from tests import tiny
from tests.torch_twins import Lite0, Tiny

TOLERANCE = 1e-4  # of the map's maximum
SEED = 5
SAMPLES = 3
PEERS = {"scorecam": ScoreCAM, "sscam1": SSCAM, "iscam": ISCAM}


class OurNoise:
    """Hands torchcam our noise fields: its `sample` returns the next one, the same for all channels."""

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma
        self.step = 0

    def sample(self, size: torch.Size) -> torch.Tensor:
        field = self.sigma * noise_field(SEED, self.step, tuple(size[2:]))
        self.step += 1
        return torch.from_numpy(field).expand(size)


def torchcam_map(module: torch.nn.Module, layer: str, x: np.ndarray, target: int, method: str) -> np.ndarray:
    samples = {} if method == "scorecam" else {"num_samples": SAMPLES}
    with PEERS[method](module, layer, input_shape=x.shape, **samples) as extractor:
        if method == "sscam1":
            extractor._distrib = OurNoise(extractor.std)
        with torch.inference_mode():
            module(torch.from_numpy(x[None]))
        return np.asarray(extractor(target, normalized=False)[0][0])


def largest_difference(found: np.ndarray, reference: np.ndarray) -> float:
    assert reference.max() > 0
    return float(np.abs(found - reference).max() / reference.max())


def settings(method: str) -> dict[str, Any]:
    return {"variant": "torchcam", "seed": SEED, **({} if method == "scorecam" else {"samples": SAMPLES})}


@pytest.mark.parametrize("method", sorted(PEERS))
@pytest.mark.parametrize("target", range(tiny.CLASSES))
def test_torchcam_on_a_tiny_network(method: str, target: int, tiny_classifier: Classifier) -> None:
    x = tiny.image(target)
    reference = torchcam_map(Tiny(), "relu2", x, target, method)
    result = onnx_cam.explain(tiny_classifier, x, method=method, target=target, **settings(method))
    assert largest_difference(result.cam, reference) < TOLERANCE


@pytest.fixture(scope="module")
def lite0_torch() -> Lite0:
    return Lite0(demo_weights())


@pytest.mark.parametrize("method", sorted(PEERS))
def test_torchcam_on_a_real_network(method: str, lite0: Classifier, lite0_torch: Lite0, photo: Path) -> None:
    x = open_picture(photo, lite0.preprocessing, 3, lite0.size).network_input
    reference = torchcam_map(lite0_torch, "_blocks.10._bn2", x, 285, method)
    result = onnx_cam.explain(lite0, photo, method=method, target=285, layer="_blocks.10._bn2", **settings(method))
    assert result.layer_shape == (112, 14, 14)
    assert largest_difference(result.cam, reference) < TOLERANCE


def test_the_rebuilt_graph_is_the_torch_network(lite0: Classifier, lite0_torch: Lite0, photo: Path) -> None:
    x = open_picture(photo, lite0.preprocessing, 3, lite0.size).network_input[None]
    with torch.inference_mode():
        reference = lite0_torch(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(lite0.score(x, "logit"), reference, atol=1e-4 * np.abs(reference).max())


@pytest.fixture(scope="module")
def grad_cam() -> Any:
    """grad-cam's Score-CAM, where it is installed: it imports torchvision, whose operators a CPU torch lacks."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        schema = f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    return pytest.importorskip("pytorch_grad_cam", exc_type=ImportError).ScoreCAM


@pytest.mark.parametrize("target", range(tiny.CLASSES))
def test_pytorch_grad_cam_on_a_tiny_network(target: int, grad_cam: Any, tmp_path: Path) -> None:
    """Without a map that is constant above 0: grad-cam divides its rounding errors by 1e-8 to make a mask of them."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    x = tiny.image(target)
    module = Tiny(constant=0.0)
    classifier = onnx_cam.load(tiny.save(tiny.model(constant=0.0), tmp_path), device="cpu", preprocess="none")
    peer = grad_cam(module, [module.relu2])
    weights = functools.partial(peer.get_cam_weights, torch.from_numpy(x[None]), module.relu2)
    maps = classifier.activations(classifier.layer("relu2"), x)[0]
    reference = weights([ClassifierOutputTarget(target)], maps[None], None)[0]
    result = onnx_cam.explain(classifier, x, variant="pytorch-grad-cam", target=target)
    np.testing.assert_allclose(result.weights, reference, atol=TOLERANCE * reference.max())
