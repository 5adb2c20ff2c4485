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
    """``100 · Σ_boxes L↑ / Σ L↑``: the share of the map that lies inside the object's boxes.

    L↑ is the map at the size of the network's input, scaled to [0, 1]. The metric is not defined where the network sees
    no box, and for a map that is zero.

    References
    ----------
    Wang et al., Score-CAM, section 4.3; Naidu and Michael, SS-CAM, section 4.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import MaskedImage, Pointing
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> left_half = np.arange(20) < np.full((20, 1), 10)  # (H, W) bool
    >>> x = model.network_input("cat.jpg")
    >>> image = MaskedImage(model, x, result.target.index, result.cam, boxes=left_half)
    >>> f"{Pointing().measure(image).value:.1f} %"
    '34.2 %'
    """

    name: ClassVar[str] = "pointing"
    title: ClassVar[str] = "Energy in the box"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"
    needs_boxes: ClassVar[bool] = True

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the share in %; None where it is not defined."""
        total = image.importance.sum(dtype=np.float64)
        if image.boxes is None or not image.boxes.any() or total == 0:
            return Measurement(None)
        return Measurement(float(100 * image.importance[image.boxes].sum(dtype=np.float64) / total))
