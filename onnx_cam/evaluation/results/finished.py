"""What a run found, read back from its results file: what the tables, the report and the survey are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutputError
from onnx_cam.evaluation.results.store import FILE_NAME, MeasuredMap, Results, SeenImage
from onnx_cam.metrics import METRICS, Metric

__all__ = ["Evaluation", "figure_key", "read_evaluation"]


def figure_key(metric: Metric, facts: Mapping[str, Any]) -> str:
    """Return what a stored figure is found by: the metric with its choices, and the boxes where it looks at them."""
    return f"{metric.key} {facts['boxes']}" if metric.needs_boxes else metric.key


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a run found.

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
    """

    folder: Path
    facts: Mapping[str, Any]
    methods: Mapping[str, str]
    metrics: tuple[Metric, ...]
    images: tuple[SeenImage, ...]
    maps: Mapping[tuple[str, str], MeasuredMap]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

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
    """Read what a finished run found.

    Raises
    ------
    OutputError
        There is none, it is not finished, or it cannot be read.
    """
    path = Path(folder) / FILE_NAME
    unfinished = f"the run in '{folder}' is not finished; run the same onnx-cam evaluate again to go on"
    with Results(path) as results, results.naming_failures():
        run = results.run
        if "asked" not in run:
            raise OutputError(unfinished)
        asked = run.pop("asked")
        seen = results.images()
        maps = {
            (image, name): results.map(image, key)
            for image in asked["images"]
            for name, key in asked["methods"].items()
        }
        metrics = tuple(METRICS[name](**parameters) for name, parameters in asked["metrics"])
        images = tuple(seen[image] for image in asked["images"])
        for image, name in product(images, asked["methods"]):  # a later call was stopped, and had other boxes
            if not {figure_key(metric, image.facts) for metric in metrics} <= maps[image.sha256, name].figures.keys():
                raise OutputError(unfinished)
        return Evaluation(Path(folder), {**run, **asked["facts"]}, asked["methods"], metrics, images, maps)
