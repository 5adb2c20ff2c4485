"""Class specificity: the distance of a map from the map with all weights equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["Specificity"]


@dataclass(frozen=True)
class Specificity(Metric):
    """``‖n(L) − n(L_equal)‖``: the distance from the map with all weights equal, both scaled to unit length n.

    At 0 the map does not depend on the class; at √2 the two maps have nothing in common.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import MaskedImage, Specificity
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> x = model.network_input("cat.jpg")
    >>> image = MaskedImage(model, x, result.target.index, result.cam, specificity=result.specificity)
    >>> f"{Specificity().measure(image).value:.2f}"
    '0.20'
    """

    name: ClassVar[str] = "specificity"
    title: ClassVar[str] = "Class specificity"

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the distance, which the map's record holds; None where either map is zero."""
        return Measurement(image.specificity)
