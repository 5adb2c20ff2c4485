"""Small torch networks that the exporter imports by name."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class _Small(nn.Module):
    """Convolutions and a linear layer, with in-place ReLUs as in torchvision, and a module that is never called."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.body = nn.Sequential(nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.tail = nn.Conv2d(12, 12, 3, padding=1)
        self.unused = nn.Conv2d(12, 12, 1)
        self.fc = nn.Linear(12, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.stem(x)))
        x = self.relu(self.tail(self.body(x)))
        return cast(Tensor, self.fc(x.mean(dim=(2, 3))))


def factory(classes: int = 5) -> nn.Module:
    """Return a small network."""
    return _Small(classes)


class _Random(_Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + torch.rand(()))


def never_twice_the_same() -> nn.Module:
    """Return a network whose result is random, so that no export agrees with it."""
    return _Random(5)


class _Fixed(_Small):
    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.norm(self.stem(x)))
        return cast(Tensor, self.fc(nn.functional.adaptive_avg_pool2d(x, 5).mean(dim=(2, 3))))


def of_one_size() -> nn.Module:
    """Return a network whose pooling ONNX can express only at a fixed input size."""
    return _Fixed(5)


class _Named(nn.Module):
    """A network whose modules have the names of the graph's input and output."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(1, 6, 3, padding=1)
        self.same = nn.Identity()
        self.scores = nn.Conv2d(6, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.scores(self.same(self.image(x)).relu())
        return torch.softmax(x.mean(dim=(2, 3)), dim=1)


def named_alike() -> nn.Module:
    """Return a network that takes grey images."""
    return _Named()


class _Pair(_Small):
    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, (super().forward(x), x))


def two_results() -> nn.Module:
    """Return a network that returns more than the scores."""
    return _Pair(5)


def broken() -> nn.Module:
    """Raise an error whose message has two lines."""
    raise ValueError("no such thing\nas this")


def no_module() -> int:
    """Return something other than a network."""
    return 3


def program() -> nn.Module:
    """Exit, like a training script that parses its own command line."""
    raise SystemExit(2)
