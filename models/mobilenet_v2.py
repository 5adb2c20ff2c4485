"""MobileNetV2, with torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

__all__ = ["MobileNetV2"]

_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Rows of table 2: expansion, output channels, number of blocks, and the stride of the first block."""


def _convolution(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )


class _InvertedResidual(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden_channels = in_channels * expansion
        self.shortcut = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential(
            *([] if expansion == 1 else [_convolution(in_channels, hidden_channels, 1)]),
            _convolution(hidden_channels, hidden_channels, 3, stride, groups=hidden_channels),
            nn.Conv2d(hidden_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return x + y if self.shortcut else cast(Tensor, y)


def _layers() -> Iterator[nn.Module]:
    in_channels = 32
    yield _convolution(3, in_channels, 3, 2)
    for expansion, out_channels, repeats, stride in _STAGES:
        for i in range(repeats):
            yield _InvertedResidual(in_channels, out_channels, stride if i == 0 else 1, expansion)
            in_channels = out_channels
    yield _convolution(in_channels, 1280, 1)


class MobileNetV2(nn.Module):
    """MobileNetV2, which maps images ``(B, 3, H, W)`` to logits ``(B, classes)``.

    References
    ----------
    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, table 2.

    Examples
    --------
    >>> import torch
    >>> MobileNetV2(classes=3)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3])
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers())
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return cast(Tensor, self.classifier(pooled.flatten(1)))
