"""Average Drop %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import MaskingMetric, Measurement
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["AverageDrop"]


@dataclass(frozen=True)
class AverageDrop(MaskingMetric):
    """``100 · max(0, Y − O) / Y``: how much of the score is lost where only the map's pixels are left.

    Not defined where Y is not above 0.

    References
    ----------
    Chattopadhyay et al., Grad-CAM++, section 4.1; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "average-drop"
    title: ClassVar[str] = "Average Drop"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the drop in %."""
        whole = image.score(self.score)
        if whole <= 0:
            return Measurement(None)
        return Measurement(100 * max(0.0, whole - image.masked_score(self.score, self.keep)) / whole)
