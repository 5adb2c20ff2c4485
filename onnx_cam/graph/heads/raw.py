"""Raw numbers: no probabilities, but values that are explained as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind

__all__ = ["Raw"]


@dataclass(frozen=True)
class Raw(HeadKind):
    """The output of a regression, e.g. an age: f is the number itself, and a single number is a single target.

    Examples
    --------
    >>> import numpy as np
    >>> Raw().probabilities(np.array([[41.5]]))
    array([[41.5]])
    """

    name: ClassVar[str] = "raw"
    expected: ClassVar[str] = "any numbers"
    gives_probabilities: ClassVar[bool] = False

    def probabilities(self, values: Doubles) -> Doubles:
        """Return the numbers as they are."""
        return values

    def fits(self, values: Doubles, *, slack: float = 1e-3) -> bool:
        """Return True: any number is a number."""
        return True

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append nothing."""
        return values
