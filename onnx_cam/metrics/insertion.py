"""Insertion AUC: add pixels from the most to the least important one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from onnx_cam.metrics.base import CurveMetric, Measurement
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.metrics.pixels import area, keep_masks

__all__ = ["Insertion"]


@dataclass(frozen=True)
class Insertion(CurveMetric):
    """The area under f^c against the share of pixels added, from the most to the least important one.

    Parameters
    ----------
    baseline : {"zero", "black", "mean", "blur"}
        What pixels are added to.

    References
    ----------
    Petsiuk et al., RISE, section 4.2; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "insertion"
    title: ClassVar[str] = "Insertion"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    baseline: str = "blur"

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the area and the curve, steps + 1 scores from the baseline on."""
        kept = keep_masks(image.importance, self.steps, most_important=True)  # (steps − 1, H, W)
        ends = image.baseline_score(self.baseline, self.score), image.score(self.score)
        between = image.score_composed(kept, self.baseline, self.score) if len(kept) else np.zeros(0)
        curve = np.concatenate([ends[:1], between, ends[1:]])
        return Measurement(area(curve), tuple(map(float, curve)))
