"""The control with all weights equal, which needs no forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnx_cam.methods.control import Control
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weights
from onnx_cam.runtime.masks import is_dead

__all__ = ["EqualWeights"]


@dataclass(frozen=True)
class EqualWeights(Control):
    """``L_equal``: every live channel weighs the same, so that the map does not depend on the class.

    It explains nothing. It is what a method must beat in an evaluation, as most of any map comes from the activations.

    Examples
    --------
    >>> EqualWeights().variant
    'control'
    """

    name: ClassVar[str] = "equal"

    def weights(self, subject: Subject) -> Weights:
        """Return 1 for each live channel, for each target: (T, K)."""
        live = (~is_dead(subject.maps)).astype(np.float64)
        return np.tile(live, (subject.scorer.target_count, 1))
