"""The models that metrics compare with: one with its weights permuted, and one for mosaics. Each is made once."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.enlarged import enlarged
from onnx_cam.classifier.randomised import randomised
from onnx_cam.errors import ModelError, ScoreError, SettingError
from onnx_cam.evaluation.mosaics import CellView
from onnx_cam.evaluation.open_image import OpenImage
from onnx_cam.graph.layer import Layer
from onnx_cam.image.mosaic import at_cell_size, make_mosaic
from onnx_cam.metrics import GridPointing, Metric, Mosaic

__all__ = ["OtherModels"]


class OtherModels:
    """What a run makes of its model for its metrics, when they first ask for it.

    Parameters
    ----------
    classifier : Classifier
    layer : Layer
    seed : int
        Of the permutations.

    Attributes
    ----------
    mosaics_are_scaled : bool
        Whether mosaics are shrunk to the model's input; `settled` settles it.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> others = OtherModels(model, model.layer(), seed=0)
    >>> others.settled(GridPointing())  # the model takes no larger input
    GridPointing(scaled=True)
    >>> view, passes = others.cell_view("cat.jpg")
    >>> view.predicted == view.in_cell, passes
    (True, 2)
    """

    def __init__(self, classifier: Classifier, layer: Layer, seed: int) -> None:
        self._classifier = classifier
        self._layer = layer
        self._seed = seed
        self.mosaics_are_scaled = False
        self._randomised: Classifier | ModelError | None = None

    def settled(self, metric: Metric) -> Metric:
        """Return a metric with what it leaves to the model: whether mosaics are scaled to its input.

        Raises
        ------
        SettingError
            Mosaics are not to be scaled, and the model takes no other size.
        """
        if not isinstance(metric, GridPointing):
            return metric
        self.mosaics_are_scaled = bool(metric.scaled) or self._enlarged is None
        if metric.scaled is False and self.mosaics_are_scaled:
            raise SettingError(
                "grid-pointing with scaled=False needs a model that takes inputs of twice the size, and "
                f"{self._classifier.name} does not; leave it out"
            )
        return replace(metric, scaled=self.mosaics_are_scaled)

    def randomised(self) -> Classifier:
        """Return the model with its weights behind the layer permuted.

        Raises
        ------
        ModelError
            There are none, or they cannot be read.
        """
        if self._randomised is None:
            try:
                self._randomised = randomised(self._classifier, self._layer, self._seed)
            except ModelError as error:
                self._randomised = error
        if isinstance(self._randomised, ModelError):
            raise self._randomised
        return self._randomised

    def cell_view(self, path: str) -> tuple[CellView, int]:
        """Return what the model sees in an image, as it is and in a cell of a mosaic, and the forward passes it took.

        Raises
        ------
        ImageError
            The image cannot be read.
        ScoreError
            The model fails on it.
        """
        x = self._classifier.open_picture(path, self._classifier.preprocessing).network_input
        inputs = [x, at_cell_size(x)] if self.mosaics_are_scaled else [x]
        with self._classifier.in_use:
            probabilities = self._classifier.sessions.scores(np.stack(inputs))
        if not np.isfinite(probabilities).all():
            raise ScoreError(f"{self._classifier.name} gives NaN or infinite values for '{path}'")
        predicted, in_cell = (int(np.argmax(one)) for one in (probabilities[0], probabilities[-1]))
        return CellView(predicted, in_cell, float(probabilities[-1, in_cell])), len(inputs)

    def mosaic(self, image: OpenImage) -> Mosaic | str:
        """Return the mosaic that an image is part of, or why there is none.

        Raises
        ------
        ImageError
            Another image of it cannot be read.
        """
        plan = image.mosaic_plan
        if plan is None or plan.reason:
            return plan.reason if plan else "the image is evaluated without others"
        model = self._classifier if self.mosaics_are_scaled else self._enlarged
        assert model is not None
        pixels = make_mosaic(image.mosaic_inputs, model.size)
        return Mosaic(pixels, plan.target, plan.cell, model, model.layer(self._layer))

    @cached_property
    def _enlarged(self) -> Classifier | None:
        """The model at twice its input's size; None where it takes no other size."""
        height, width = self._classifier.size
        return enlarged(self._classifier, self._layer, (2 * height, 2 * width))
