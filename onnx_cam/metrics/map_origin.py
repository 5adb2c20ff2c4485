"""How a map was made: what a metric needs to have other maps made in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.graph.layer import Layer
from onnx_cam.image.picture import Picture
from onnx_cam.methods import Method
from onnx_cam.metrics.mosaic import Mosaic

__all__ = ["MapOrigin"]


@dataclass(frozen=True, eq=False)
class MapOrigin:
    """How a map was made, and of which image.

    Attributes
    ----------
    picture : Picture
        The image as it was given, and X.
    method : Method
        With its settings.
    layer : Layer
    seed : int
        The seed of the method's noise; metrics that draw at random do so by it, too.
    randomised : callable, optional
        Returns the model with its weights behind the layer permuted by the seed, for all maps of a run; by default, it
        is made for this map.
    mosaic : callable, optional
        Returns the mosaic that the image is part of, or why there is none.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> picture = model.open_picture("cat.jpg", model.preprocessing)
    >>> MapOrigin(picture, onnx_cam.GradCAM(), model.layer(), seed=0).layer.name
    'relu2'
    """

    picture: Picture
    method: Method
    layer: Layer
    seed: int
    randomised: Callable[[], Classifier] | None = None
    mosaic: Callable[[], Mosaic | str] | None = None
