"""AlexNet, with torchvision's parameter names."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

__all__ = ["AlexNet"]


class AlexNet(nn.Module):
    """AlexNet, which maps images ``(B, 3, H, W)`` to logits ``(B, classes)``.

    References
    ----------
    Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014, footnote 1. This is
    torchvision's variant, with a single column.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):  # only shapes, without memory for the weights
    ...     AlexNet(classes=3)(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 3])
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.classifier(self.avgpool(self.features(x)).flatten(1)))
