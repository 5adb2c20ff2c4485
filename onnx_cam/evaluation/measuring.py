"""One image of a dataset at work: explained by each method, and each map measured."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import DatasetError, MissingExtraError, ModelError, SettingError
from onnx_cam.evaluation.datasets import Box, Sample
from onnx_cam.evaluation.datasets.boxes import box_mask, check_boxes
from onnx_cam.evaluation.results.evaluation import figure_key
from onnx_cam.evaluation.results.records import Corners, ImageFacts, MeasuredMap, SeenImage
from onnx_cam.explanation.explaining import explain
from onnx_cam.graph.find_layers import Layer
from onnx_cam.image.picture import Picture, open_picture
from onnx_cam.methods import Method
from onnx_cam.methods.mean_score import MeanScoreMethod
from onnx_cam.metrics import MaskedImage, Metric
from onnx_cam.runtime.scorer import Progress

__all__ = ["Measuring", "Task", "method_key"]

Floats = NDArray[np.float32]

_PICTURE_SIDE = 400
_PICTURE_QUALITY = 85


def method_key(method: Method, seed: int) -> str:
    """Return what a stored map is found by, beside its image."""
    return json.dumps([method.name, method.variant, method.parameters, seed], sort_keys=True)


@dataclass(frozen=True)
class Task:
    """An image to work on.

    Attributes
    ----------
    sample : Sample
    label : int or None
        Its class, as a position in the model's output.
    box_labels : tuple
        The class of each box, the same way; None where it is the image's.
    maps : mapping of str to MeasuredMap
        What is known of it already, by the method's name.
    only_correct : bool
        Whether an image that the model takes for another class is only looked at.
    """

    sample: Sample
    label: int | None = None
    box_labels: tuple[int | None, ...] = ()
    maps: Mapping[str, MeasuredMap] = field(default_factory=dict)
    only_correct: bool = False

    def says_the_same(self, seen: SeenImage) -> bool:
        """Tell whether an image was seen with this label, and these boxes for the class that is explained."""
        facts = seen.facts
        same_boxes = facts.boxes == self.boxes_of(facts.predicted)
        return facts.label == self.label and same_boxes and seen.name == self.sample.name

    def boxes_of(self, target: int) -> tuple[Corners, ...]:
        """Return the boxes that a map of a class should lie on.

        Where all objects are of the image's class, all of them, whatever the model takes it for, as in the papers;
        else those of the class itself.
        """
        labels = self.box_labels or (None,) * len(self.sample.boxes)
        wanted = {None, target} if set(labels) - {None, self.label} else {*labels}
        pairs = zip(self.sample.boxes, labels, strict=True)
        return tuple((box.x0, box.y0, box.x1, box.y1) for box, label in pairs if label in wanted)


class Measuring:
    """A model with the methods and metrics of a run.

    Parameters
    ----------
    classifier : Classifier
    methods : mapping of str to Method
        By the names in tables.
    metrics : sequence of Metric
    layer : str or Layer, optional
    seed : int
    batch_size : int, optional
    lenient : bool
        Whether a method that cannot work on this model is left out; otherwise that is an error.

    Attributes
    ----------
    methods : dict of str to Method
        Those that can work, as far as is known.
    left_out : dict of str to str
        Why the others cannot.
    watch : callable, optional
        Called with the passes done for a map and those planned for it.
    """

    def __init__(
        self,
        classifier: Classifier,
        methods: Mapping[str, Method],
        metrics: Sequence[Metric],
        *,
        layer: str | Layer | None,
        seed: int,
        batch_size: int | None,
        lenient: bool = False,
    ) -> None:
        self.classifier = classifier
        self.methods = dict(methods)
        self.metrics = tuple(metrics)
        self.layer = classifier.layer(layer)
        self.seed = seed
        self.batch_size = batch_size
        self.left_out: dict[str, str] = {}
        self.watch: Progress | None = None
        self.lenient = lenient

    def work(self, task: Task) -> Iterator[SeenImage | MeasuredMap]:
        """Yield what the model sees, then each map that is not known, or not all of whose figures are.

        Raises
        ------
        ImageError
            The image cannot be read.
        DatasetError
            Its boxes do not lie in it.
        ScoreError
            The model fails on it.
        """
        image = _OpenImage(self.classifier, self.layer, task)
        yield image.seen
        if task.only_correct and image.predicted != task.label:
            return
        wanted = {figure_key(metric, image.seen.facts): metric for metric in self.metrics}
        for name, method in tuple(self.methods.items()):
            known = task.maps.get(name)
            missing = {key: metric for key, metric in wanted.items() if known is None or key not in known.figures}
            if not missing and known is not None:
                continue
            try:
                yield self._measure(image, method, missing, known)
            except (MissingExtraError, ModelError, SettingError) as error:
                if not self.lenient or len(self.methods) == 1:
                    raise
                del self.methods[name]
                self.left_out[name] = str(error)

    def _measure(
        self, image: _OpenImage, method: Method, metrics: Mapping[str, Metric], known: MeasuredMap | None
    ) -> MeasuredMap:
        cams: list[Floats]
        record: Mapping[str, Any]
        second = any(metric.needs_second_class for metric in metrics.values())
        if known is None or second:
            cams, record = self._explain(image, method, second)
        else:
            cams, record = [known.cam], known.record
        masked = MaskedImage(
            self.classifier,
            image.picture.network_input,
            image.predicted,
            cams[0],
            preprocessing=self.classifier.preprocessing,
            boxes=image.boxes,
            specificity=record["specificity"],
            second_cam=cams[1] if len(cams) > 1 else None,
            batch_size=self.batch_size,
        )
        figures = {key: metric.measure(masked) for key, metric in metrics.items()}
        passes = {"measuring_passes": masked.passes}
        return MeasuredMap(image.picture.sha256, method_key(method, self.seed), cams[0], {**passes, **record}, figures)

    def _explain(self, image: _OpenImage, method: Method, second: bool) -> tuple[list[Floats], dict[str, Any]]:
        """Return the map, with that of the second class if asked for, and the map's record."""
        self.classifier.sessions.forget_baselines()  # a run that is gone on with counts the same passes
        targets = image.likeliest[: 2 if second else 1]
        apart = isinstance(method, MeanScoreMethod) and method.limit  # its plan depends on all targets
        found = [
            explanation
            for together in ([[target] for target in targets] if apart else [targets])
            for explanation in explain(
                self.classifier,
                image.picture,
                method=method,
                target=together,
                layer=self.layer,
                seed=self.seed,
                batch_size=self.batch_size,
                progress=self.watch,
            )
        ]
        return [one.cam for one in found], found[0].record()


