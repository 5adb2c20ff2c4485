"""The distance between the maps of two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.runtime.map_distance import unit_distance

__all__ = ["ClassChange"]


@dataclass(frozen=True)
class ClassChange(Metric):
    """``‖n(L^c) − n(L^d)‖``: the distance of the maps for the two likeliest classes c and d, scaled to unit length n.

    It is a sanity check: at 0 the map is the same for another class, so that it does not explain the class.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import ClassChange, MaskedImage
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> x = model.network_input("cat.jpg")
    >>> image = MaskedImage(model, x, result.target.index, result.cam, second_cam=2 * result.cam)
    >>> ClassChange().measure(image).value
    0.0
    """

    name: ClassVar[str] = "class-change"
    title: ClassVar[str] = "Class change"
    needs_second_class: ClassVar[bool] = True

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the distance; None where either map is zero."""
        return Measurement(None if image.second_cam is None else unit_distance(image.cam, image.second_cam))
