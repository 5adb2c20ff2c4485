"""Negative logarithms of probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind

__all__ = ["NegativeLog"]


@dataclass(frozen=True)
class NegativeLog(HeadKind):
    """The negative log-likelihood of each class, so that the lowest number is the likeliest class.

    Examples
    --------
    >>> NegativeLog().probabilities(-np.log([[0.5, 0.5]]))
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "negative-log"
    expected: ClassVar[str] = "negative logarithms of numbers that sum to 1 over the classes"
    sums_to_one: ClassVar[bool] = True

    def probabilities(self, values: Doubles) -> Doubles:
        """Return the exponential of the negated numbers."""
        return np.exp(-values)

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append a Neg and an Exp."""
        return emission.add("Exp", emission.add("Neg", values))
