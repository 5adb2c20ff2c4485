"""What a run does with one image: explain it by each method, and measure each map."""

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
from onnx_cam.graph.layer import Layer
from onnx_cam.image.picture import Picture
from onnx_cam.methods import Method
from onnx_cam.methods.mean_score import MeanScoreMethod
from onnx_cam.metrics import MaskedImage, Metric
from onnx_cam.metrics.inputs import ScoredInput
from onnx_cam.metrics.scoring import score_together
from onnx_cam.runtime.scorer import Progress

__all__ = ["ImageEvaluator", "Task", "method_key"]

Floats = NDArray[np.float32]

_COPY_SIDE = 400  # pixels of the longer side of the small copy of an image
_COPY_QUALITY = 85
_MOST_PASSES_AT_RISK = 128
"""Forward passes of maps that are made but not measured, and with that not stored."""


def method_key(method: Method, seed: int) -> str:
    """Return the key that the maps of a method are stored under, beside the image's hash.

    Examples
    --------
    >>> from onnx_cam import ScoreCAM
    >>> method_key(ScoreCAM(), seed=0)
    '["scorecam", "paper", {}, 0]'
    """
    return json.dumps([method.name, method.variant, method.parameters, seed], sort_keys=True)


@dataclass(frozen=True)
class Task:
    """An image to evaluate.

    Attributes
    ----------
    sample : Sample
    label : int or None
        Its class, as a position in the model's output.
    box_labels : tuple of int or None
        The class of each box in the same way; None stands for the image's.
    maps : mapping of str to MeasuredMap
        The maps that are stored already, by the method's name.
    only_correct : bool
        Whether the image is left out if the model predicts another class than its label.

    Examples
    --------
    >>> task = Task(Sample("cat.jpg", "cat.jpg", "cat", (Box(8, 4, 36, 28), Box(0, 0, 9, 9))), 1, (1, 3))
    >>> task.boxes_of(target=3)  # of the two classes in the image
    ((0, 0, 9, 9),)
    """

    sample: Sample
    label: int | None = None
    box_labels: tuple[int | None, ...] = ()
    maps: Mapping[str, MeasuredMap] = field(default_factory=dict)
    only_correct: bool = False

    def agrees_with(self, seen: SeenImage) -> bool:
        """Tell whether an image was stored under this name, with this label and these boxes for the predicted class."""
        facts = seen.facts
        same_boxes = facts.boxes == self.boxes_of(facts.predicted)
        return facts.label == self.label and same_boxes and seen.name == self.sample.name

    def boxes_of(self, target: int) -> tuple[Corners, ...]:
        """Return the boxes that a map of a class should lie on.

        Where all objects are of the image's class, these are all boxes, whatever the model predicts, as in the papers.
        Otherwise they are the boxes of the class itself.
        """
        labels = self.box_labels or (None,) * len(self.sample.boxes)
        matching_labels = {None, target} if set(labels) - {None, self.label} else {*labels}
        pairs = zip(self.sample.boxes, labels, strict=True)
        return tuple((box.x0, box.y0, box.x1, box.y1) for box, label in pairs if label in matching_labels)


