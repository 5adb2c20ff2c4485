"""Average Increase %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import MaskingMetric, Measurement
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["AverageIncrease"]


@dataclass(frozen=True)
class AverageIncrease(MaskingMetric):
    """``100 · (Y < O)``: whether the score rises where only the map's pixels are left.

    References
    ----------
    Chattopadhyay et al., Grad-CAM++, section 4.1; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "average-increase"
    title: ClassVar[str] = "Average Increase"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    def measure(self, image: MaskedImage) -> Measurement:
        """Return 100 or 0."""
        return Measurement(100.0 * (image.score(self.score) < image.masked_score(self.score, self.keep)))
