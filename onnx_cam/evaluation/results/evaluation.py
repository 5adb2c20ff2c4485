"""The results of a run, read from its results file: the source of the tables, the report and the survey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutputError
from onnx_cam.evaluation.results.records import ImageFacts, MeasuredMap, SeenImage
from onnx_cam.evaluation.results.request import Request
from onnx_cam.evaluation.results.results_file import FILE_NAME, ResultsFile
from onnx_cam.metrics import Measurement, Metric

__all__ = ["WRONG_CLASS", "Evaluation", "RunProgress", "figure_key", "read_evaluation"]

WRONG_CLASS = "the model predicts another class"
"""Why ``only_correct`` leaves images out: a key of the fact ``left_out``."""

_BEFORE = "a later run in this folder has not finished an image yet; these are the results of the run before it"


def figure_key(metric: Metric, image: ImageFacts) -> str:
    """Return the key that the figure of a map is stored under: the metric with its settings.

    Where the metric needs boxes or a mosaic, the key holds those of the image, too: others give another figure.

    Examples
    --------
    >>> from onnx_cam.metrics import Pointing
    >>> facts = ImageFacts(1, "cat", 1, "cat", 0.62, width=48, height=36, crop=(6, 0, 42, 36), boxes=((8, 4, 36, 28),))
    >>> figure_key(Pointing(), facts)
    '["pointing", {}] [[8, 4, 36, 28]]'
    """
    if metric.needs_mosaic:
        return f"{metric.key} {image.mosaic}"
    return f"{metric.key} {[list(box) for box in image.boxes]}" if metric.needs_boxes else metric.key


@dataclass(frozen=True)
class RunProgress:
    """How far an unfinished run has come.

    Attributes
    ----------
    done, planned : int
        The images that are finished, and all images of the run.

    Examples
    --------
    >>> str(RunProgress(37, 50))
    '37 of 50 images'
    """

    done: int
    planned: int

    def __str__(self) -> str:
        return f"{self.done:,} of {self.planned:,} images"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The results of a run.

    Attributes
    ----------
    folder : Path
        The run's folder.
    facts : mapping
        Plain JSON values: ``model`` (its path), ``model_sha256``, ``layer``, ``preprocessing``, ``provider``,
        ``versions``, ``dataset`` (its path), ``kind``, ``seed``, ``level`` and ``resamples`` of the intervals,
        ``left_out`` (reason to number of images), ``unreadable`` (name to reason), ``notes`` (list of str) and more.
    methods : mapping of str to str
        Each method's name in tables, and the key that its maps are stored under.
    metrics : tuple of Metric
    images : tuple of SeenImage
        The images that the figures are means over, in the order of the dataset.
    maps : mapping of (str, str) to MeasuredMap
        By the image's hash and the method's name. There is one for each image and method.
    files : tuple of Path
        What was written beside the results file.
    notes : tuple of str
        What could not be written, and why.
    progress : RunProgress or None
        How far the run has come; None once it is finished.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="scorecam,equal", metrics="average-drop", out="run")
    >>> drop = evaluation.metric("average-drop")
    >>> evaluation.values(drop, "scorecam").shape
    (2,)
    """

    folder: Path
    facts: Mapping[str, Any]
    methods: Mapping[str, str]
    metrics: tuple[Metric, ...]
    images: tuple[SeenImage, ...]
    maps: Mapping[tuple[str, str], MeasuredMap]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    progress: RunProgress | None = None

    def metric(self, name: str) -> Metric | None:
        """Return the metric of a name; None where the run did not measure it."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def values(self, metric: Metric, method: str) -> NDArray[np.float64]:
        """Return a metric's value for a method's map of each image, (n,); NaN where the metric is not defined."""
        figures = [self._figure(metric, method, image) for image in self.images]
        return np.array([np.nan if figure.value is None else figure.value for figure in figures], np.float64)

    def parts(self, metric: Metric, method: str, name: str) -> NDArray[np.float64]:
        """Return a part of a metric's value for each image, (n,); NaN where it is not defined."""
        parts = [self._figure(metric, method, image).parts.get(name) for image in self.images]
        return np.array([np.nan if part is None else part for part in parts], np.float64)

    def undefined(self) -> list[str]:
        """Return why metrics have no figure for some images, where there is more to say than that: a line each."""
        images: dict[tuple[str, str], set[str]] = {}
        for metric in self.metrics:
            for image, method in self.maps:
                figure = self.maps[image, method].figures[self._keys[metric.name, image]]
                if figure.reason:
                    images.setdefault((metric.name, figure.reason), set()).add(image)
        total = len(self.images)
        return [f"{name}: no figure for {len(of)} of {total} images: {why}" for (name, why), of in images.items()]

    def curves(self, metric: Metric, method: str) -> NDArray[np.float64]:
        """Return the curve of a metric for each image, (n, points)."""
        return np.array([self._figure(metric, method, image).curve for image in self.images], np.float64)

    def blank(self, method: str) -> NDArray[np.bool_]:
        """Tell for which images a method's map is empty, (n,): zero, or the same, everywhere."""
        return np.array([self.maps[image.sha256, method].is_empty for image in self.images], bool)

    def costs(self, method: str, name: str) -> NDArray[np.float64]:
        """Return what each of a method's maps took, (n,): ``passes`` or ``seconds``."""
        return np.array([self.maps[image.sha256, method].record[name] for image in self.images], np.float64)

    def relative_errors(self, method: str) -> NDArray[np.float64]:
        """Return the estimated relative error of each of a method's maps, (n,), a fraction; NaN where there is none.

        Maps from a part of the forward passes have one, and maps with noise.
        """
        errors = [self.maps[image.sha256, method].record.get("error") or {} for image in self.images]
        return np.array([error.get("relative_error") for error in errors], np.float64)

    def _figure(self, metric: Metric, method: str, image: SeenImage) -> Measurement:
        return self.maps[image.sha256, method].figures[self._keys[metric.name, image.sha256]]

    @cached_property
    def _keys(self) -> dict[tuple[str, str], str]:
        """The key of each metric's figures of an image, by the metric's name and the image's hash."""
        return {(one.name, image.sha256): figure_key(one, image.facts) for one in self.metrics for image in self.images}


