"""A softmax: probabilities that sum to 1 over the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind

__all__ = ["Softmax"]


@dataclass(frozen=True)
class Softmax(HeadKind):
    """The graph's own Softmax: its numbers are the probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax().probabilities(np.array([[0.25, 0.75]]))
    array([[0.25, 0.75]])
    """

    name: ClassVar[str] = "softmax"
    operators: ClassVar[tuple[str, ...]] = ("Softmax", "QLinearSoftmax")
    expected: ClassVar[str] = "numbers from 0 to 1 that sum to 1 over the classes"
    sums_to_one: ClassVar[bool] = True

    def probabilities(self, values: Doubles) -> Doubles:
        """Return the numbers as they are."""
        return values

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append nothing."""
        return values
