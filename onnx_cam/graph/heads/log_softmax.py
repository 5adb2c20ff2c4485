"""A log-softmax: logarithms of probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind

__all__ = ["LogSoftmax"]


@dataclass(frozen=True)
class LogSoftmax(HeadKind):
    """The graph's own LogSoftmax: the exponential of its numbers is the probability.

    Examples
    --------
    >>> LogSoftmax().probabilities(np.log([[0.5, 0.5]]))
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "log-softmax"
    operators: ClassVar[tuple[str, ...]] = ("LogSoftmax",)
    expected: ClassVar[str] = "logarithms of numbers that sum to 1 over the classes"
    sums_to_one: ClassVar[bool] = True

    def probabilities(self, values: Doubles) -> Doubles:
        """Return the exponential of the numbers."""
        return np.exp(values)

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append an Exp."""
        return emission.add("Exp", values)
