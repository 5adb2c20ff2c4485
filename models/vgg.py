"""VGG-16, with torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

__all__ = ["VGG16"]

_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""The output channels of the 3×3 convolutions, column D of table 1. Each stage ends in a 2×2 max pooling."""


def _layers() -> Iterator[nn.Module]:
    in_channels = 3
    for stage in _STAGES:
        for out_channels in stage:
            yield nn.Conv2d(in_channels, out_channels, 3, padding=1)
            yield nn.ReLU()
            in_channels = out_channels
        yield nn.MaxPool2d(2, 2)


class VGG16(nn.Module):
    """VGG-16, which maps images ``(B, 3, H, W)`` to logits ``(B, classes)``.

    References
    ----------
    Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, table 1.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # only shapes, without memory for the weights
    ...     VGG16(classes=3)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3])
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers())
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.classifier(self.avgpool(self.features(x)).flatten(1)))
