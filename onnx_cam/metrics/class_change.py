"""How far a map moves when the class changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.runtime.map_distance import unit_distance

__all__ = ["ClassChange"]


@dataclass(frozen=True)
class ClassChange(Metric):
    """``‖n(L^c) − n(L^d)‖``, n = scaled to unit length, c and d the two likeliest classes.

    A sanity check: a map that is the same for another class (0) does not explain the class.
    """

    name: ClassVar[str] = "class-change"
    title: ClassVar[str] = "Change with the class"
    needs_second_class: ClassVar[bool] = True

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the distance; None where either map is zero."""
        return Measurement(None if image.second_cam is None else unit_distance(image.cam, image.second_cam))
