"""Class-specificity: how far a map is from the one that no class was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["Specificity"]


@dataclass(frozen=True)
class Specificity(Metric):
    """``‖n(L) − n(L_equal)‖``, n = scaled to unit length, L_equal = all live weights equal.

    0 means that the class plays no part; √2 that the two maps have nothing in common.
    """

    name: ClassVar[str] = "specificity"
    title: ClassVar[str] = "Specificity"

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the distance; None where either map is zero."""
        return Measurement(image.specificity)
