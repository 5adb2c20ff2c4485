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
"""Table 2: expansion, channels, repeats, and the stride of the first."""


def _convolution(inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outer),
        nn.ReLU6(),
    )


class _InvertedResidual(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.shortcut = stride == 1 and inner == outer
        self.conv = nn.Sequential(
            *([] if expansion == 1 else [_convolution(inner, wide, 1)]),
            _convolution(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, outer, 1, bias=False),
            nn.BatchNorm2d(outer),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return x + y if self.shortcut else cast(Tensor, y)


def _layers() -> Iterator[nn.Module]:
    inner = 32
    yield _convolution(3, inner, 3, 2)
    for expansion, outer, repeats, stride in _STAGES:
        for i in range(repeats):
            yield _InvertedResidual(inner, outer, stride if i == 0 else 1, expansion)
            inner = outer
    yield _convolution(inner, 1280, 1)


class MobileNetV2(nn.Module):
    """MobileNetV2: images (B, 3, H, W) to logits (B, classes).

    References
    ----------
    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, table 2.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers())
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return cast(Tensor, self.classifier(pooled.flatten(1)))
