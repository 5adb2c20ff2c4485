"""Average Increase %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import MaskingMetric, Measurement
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["AverageIncrease"]


@dataclass(frozen=True)
class AverageIncrease(MaskingMetric):
    """``100 · (Y < O)``: how often the score rises when the image is multiplied by the map.

    Y is the score of the image, O that of the masked image.

    References
    ----------
    Chattopadhyay et al., Grad-CAM++, section 4.1; Naidu and Michael, SS-CAM, section 4.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import AverageIncrease, MaskedImage
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> image = MaskedImage(model, model.network_input("cat.jpg"), result.target.index, result.cam)
    >>> AverageIncrease().measure(image).value
    0.0
    """

    name: ClassVar[str] = "average-increase"
    title: ClassVar[str] = "Average Increase"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    def measure(self, image: MaskedImage) -> Measurement:
        """Return 100 where the score rises, otherwise 0."""
        whole, masked = image.scores(self.inputs(image))
        return Measurement(100.0 * bool(whole < masked))
