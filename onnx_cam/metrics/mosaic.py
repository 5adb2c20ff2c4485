"""The mosaic that an image is part of, for the grid pointing game."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.graph.layer import Layer
from onnx_cam.image.mosaic import cell_area

__all__ = ["Mosaic"]


@dataclass(frozen=True, eq=False)
class Mosaic:
    """An image beside three images of other classes, as one network input.

    Attributes
    ----------
    network_input : ndarray of shape (C, H, W), float32
    target : int
        The image's class.
    cell : int
        Where the image is: 0 to 3, row by row.
    classifier : Classifier
        The model that takes inputs of the mosaic's size.
    layer : Layer
        The layer as that model has it.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> Mosaic(np.zeros((3, 20, 20), np.float32), 1, cell=3, classifier=model, layer=model.layer()).area
    (slice(10, 20, None), slice(10, 20, None))
    """

    network_input: NDArray[np.float32]
    target: int
    cell: int
    classifier: Classifier
    layer: Layer

    @property
    def area(self) -> tuple[slice, slice]:
        """The rows and columns of the image's cell."""
        return cell_area(self.cell, (self.network_input.shape[1], self.network_input.shape[2]))