def read_evaluation(folder: str | Path) -> Evaluation:
    """Read the results of a run: all of a finished run, and the finished images of an unfinished one.

    The run may be in progress, in another process or on another machine, and it may have been killed.

    Parameters
    ----------
    folder : str or Path
        The run's folder, the ``out`` of :func:`evaluate`.

    Raises
    ------
    OutputError
        There are no results, no image is finished, or the results cannot be read.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> _ = evaluate(model, "photos.csv", methods="scorecam,equal", metrics="average-drop", out="run")
    >>> evaluation = read_evaluation("run")
    >>> [image.name for image in evaluation.images], evaluation.progress
    (['cat.jpg', 'dog.jpg'], None)
    """
    with ResultsFile(Path(folder) / FILE_NAME) as results, results.naming_failures():
        begun, finished = results.begun_request, results.finished_request
        # The request that is being carried out is shown from its first finished image on; until then, the one before.
        if begun is not None and (evaluation := _read(results, begun, is_finished=False)).images:
            return evaluation
        if finished is not None and (evaluation := _read(results, finished, is_finished=True)).images:
            return evaluation if begun is None else _with_notes(evaluation, [_BEFORE])
    raise OutputError(
        f"the run in '{folder}' is not finished, and none of its images is; wait for the first one, or give the same "
        "onnx-cam evaluate command again to continue"
    )


def _read(results: ResultsFile, request: Request, *, is_finished: bool) -> Evaluation:
    """Return what the file holds of a request: the images that are finished, in the request's order."""
    seen, measured = results.images(), results.measured()
    done = [sha256 for sha256 in request.images if _is_done(seen.get(sha256), request, measured)]
    images = [seen[sha256] for sha256 in done if seen[sha256].facts.is_right or not _only_right(request)]
    complete = is_finished and len(done) == len(request.images)
    maps = {
        (image.sha256, name): results.map(image.sha256, key)
        for image in images
        for name, key in request.methods.items()
    }
    evaluation = Evaluation(
        results.path.parent,
        {**results.run, **_facts(request, wrong=len(done) - len(images))},
        request.methods,
        request.metrics,
        tuple(images),
        maps,
        progress=None if complete else RunProgress(len(done), len(request.images)),
    )
    return _with_notes(evaluation, evaluation.undefined())


def _is_done(image: SeenImage | None, request: Request, measured: Mapping[tuple[str, str], set[str]]) -> bool:
    """Tell whether an image is left out, or nothing is left to do for it: every method's map has every figure."""
    if image is None:
        return False
    if _only_right(request) and not image.facts.is_right:
        return True
    figures = {figure_key(metric, image.facts) for metric in request.metrics}
    maps = (measured.get((image.sha256, key)) for key in request.methods.values())
    return all(measurements is not None and figures <= measurements for measurements in maps)


def _only_right(request: Request) -> bool:
    return bool(request.facts.get("only_correct"))


def _facts(request: Request, *, wrong: int) -> dict[str, Any]:
    """Return the request's facts, with how many images the model takes for another class."""
    left_out = {WRONG_CLASS: wrong} if _only_right(request) else {}
    return {**request.facts, "left_out": {**left_out, **request.facts["left_out"]}}


def _with_notes(evaluation: Evaluation, notes: Sequence[str]) -> Evaluation:
    return replace(evaluation, facts={**evaluation.facts, "notes": [*evaluation.facts["notes"], *notes]})
