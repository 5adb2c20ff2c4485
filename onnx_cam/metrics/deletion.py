"""Deletion AUC: remove pixels from the most to the least important one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from onnx_cam.metrics.base import CurveMetric, Measurement
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.metrics.pixels import area, keep_masks

__all__ = ["Deletion"]


@dataclass(frozen=True)
class Deletion(CurveMetric):
    """The area under f^c against the share of pixels removed, from the most to the least important one.

    Parameters
    ----------
    baseline : {"zero", "black", "mean", "blur"}
        What pixels are replaced by.

    References
    ----------
    Petsiuk et al., RISE, section 4.2; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "deletion"
    title: ClassVar[str] = "Deletion"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    baseline: str = "zero"

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the area and the curve, steps + 1 scores from the whole image on."""
        kept = keep_masks(image.importance, self.steps, most_important=False)[::-1]  # (steps − 1, H, W)
        ends = image.score(self.score), image.baseline_score(self.baseline, self.score)
        between = image.score_composed(kept, self.baseline, self.score) if len(kept) else np.zeros(0)
        curve = np.concatenate([ends[:1], between, ends[1:]])
        return Measurement(area(curve), tuple(map(float, curve)))
