"""Logits: numbers of any sign, which a softmax turns into probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind, sigmoid, softmax

__all__ = ["Logits"]


@dataclass(frozen=True)
class Logits(HeadKind):
    """The output of a linear layer: its softmax is the probability. A single logit z stands for the logits 0 and z.

    Examples
    --------
    >>> Logits().probabilities(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    >>> Logits().probabilities(np.zeros((1, 1)))
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "logits"
    expected: ClassVar[str] = "numbers of any sign"

    def probabilities(self, values: Doubles) -> Doubles:
        """Return the softmax over the classes; of a single logit 1 − sigmoid and sigmoid."""
        if values.shape[1] == 1:
            return np.concatenate([sigmoid(-values), sigmoid(values)], axis=1)
        return softmax(values)

    def fits(self, values: Doubles, *, slack: float = 1e-3) -> bool:
        """Return True: any number can be a logit."""
        return True

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append a Softmax; a single logit z is scored as the two logits 0 and z."""
        if binary:
            values = emission.add("Concat", emission.add("Sub", values, values), values, axis=1)
        return emission.add("Softmax", values, axis=1)
