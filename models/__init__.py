"""The papers' networks as plain torch modules, and the catalogue of models that were checked.

Importing this package does not import torch; building a network does.

Examples
--------
>>> sorted(NETWORKS)
['alexnet', 'mobilenet_v2', 'resnet18', 'squeezenet1_0', 'vgg16']
>>> network = NETWORKS["squeezenet1_0"](classes=3)
>>> network.classifier[1].weight.shape
torch.Size([3, 512, 1, 1])
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORKS"]


def _network(module: str, name: str) -> Callable[..., nn.Module]:
    def build(classes: int = 1000) -> nn.Module:
        network: nn.Module = getattr(import_module(f"models.{module}"), name)(classes)
        return network

    return build


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "alexnet": _network("alexnet", "AlexNet"),
    "mobilenet_v2": _network("mobilenet_v2", "MobileNetV2"),
    "resnet18": _network("resnet", "ResNet18"),
    "squeezenet1_0": _network("squeezenet", "SqueezeNet"),
    "vgg16": _network("vgg", "VGG16"),
}
"""Maps torchvision's name of a network to its factory, whose only argument is ``classes``, the number of scores."""
