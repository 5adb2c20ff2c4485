"""Average Gain %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.inputs import ImageTimesMap, ScoredInput, WholeImage
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["AverageGain"]


@dataclass(frozen=True)
class AverageGain(Metric):
    """``100 · max(0, O − Y) / (1 − Y)``: how much of the missing probability the image multiplied by the map gains.

    Y is the probability of the image, O that of the masked image; the gain is 0 where O is not above Y. It is the
    counterpart of Average Drop, which a map that is 1 nearly everywhere can win.

    References
    ----------
    Zhang et al., Opti-CAM: Optimizing saliency maps for interpretability, 2024, section 4.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import AverageGain, MaskedImage
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> image = MaskedImage(model, model.network_input("cat.jpg"), result.target.index, result.cam)
    >>> AverageGain().measure(image).value
    0.0
    """

    name: ClassVar[str] = "average-gain"
    title: ClassVar[str] = "Average Gain"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    @property
    def passes(self) -> int:
        """One, which the other metrics that multiply the image by the map share."""
        return 1

    def inputs(self, image: MaskedImage) -> Sequence[ScoredInput]:
        """Return the image and the image multiplied by the map, whose probabilities are Y and O."""
        return WholeImage("probability"), ImageTimesMap("probability", keep=1.0)

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the gain in %."""
        whole, masked = map(float, image.scores(self.inputs(image)))
        return Measurement(100 * (masked - whole) / (1 - whole) if masked > whole else 0.0)
