"""Energy-based pointing game %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["Pointing"]


@dataclass(frozen=True)
class Pointing(Metric):
    """``100 · Σ_boxes L↑ / Σ L↑``: the share of the map that lies on the object, the union of its boxes.

    Not defined without a box that the network sees, and for a map that is zero.

    References
    ----------
    Wang et al., Score-CAM, section 4.3; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "pointing"
    title: ClassVar[str] = "Energy in the box"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"
    needs_boxes: ClassVar[bool] = True

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the share in %."""
        total = image.importance.sum(dtype=np.float64)
        if image.boxes is None or not image.boxes.any() or total == 0:
            return Measurement(None)
        return Measurement(float(100 * image.importance[image.boxes].sum(dtype=np.float64) / total))
