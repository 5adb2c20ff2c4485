"""Win %: on how many images one method's map drops less than another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.metrics.base import MaskingMetric, Measurement
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["Win"]


@dataclass(frozen=True)
class Win(MaskingMetric):
    """``100 · (drop_A < drop_B)``, drop = ``Y − O``.

    What is measured of one map is its drop; figures are of pairs of methods.

    Parameters
    ----------
    tie : float
        Drops that differ by no more than this are ties: a network in float32 cannot tell them apart.

    References
    ----------
    Chattopadhyay et al., Grad-CAM++, section 4.1; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "win"
    title: ClassVar[str] = "Win"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    tie: float = 1e-6

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the drop ``Y − O``."""
        return Measurement(image.score(self.score) - image.masked_score(self.score, self.keep))

    def wins(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 100 for each image where our drop is less than theirs, else 0; both of shape (n,)."""
        return np.where(theirs - ours > self.tie, 100.0, 0.0)

    def ties(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 100 for each image where the drops are as good as equal, else 0."""
        return np.where(np.abs(theirs - ours) <= self.tie, 100.0, 0.0)
