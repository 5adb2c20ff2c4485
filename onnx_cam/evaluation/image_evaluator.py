"""What a run does with one image: explain it by each method, and measure each map."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import MissingExtraError, ModelError, SettingError
from onnx_cam.evaluation.open_image import OpenImage
from onnx_cam.evaluation.other_models import OtherModels
from onnx_cam.evaluation.results.evaluation import figure_key
from onnx_cam.evaluation.results.records import MeasuredMap, MoreFigures, SeenImage
from onnx_cam.evaluation.task import Task
from onnx_cam.evaluation.unmeasured_map import UnmeasuredMap, measure_together
from onnx_cam.explanation.explaining import explain
from onnx_cam.graph.layer import Layer
from onnx_cam.methods import Method
from onnx_cam.metrics import MaskedImage, Metric
from onnx_cam.metrics.map_origin import MapOrigin
from onnx_cam.runtime.scorer import Progress

__all__ = ["ImageEvaluator", "method_key"]

Floats = NDArray[np.float32]

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
    other_models : OtherModels
        The models that metrics compare with.
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
        self.layer = classifier.layer(layer)
        self.other_models = OtherModels(classifier, self.layer, seed)
        self.metrics = tuple(map(self.other_models.settled, metrics))
        self.seed = seed
        self.batch_size = batch_size
        self.left_out: dict[str, str] = {}
        self.watch: Progress | None = None
        self.lenient = lenient

    def evaluate(self, task: Task) -> Iterator[SeenImage | MeasuredMap | MoreFigures]:
        """Yield what the model sees in an image, then each method's map with its figures, some of which may follow it.

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
        image = OpenImage(self.classifier, self.layer, task)
        yield image.seen
        if task.only_correct and image.predicted != task.label:
            return
        needed = {figure_key(metric, image.seen.facts): metric for metric in self.metrics}
        waiting: list[UnmeasuredMap] = []
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
                yield from measure_together(waiting, self.watch)
                waiting = []
        yield from measure_together(waiting, self.watch)

    def _make_map(
        self,
        image: OpenImage,
        method: Method,
        metrics: Mapping[str, Metric],
        stored: MeasuredMap | None,
        passes_at_risk: int,
    ) -> UnmeasuredMap:
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
            second_class=image.likeliest[1] if len(image.likeliest) > 1 else None,
            second_cam=cams[1] if len(cams) > 1 else None,
            batch_size=self.batch_size,
            frame=self.layer.geometry.frame,
            origin=MapOrigin(
                image.picture,
                method,
                self.layer,
                self.seed,
                randomised=self.other_models.randomised,
                mosaic=partial(self.other_models.mosaic, image),
            ),
        )
        unmeasured = UnmeasuredMap(
            image.picture.sha256,
            method_key(method, self.seed),
            record,
            masked,
            metrics,
            passes=record["passes"] if made else 0,
            is_stored=stored is not None,
        )
        masked.recall(unmeasured.inputs)  # the next explanation leaves other scores
        return unmeasured

    def _explain(
        self, image: OpenImage, method: Method, *, second: bool, passes_before: int
    ) -> tuple[list[Floats], dict[str, Any]]:
        """Return the map for the predicted class, that for the second class if it is needed, and the first's record."""
        # Without this, the pass of the baseline would be counted only for the first image after a start, and a run that
        # was continued would count other passes.
        self.classifier.sessions.forget_baselines()
        classes = image.likeliest[: 2 if second else 1]
        # Several targets share their forward passes. A budget, however, plans them for all targets together, so that
        # the map of the first would depend on whether there is a second.
        groups = [classes] if method.limit is None else [[index] for index in classes]

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
