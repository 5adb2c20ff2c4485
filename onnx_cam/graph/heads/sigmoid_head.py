"""A sigmoid: a probability for each class by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind, both_classes

__all__ = ["Sigmoid"]


@dataclass(frozen=True)
class Sigmoid(HeadKind):
    """The graph's own Sigmoid, as of a multi-label model. A single probability p stands for the classes 1 − p and p.

    Examples
    --------
    >>> Sigmoid().probabilities(np.array([[0.25, 1.0, 0.0]]))
    array([[0.25, 1.  , 0.  ]])
    >>> Sigmoid().probabilities(np.array([[0.25]]))
    array([[0.75, 0.25]])
    """

    name: ClassVar[str] = "sigmoid"
    operators: ClassVar[tuple[str, ...]] = ("Sigmoid", "QLinearSigmoid")
    expected: ClassVar[str] = "numbers from 0 to 1"

    def probabilities(self, values: Doubles) -> Doubles:
        """Return the numbers as they are; of a single one 1 − p and p."""
        return np.concatenate([1 - values, values], axis=1) if values.shape[1] == 1 else values

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append nothing, or 1 − p before a single p."""
        return both_classes(emission, values) if binary else values