class _OpenImage:
    """An image, read and looked at by the model."""

    def __init__(self, classifier: Classifier, layer: Layer, task: Task) -> None:
        self._task = task
        self._labels = classifier.labels
        sample = task.sample
        self.picture = open_picture(sample.path, classifier.preprocessing, classifier.input.channels, classifier.size)
        height, width = self.picture.pixels.shape[:2]
        _check_size(sample, width, height)
        check_boxes(sample.boxes, width, height)
        with classifier.in_use:
            scores = classifier.sessions.activations(layer, self.picture.network_input).probabilities
        self.likeliest = [int(index) for index in np.argsort(-scores, kind="stable")[:2]]
        self.predicted = self.likeliest[0]
        self._score = float(scores[self.predicted])

    @cached_property
    def seen(self) -> SeenImage:
        """The image as it is kept."""
        geometry = self.picture.geometry
        facts = ImageFacts(
            label=self._task.label,
            label_name=self._name(self._task.label),
            predicted=self.predicted,
            predicted_name=self._name(self.predicted),
            score=self._score,
            width=geometry.width,
            height=geometry.height,
            crop=geometry.crop,
            boxes=self._boxes,
        )
        sample = self._task.sample
        return SeenImage(self.picture.sha256, sample.name, sample.path, facts, _small(self.picture))

    @property
    def boxes(self) -> NDArray[np.bool_] | None:
        """Where the object is, (H, W) bool; None without a box."""
        size = self.picture.network_input.shape[1:]
        own = tuple(Box(x0, y0, x1, y1) for x0, y0, x1, y1 in self._boxes)
        return box_mask(own, self.picture.geometry, (size[0], size[1])) if own else None

    @property
    def _boxes(self) -> tuple[Corners, ...]:
        return self._task.boxes_of(self.predicted)

    def _name(self, index: int | None) -> str | None:
        return None if index is None else self._labels.name(index)


def _check_size(sample: Sample, width: int, height: int) -> None:
    if sample.boxes and sample.size is not None and sample.size != (width, height):
        raise DatasetError(
            f"{sample.name} has {width}×{height} pixels, its boxes are for {sample.size[0]}×{sample.size[1]}; "
            "expected boxes of this image: mend the annotations"
        )


def _small(picture: Picture) -> bytes:
    """Return a JPEG of the whole image, small enough to be kept."""
    from PIL import Image

    small = Image.fromarray(picture.pixels)
    small.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_PICTURE_QUALITY)
    return buffer.getvalue()
