"""What a run has measured, read back from its results file: the source of the tables, the report and the survey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutputError
from onnx_cam.evaluation.results.request import Request
from onnx_cam.evaluation.results.store import FILE_NAME, MeasuredMap, Results, SeenImage
from onnx_cam.metrics import Metric

__all__ = ["Evaluation", "Progress", "figure_key", "is_right", "read_evaluation"]

WRONG_CLASS = "taken for another class by the model"
"""Why ``only_correct`` leaves images out: a key of the fact ``left_out``."""

_BEFORE = "a later run in this folder has not finished an image yet; these are the results of the run before it"


def figure_key(metric: Metric, facts: Mapping[str, Any]) -> str:
    """Return what a stored figure is found by: the metric with its choices, and the boxes where it looks at them."""
    return f"{metric.key} {facts['boxes']}" if metric.needs_boxes else metric.key


def is_right(image: SeenImage) -> bool:
    """Tell whether the model predicts the class that the dataset labels an image with."""
    return bool(image.facts["predicted"] == image.facts["label"])


@dataclass(frozen=True)
class Progress:
    """How far an unfinished run has come.

    Attributes
    ----------
    done, planned : int
        Images that are finished, and images that the run is going to be over.

    Examples
    --------
    >>> str(Progress(37, 50))
    '37 of 50 images'
    """

    done: int
    planned: int

    def __str__(self) -> str:
        return f"{self.done:,} of {self.planned:,} images"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a run has measured.

    Attributes
    ----------
    folder : Path
    facts : mapping
        Plain JSON values: ``model`` (its path), ``model_sha256``, ``layer``, ``preprocessing``, ``provider``,
        ``versions``, ``dataset`` (its path), ``kind``, ``seed``, ``level`` and ``resamples`` of the intervals,
        ``left_out`` (reason to number of images), ``unreadable`` (name to reason), ``notes`` (list of str) and more.
    methods : mapping of str to str
        Each method's name in tables, and its key.
    metrics : tuple of Metric
    images : tuple of SeenImage
        Those that the figures are over, in the order of the dataset.
    maps : mapping of (str, str) to MeasuredMap
        By the image's hash and the method's name. Complete: each image with each method.
    files : tuple of Path
        What was written beside the results file.
    notes : tuple of str
        What could not be written, and why.
    progress : Progress or None
        How far the run has come; None once it is finished.
    """

    folder: Path
    facts: Mapping[str, Any]
    methods: Mapping[str, str]
    metrics: tuple[Metric, ...]
    images: tuple[SeenImage, ...]
    maps: Mapping[tuple[str, str], MeasuredMap]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    progress: Progress | None = None

    def metric(self, name: str) -> Metric | None:
        """Return the metric of that name; None where it was not measured."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def values(self, metric: Metric, method: str) -> NDArray[np.float64]:
        """Return what a metric says of a method's map of each image, (n,); NaN where it says nothing."""
        values = [
            self.maps[image.sha256, method].figures[figure_key(metric, image.facts)].value for image in self.images
        ]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def curves(self, metric: Metric, method: str) -> NDArray[np.float64]:
        """Return the curve of a metric for each image, (n, points)."""
        keys = [(image.sha256, figure_key(metric, image.facts)) for image in self.images]
        return np.array([self.maps[sha256, method].figures[key].curve for sha256, key in keys], np.float64)

    def blank(self, method: str) -> NDArray[np.bool_]:
        """Tell of which images a method's map says nothing, (n,): zero, or the same, everywhere."""
        cams = [self.maps[image.sha256, method].cam for image in self.images]
        return np.array([cam.max() == cam.min() for cam in cams], bool)


def read_evaluation(folder: str | Path) -> Evaluation:
    """Read what a run has measured: all of a finished run, and the images done so far of one that is not.

    The run may go on while it is read, in another process or on another machine, and may have been killed.

    Parameters
    ----------
    folder : str or Path
        The run's folder, the ``out`` of :func:`evaluate`.

    Raises
    ------
    OutputError
        There are no results, no image of them is finished, or they cannot be read.
    """
    with Results(Path(folder) / FILE_NAME) as results, results.naming_failures():
        begun, finished = results.begun_request, results.finished_request
        # A request that is being carried out counts as soon as one of its images is done; until then, the one before.
        if begun is not None and (evaluation := _read(results, begun, is_finished=False)).images:
            return evaluation
        if finished is not None and (evaluation := _read(results, finished, is_finished=True)).images:
            return evaluation if begun is None else _with_note(evaluation, _BEFORE)
    raise OutputError(
        f"the run in '{folder}' is not finished, and none of its images is; wait for the first one, or run the same "
        "onnx-cam evaluate again to continue"
    )


def _read(results: Results, request: Request, *, is_finished: bool) -> Evaluation:
    """Return what the file holds of a request: the images that are done, in the request's order."""
    seen, measured = results.images(), results.measured()
    done = [sha256 for sha256 in request.images if _is_done(seen.get(sha256), request, measured)]
    images = [seen[sha256] for sha256 in done if is_right(seen[sha256]) or not _only_right(request)]
    complete = is_finished and len(done) == len(request.images)
    maps = {
        (image.sha256, name): results.map(image.sha256, key)
        for image in images
        for name, key in request.methods.items()
    }
    return Evaluation(
        results.path.parent,
        {**results.run, **_facts(request, wrong=len(done) - len(images))},
        request.methods,
        request.metrics,
        tuple(images),
        maps,
        progress=None if complete else Progress(len(done), len(request.images)),
    )


def _is_done(image: SeenImage | None, request: Request, measured: Mapping[tuple[str, str], set[str]]) -> bool:
    """Tell whether an image is left out, or nothing is left to do for it: every method's map has every figure."""
    if image is None:
        return False
    if _only_right(request) and not is_right(image):
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


def _with_note(evaluation: Evaluation, note: str) -> Evaluation:
    return replace(evaluation, facts={**evaluation.facts, "notes": [*evaluation.facts["notes"], note]})
