"""Win %: how often one method's map loses less of the score than another's."""

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
    """``100 · (drop_A < drop_B)``: how often one method's map loses less of the score than another's; drop = ``Y − O``.

    Y is the score of the image, O that of the image multiplied by the map. What is measured of one map is its drop; the
    figures compare pairs of methods.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c, the score of the predicted class.
    keep : float
        The share of pixels that the map keeps.
    tie : float
        Drops that differ by no more than this are ties, since a network in float32 cannot tell them apart.

    References
    ----------
    Chattopadhyay et al., Grad-CAM++, section 4.1; Naidu and Michael, SS-CAM, section 4.

    Examples
    --------
    >>> ours, theirs = np.array([0.1, 0.4, 0.2]), np.array([0.3, 0.3, 0.2])
    >>> Win().wins(ours, theirs), Win().ties(ours, theirs)
    (array([100.,   0.,   0.]), array([  0.,   0., 100.]))
    """

    name: ClassVar[str] = "win"
    title: ClassVar[str] = "Win"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    tie: float = 1e-6

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the drop ``Y − O``."""
        whole, masked = image.scores(self.inputs(image))
        return Measurement(float(whole - masked))

    def wins(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 100 for each image on which our drop is smaller than theirs, otherwise 0; all of shape (n,)."""
        return np.where(theirs - ours > self.tie, 100.0, 0.0)

    def ties(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 100 for each image on which the drops are equal up to `tie`, otherwise 0; all of shape (n,)."""
        return np.where(np.abs(theirs - ours) <= self.tie, 100.0, 0.0)
