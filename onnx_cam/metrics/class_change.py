"""How far a map moves when the class changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage

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
        if image.second_cam is None:
            return Measurement(None)
        maps = image.cam.astype(np.float64), image.second_cam.astype(np.float64)
        lengths = [np.linalg.norm(one) for one in maps]
        if not all(lengths):
            return Measurement(None)
        return Measurement(float(np.linalg.norm(maps[0] / lengths[0] - maps[1] / lengths[1])))
