"""Probabilities in another unit, such as per cent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind, both_classes

__all__ = ["Scaled"]


@dataclass(frozen=True)
class Scaled(HeadKind):
    """Numbers ``y = factor · p + shift`` of probabilities p. A single p stands for the classes 1 − p and p.

    Parameters
    ----------
    factor : float
        What the probabilities were multiplied by; not 0.
    shift : float
        What was added to them then.

    Examples
    --------
    >>> Scaled(255.0).probabilities(np.array([[51.0, 204.0]]))
    array([[0.2, 0.8]])
    """

    name: ClassVar[str] = "scaled"
    expected: ClassVar[str] = "probabilities in another unit"

    factor: float = 1.0
    shift: float = 0.0

    def probabilities(self, values: Doubles) -> Doubles:
        """Return ``(y − shift) / factor``; of a single number 1 − p and p."""
        shares = (values - self.shift) / self.factor
        return np.concatenate([1 - shares, shares], axis=1) if values.shape[1] == 1 else shares

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append a Sub and a Div, and 1 − p before a single p."""
        shifted = emission.add("Sub", values, np.array(self.shift, np.float64))
        shares = emission.add("Div", shifted, np.array(self.factor, np.float64))
        return both_classes(emission, shares) if binary else shares
