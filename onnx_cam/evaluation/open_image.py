"""An image of a run while it is worked on."""

from __future__ import annotations

import io
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import DatasetError, ImageError
from onnx_cam.evaluation.datasets import Box, Sample
from onnx_cam.evaluation.datasets.boxes import box_mask, check_boxes
from onnx_cam.evaluation.mosaics import MosaicPlan, Partner
from onnx_cam.evaluation.results.records import Corners, ImageFacts, SeenImage
from onnx_cam.evaluation.task import Task
from onnx_cam.graph.layer import Layer
from onnx_cam.image.picture import Picture

__all__ = ["OpenImage"]

Floats = NDArray[np.float32]

_COPY_SIDE = 400  # pixels of the longer side of the small copy of an image
_COPY_QUALITY = 85


class OpenImage:
    """An image that was read, and what the model predicts for it."""

    def __init__(self, classifier: Classifier, layer: Layer, task: Task) -> None:
        self._task = task
        self._classifier = classifier
        self._frame = layer.geometry.frame
        self._labels = classifier.labels
        sample = task.sample
        self.picture = classifier.open_picture(sample.path, classifier.preprocessing)
        height, width = self.picture.pixels.shape[:2]
        _check_size(sample, width, height)
        check_boxes(sample.boxes, width, height)
        with classifier.in_use:
            probabilities = classifier.sessions.activations(layer, self.picture.network_input).probabilities
        self.likeliest = [int(index) for index in np.argsort(-probabilities, kind="stable")[:2]]
        self.predicted = self.likeliest[0]
        self._score = float(probabilities[self.predicted])

    @cached_property
    def seen(self) -> SeenImage:
        """The image as it is stored."""
        geometry = self.picture.geometry.seen_by(self._frame)
        cells = geometry.cells
        facts = ImageFacts(
            label=self._task.label,
            label_name=self._name(self._task.label),
            predicted=self.predicted,
            predicted_name=self._name(self.predicted),
            score=self._score,
            width=geometry.width,
            height=geometry.height,
            crop=geometry.crop,
            cells=(cells.top, cells.left, cells.bottom, cells.right),
            boxes=self._boxes,
            mosaic=self._task.mosaic.key if self._task.mosaic else "",
        )
        sample = self._task.sample
        return SeenImage(self.picture.sha256, sample.name, sample.path, facts, _small_copy(self.picture))

    @property
    def boxes(self) -> NDArray[np.bool_] | None:
        """Where the object is in the network's input, (H, W) bool; None without a box."""
        if not self._boxes:
            return None
        height, width = self.picture.network_input.shape[1:]
        return box_mask((Box(*corners) for corners in self._boxes), self.picture.geometry, (height, width))

    @cached_property
    def mosaic_inputs(self) -> list[Floats]:
        """The network inputs of the image and its partners, in the order of the mosaic's cells.

        Raises
        ------
        ImageError
            A partner cannot be read, or is another file by now.
        """
        plan = self._task.mosaic
        assert plan is not None
        inputs = [self._open_partner(partner).network_input for partner in plan.partners]
        inputs.insert(plan.cell, self.picture.network_input)
        return inputs

    def _open_partner(self, partner: Partner) -> Picture:
        picture = self._classifier.open_picture(partner.path, self._classifier.preprocessing)
        if picture.sha256 != partner.sha256:
            raise ImageError(f"the file '{partner.path}' was changed during the run; give the same command again")
        return picture

    @property
    def mosaic_plan(self) -> MosaicPlan | None:
        """The mosaic that the image is part of, where a metric needs one."""
        return self._task.mosaic

    @property
    def _boxes(self) -> tuple[Corners, ...]:
        return self._task.boxes_of(self.predicted)

    def _name(self, index: int | None) -> str | None:
        return None if index is None else self._labels.name(index)


def _check_size(sample: Sample, width: int, height: int) -> None:
    if sample.boxes and sample.size is not None and sample.size != (width, height):
        raise DatasetError(
            f"{sample.name} has {width}×{height} pixels, but its boxes are for {sample.size[0]}×{sample.size[1]}; "
            "correct the annotations, or replace the image"
        )


def _small_copy(picture: Picture) -> bytes:
    """Return the whole image as a JPEG that is small enough to be stored."""
    from PIL import Image

    copy = Image.fromarray(picture.pixels)
    copy.thumbnail((_COPY_SIDE, _COPY_SIDE))
    buffer = io.BytesIO()
    copy.save(buffer, "JPEG", quality=_COPY_QUALITY)
    return buffer.getvalue()
