"""Logits of a multi-label model: each has a sigmoid of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind, both_classes, sigmoid

__all__ = ["MultiLabel"]


@dataclass(frozen=True)
class MultiLabel(HeadKind):
    """The output of a linear layer whose sigmoids are probabilities, each of a class by itself.

    Nothing in a graph tells such numbers from those that a softmax belongs to.

    Examples
    --------
    >>> MultiLabel().probabilities(np.zeros((1, 3)))
    array([[0.5, 0.5, 0.5]])
    """

    name: ClassVar[str] = "multi-label"
    expected: ClassVar[str] = "numbers of any sign"

    def probabilities(self, values: Doubles) -> Doubles:
        """Return the sigmoids; of a single number both classes."""
        shares = sigmoid(values)
        return np.concatenate([1 - shares, shares], axis=1) if values.shape[1] == 1 else shares

    def fits(self, values: Doubles, *, slack: float = 1e-3) -> bool:
        """Return True: any number can be a logit."""
        return True

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append a Sigmoid, and 1 − p before a single p."""
        shares = emission.add("Sigmoid", values)
        return both_classes(emission, shares) if binary else shares
