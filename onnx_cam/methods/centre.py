"""The control that always points at the centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.control import PatternControl
from onnx_cam.methods.subject import Subject

__all__ = ["Centre"]

_SPREAD = 0.25  # of the side


@dataclass(frozen=True)
class Centre(PatternControl):
    r"""A Gaussian in the middle of the layer's map, with a standard deviation of a quarter of each side.

    .. math:: L_{ij} = \exp\Bigl(-\frac{(i - (h-1)/2)^2}{2 (h/4)^2} - \frac{(j - (w-1)/2)^2}{2 (w/4)^2}\Bigr)

    It depends neither on the image nor on the model. Photographs have their object in the middle, so that a metric of
    localisation is only worth what it says beyond this.

    Examples
    --------
    >>> Centre().variant
    'control'
    """

    name: ClassVar[str] = "centre"

    def pattern(self, subject: Subject) -> NDArray[np.float64]:
        """Return the Gaussian, (h, w), at most 1."""
        height, width = subject.maps.shape[1:]
        return np.outer(_bell(height), _bell(width))


def _bell(side: int) -> NDArray[np.float64]:
    """Return a Gaussian about the middle of a side of so many cells, (side,)."""
    offsets = np.arange(side) - (side - 1) / 2
    return np.asarray(np.exp(-0.5 * (offsets / (_SPREAD * side)) ** 2))
