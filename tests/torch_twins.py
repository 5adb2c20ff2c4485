"""The networks of the tests as torch modules with the same weights, for other tools that need torch."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from tests import tiny


class Tiny(nn.Module):
    """The network of `tests.tiny`."""

    def __init__(self, constant: float = 0.7) -> None:
        super().__init__()
        weights = {name: torch.from_numpy(value) for name, value in tiny.weights(constant=constant).items()}
        self.conv1 = nn.Conv2d(3, tiny.CHANNELS, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(tiny.CHANNELS, tiny.CHANNELS, 3, stride=2, padding=1)
        self.relu2 = nn.ReLU()
        self.linear = nn.Linear(tiny.CHANNELS, tiny.CLASSES)
        for i, layer in enumerate((self.conv1, self.conv2, self.linear), start=1):
            layer.load_state_dict({"weight": weights[f"w{i}"], "bias": weights[f"b{i}"]})
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.conv2(torch.relu(self.conv1(x))))
        return cast(Tensor, self.linear(x.mean(dim=(2, 3))))


class _SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding."""

    def forward(self, input: Tensor) -> Tensor:
        pads: list[int] = []
        for n, k, s in zip(reversed(input.shape[2:]), reversed(self.kernel_size), reversed(self.stride), strict=True):
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(nn.functional.pad(input, pads))


class _InvertedResidual(nn.Module):
    def __init__(self, inner: int, outer: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inner * expansion
        if expansion != 1:
            self._expand_conv = nn.Conv2d(inner, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3)
        self._depthwise_conv = _SameConv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3)
        self._project_conv = nn.Conv2d(wide, outer, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outer, eps=1e-3)
        self.shortcut = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return y + x if self.shortcut else cast(Tensor, y)


class Lite0(nn.Module):
    """EfficientNet-Lite0, with parameters named as in the checkpoint, so that it loads strictly."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        stages = [
            (1, 3, 1, 1, 32, 16),
            (2, 3, 2, 6, 16, 24),
            (2, 5, 2, 6, 24, 40),
            (3, 3, 2, 6, 40, 80),
            (3, 5, 1, 6, 80, 112),
            (4, 5, 2, 6, 112, 192),
            (1, 3, 1, 6, 192, 320),
        ]
        self._conv_stem = _SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList(
            _InvertedResidual(inner if i == 0 else outer, outer, kernel, stride if i == 0 else 1, expansion)
            for repeats, kernel, stride, expansion, inner, outer in stages
            for i in range(repeats)
        )
        self._conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self.head = nn.ReLU6()
        self._fc = nn.Linear(1280, 1000)
        self.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = self.head(self._bn1(self._conv_head(x)))
        return cast(Tensor, self._fc(x.mean(dim=(2, 3))))
