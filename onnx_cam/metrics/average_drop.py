"""Average Drop %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import MaskingMetric, Measurement
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["AverageDrop"]


@dataclass(frozen=True)
class AverageDrop(MaskingMetric):
    """``100 · max(0, Y − O) / Y``: the share of the score that is lost when the image is multiplied by the map.

    Y is the score of the image, O that of the masked image. The metric is not defined where Y is 0 or below.

    References
    ----------
    Chattopadhyay et al., Grad-CAM++, section 4.1; Naidu and Michael, SS-CAM, section 4.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import AverageDrop, MaskedImage
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> image = MaskedImage(model, model.network_input("cat.jpg"), result.target.index, result.cam)
    >>> f"{AverageDrop().measure(image).value:.1f} %"
    '6.7 %'
    """

    name: ClassVar[str] = "average-drop"
    title: ClassVar[str] = "Average Drop"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the drop in %; None where it is not defined."""
        whole, masked = map(float, image.scores(self.inputs(image)))
        return Measurement(100 * max(0.0, whole - masked) / whole if whole > 0 else None)
