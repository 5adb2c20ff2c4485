"""What the controls share: maps that explain nothing, which a method must beat in an evaluation."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.base import Method, Variant
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weights

__all__ = ["Control", "PatternControl"]


@dataclass(frozen=True)
class Control(Method):
    """Base of the controls: METHODS.md, "What makes these figures believable"."""

    variants: ClassVar[dict[str, Variant]] = {"control": Variant(baseline=False)}

    def expected_passes(self, channels: int) -> int:
        """Return 0: a control scores nothing."""
        return 0


@dataclass(frozen=True)
class PatternControl(Control):
    """Base of the controls whose map is a pattern and no sum of activation maps: their weights are 0."""

    @abstractmethod
    def pattern(self, subject: Subject) -> NDArray[Any]:
        """Return the map, (h, w), which is the same for every class."""

    def weights(self, subject: Subject) -> Weights:
        """Return 0 for each channel and target, (T, K): no activation map is part of the pattern."""
        return np.zeros((subject.scorer.target_count, len(subject.maps)))

    def combine(self, subject: Subject, weights: Weights) -> NDArray[np.float64]:
        """Return the pattern for each target, (T, h, w)."""
        pattern = np.asarray(self.pattern(subject), np.float64)
        return np.broadcast_to(pattern, (subject.scorer.target_count, *pattern.shape))
