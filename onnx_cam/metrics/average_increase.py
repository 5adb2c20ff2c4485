"""Average Increase %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["AverageIncrease"]


@dataclass(frozen=True)
class AverageIncrease(Metric):
    """``100 · (Y < O)``: whether the score rises where only the map's pixels are left.

    Parameters
    ----------
    score, keep
        As of :class:`onnx_cam.metrics.AverageDrop`.

    References
    ----------
    Chattopadhyay et al., Grad-CAM++, section 4.1; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "average-increase"
    title: ClassVar[str] = "Average Increase"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    score: ScoreKind = "probability"
    keep: float = 1.0

    @property
    def passes(self) -> int:
        """One, shared with Average Drop and Win."""
        return 1

    def measure(self, image: MaskedImage) -> Measurement:
        """Return 100 or 0."""
        return Measurement(100.0 * (image.score(self.score) < image.masked_score(self.score, self.keep)))