class ImageEvaluator:
    """Explains images by the methods of a run, and measures the maps by its metrics.

    Parameters
    ----------
    classifier : Classifier
    methods : mapping of str to Method
        By their names in tables.
    metrics : sequence of Metric
    layer : str or Layer, optional
        The model's default layer by default.
    seed : int
        Random seed of the noise.
    batch_size : int, optional
        Forward passes that run at once.
    lenient : bool
        Whether a method that cannot work on this model is left out instead of ending the run.

    Attributes
    ----------
    methods : dict of str to Method
        The methods that work, as far as is known.
    left_out : dict of str to str
        Why the other methods do not work.
    watch : callable, optional
        Called with the forward passes done for maps that were not yielded yet, and those planned for them.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation.datasets import open_dataset
    >>> from onnx_cam.evaluation.method_names import choose_named_methods
    >>> from onnx_cam.metrics import choose_metrics
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> methods, metrics = choose_named_methods("scorecam,equal"), choose_metrics("specificity")
    >>> evaluator = ImageEvaluator(model, methods, metrics, layer=None, seed=0, batch_size=16)
    >>> image, *maps = evaluator.evaluate(Task(open_dataset("photos.csv").samples[0]))
    >>> image.name, len(maps)
    ('cat.jpg', 2)
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

    def evaluate(self, task: Task) -> Iterator[SeenImage | MeasuredMap]:
        """Yield what the model sees in an image, then each method's map with its figures.

        Maps that are stored with all their figures are not yielded again.

        Parameters
        ----------
        task : Task

        Raises
        ------
        ImageError
            The image cannot be read.
        DatasetError
            Its boxes do not lie in it.
        ScoreError
            The model fails on it.
        """
        # One forward pass with the tap gives the predicted class, which all maps explain.
        image = _OpenImage(self.classifier, self.layer, task)
        yield image.seen
        if task.only_correct and image.predicted != task.label:
            return
        needed = {figure_key(metric, image.seen.facts): metric for metric in self.metrics}
        waiting: list[_UnmeasuredMap] = []
        for name, method in tuple(self.methods.items()):
            # Of a stored map only the figures that are missing are measured.
            stored = task.maps.get(name)
            missing = {key: metric for key, metric in needed.items() if stored is None or key not in stored.figures}
            if not missing and stored is not None:
                continue
            passes_at_risk = sum(one.passes for one in waiting)
            try:
                waiting.append(self._make_map(image, method, missing, stored, passes_at_risk))
            except (MissingExtraError, ModelError, SettingError) as error:
                if not self.lenient or len(self.methods) == 1:
                    raise
                del self.methods[name]
                self.left_out[name] = str(error)
                continue
            # Maps wait to be measured together, but no longer than a stop of the run would be a loss.
            if passes_at_risk + waiting[-1].passes > _MOST_PASSES_AT_RISK:
                yield from _measure(waiting)
                waiting = []
        yield from _measure(waiting)

    def _make_map(
        self,
        image: _OpenImage,
        method: Method,
        metrics: Mapping[str, Metric],
        stored: MeasuredMap | None,
        passes_at_risk: int,
    ) -> _UnmeasuredMap:
        """Return a method's map, to be measured by some metrics; the stored map, where it is enough."""
        cams: list[Floats]  # L for the predicted class and, where a metric compares with it, for the second class
        record: Mapping[str, Any]
        second = any(metric.needs_second_class for metric in metrics.values())
        made = stored is None or second
        if stored is None or second:
            cams, record = self._explain(image, method, second=second, passes_before=passes_at_risk)
        else:
            cams, record = [stored.cam], stored.record
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
            frame=self.layer.geometry.frame,
        )
        unmeasured = _UnmeasuredMap(
            image.picture.sha256,
            method_key(method, self.seed),
            record,
            masked,
            metrics,
            passes=record["passes"] if made else 0,
        )
        masked.recall(unmeasured.inputs)  # the next explanation leaves other scores
        return unmeasured

    def _explain(
        self, image: _OpenImage, method: Method, *, second: bool, passes_before: int
    ) -> tuple[list[Floats], dict[str, Any]]:
        """Return the map for the predicted class, that for the second class if it is needed, and the first's record."""
        # Without this, the pass of the baseline would be counted only for the first image after a start, and a run that
        # was continued would count other passes.
        self.classifier.sessions.forget_baselines()
        classes = image.likeliest[: 2 if second else 1]
        # Several targets share their forward passes. A budget, however, plans them for all targets together, so that
        # the map of the first would depend on whether there is a second.
        has_limit = isinstance(method, MeanScoreMethod) and method.limit is not None
        groups = [[index] for index in classes] if has_limit else [classes]

        def report(done: int, planned: int) -> None:
            if self.watch:
                self.watch(passes_before + done, passes_before + planned)

        explanations = [
            explanation
            for targets in groups
            for explanation in explain(
                self.classifier,
                image.picture,
                method=method,
                target=targets,
                layer=self.layer,
                seed=self.seed,
                batch_size=self.batch_size,
                progress=report,
            )
        ]
        return [explanation.cam for explanation in explanations], explanations[0].record()


@dataclass(frozen=True)
class _UnmeasuredMap:
    """A map that is made, and waits for its figures.

    Attributes
    ----------
    image, method : str
        The image's hash, and the key of the method.
    record : mapping
        How the map was made.
    masked : MaskedImage
        The image with the map.
    metrics : mapping of str to Metric
        By the keys of the figures.
    passes : int
        The forward passes that this run has taken for the map.
    """

    image: str
    method: str
    record: Mapping[str, Any]
    masked: MaskedImage
    metrics: Mapping[str, Metric]
    passes: int

    @cached_property
    def inputs(self) -> list[ScoredInput]:
        """What the metrics have the model score."""
        return [one for metric in self.metrics.values() for one in metric.inputs(self.masked)]

    def measured(self) -> MeasuredMap:
        """Return the map with its figures."""
        figures = {key: metric.measure(self.masked) for key, metric in self.metrics.items()}
        cost = {"measuring_passes": self.masked.passes}
        return MeasuredMap(self.image, self.method, self.masked.cam, {**cost, **self.record}, figures)


def _measure(maps: Sequence[_UnmeasuredMap]) -> Iterator[MeasuredMap]:
    """Yield maps of one image with their figures: what their metrics have the model score shares batches."""
    score_together([(one.masked, one.inputs) for one in maps])
    for one in maps:
        yield one.measured()


class _OpenImage:
    """An image that was read, and what the model predicts for it."""

    def __init__(self, classifier: Classifier, layer: Layer, task: Task) -> None:
        self._task = task
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
