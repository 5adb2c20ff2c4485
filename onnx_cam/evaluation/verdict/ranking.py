"""Which method is best by a metric, which methods cannot be told apart from it, and by how much two methods differ."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.methods.controls import is_control
from onnx_cam.metrics import Metric, Win
from onnx_cam.metrics.interval import Interval, mean_interval

__all__ = [
    "FEW_IMAGES",
    "MOST_EMPTY",
    "Outcome",
    "Ranking",
    "best_method",
    "comparable",
    "competitors",
    "gain",
    "is_ranked",
    "outcome",
    "rank",
    "usable_values",
]

Outcome = Literal["better", "level", "worse"]
"""How a method does against another: level where the two cannot be told apart."""

FEW_IMAGES = 10
"""With fewer images no two methods are told apart, since the bootstrap's intervals are too narrow then."""

MOST_EMPTY = 0.01
"""A method with a larger share of empty maps is not compared, since its means leave those images out."""

_EQUAL = 1e-6  # the difference up to which means are equal: scores in float32 are no more precise


@dataclass(frozen=True)
class Ranking:
    """How methods compare by one metric.

    Attributes
    ----------
    best : tuple of str
        The methods with the best mean: several where they are equal, none where all are.
    level : tuple of str
        The other methods that cannot be told apart from the best: the 95 % interval of the difference, image by image,
        contains 0.

    Examples
    --------
    >>> Ranking(best=("sscam2",), level=("scorecam",)).best
    ('sscam2',)
    """

    best: tuple[str, ...] = ()
    level: tuple[str, ...] = ()


def is_ranked(metric: Metric) -> bool:
    """Tell whether a metric has a best method. Win compares methods in pairs instead.

    Examples
    --------
    >>> from onnx_cam.metrics import Deletion
    >>> is_ranked(Deletion()), is_ranked(Win())
    (True, False)
    """
    return metric.better is not None and not isinstance(metric, Win)


def comparable(evaluation: Evaluation) -> list[str]:
    """Return the methods and controls that have few enough empty maps to be compared.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> comparable(evaluate(model, "photos.csv", methods="scorecam", metrics="specificity", out="run"))
    ['scorecam', 'equal', 'centre', 'random']
    """
    return [name for name in evaluation.methods if not _too_empty(evaluation, name)]


def competitors(evaluation: Evaluation) -> list[str]:
    """Return the methods that are ranked: those that can be compared, without the controls.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> competitors(evaluate(model, "photos.csv", methods="scorecam", metrics="specificity", out="run"))
    ['scorecam']
    """
    return [name for name in comparable(evaluation) if not is_control(name)]


def rank(evaluation: Evaluation, metric: Metric) -> Ranking:
    """Rank the methods, without the controls, by the mean of a metric over the images whose map is not empty.

    Parameters
    ----------
    evaluation : Evaluation
    metric : Metric

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="scorecam,cam", metrics="specificity", out="run")
    >>> rank(evaluation, evaluation.metric("specificity"))  # neither direction is better
    Ranking(best=(), level=())
    """
    best = _best(evaluation, metric)
    means = _means(evaluation, metric)
    if len(best) == len(means):
        return Ranking()
    others = [name for name in means if name not in best]
    level = [name for name in others if outcome(gain(evaluation, metric, name, best[0])) == "level"]
    return Ranking(best, tuple(level))


def best_method(evaluation: Evaluation, metric: Metric) -> str | None:
    """Return the method with the best mean, the first of several; None where no method is ranked by the metric.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="cam", metrics="deletion", out="run")
    >>> best_method(evaluation, evaluation.metric("deletion"))
    'cam'
    """
    return next(iter(_best(evaluation, metric)), None)


def gain(evaluation: Evaluation, metric: Metric, method: str, other: str) -> Interval:
    """Return how much better a method is than another one by a metric: the mean difference, image by image.

    Returns
    -------
    Interval
        In the metric's unit; positive where the first method is better, whatever the metric's direction. Images for
        which either map is empty or the metric is not defined are left out.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="cam", metrics="deletion", out="run")
    >>> gain(evaluation, evaluation.metric("deletion"), "cam", "equal").n
    2
    """
    differences = usable_values(evaluation, metric, method) - usable_values(evaluation, metric, other)
    signed = -differences if metric.better == "lower" else differences
    return mean_interval(signed[~np.isnan(signed)])


def outcome(gained: Interval) -> Outcome:
    """Return what a paired difference says; level where its interval contains 0 or there are too few images.

    Examples
    --------
    >>> outcome(Interval(0.2, 0.1, 0.3, 12)), outcome(Interval(0.2, 0.1, 0.3, FEW_IMAGES - 1))
    ('better', 'level')
    """
    low, high = gained.low, gained.high
    if gained.n < FEW_IMAGES or low is None or high is None or (low <= _EQUAL and high >= -_EQUAL):
        return "level"
    return "better" if low > 0 else "worse"


def usable_values(evaluation: Evaluation, metric: Metric, method: str) -> NDArray[np.float64]:
    """Return the values that a method's mean is over, (n,); NaN where one is not defined, or the map is empty."""
    return np.where(evaluation.blank(method), np.nan, evaluation.values(metric, method))


def _best(evaluation: Evaluation, metric: Metric) -> tuple[str, ...]:
    """Return every method that has the best mean."""
    means = _means(evaluation, metric)
    if not means:
        return ()
    top = min(means.values()) if metric.better == "lower" else max(means.values())
    return tuple(name for name, mean in means.items() if isclose(mean, top, rel_tol=_EQUAL, abs_tol=_EQUAL))


def _means(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """Return the mean of each method that is ranked and has a value; none for a metric that ranks nothing."""
    if not is_ranked(metric):
        return {}
    values = {name: usable_values(evaluation, metric, name) for name in competitors(evaluation)}
    return {name: float(np.nanmean(of_name)) for name, of_name in values.items() if not np.isnan(of_name).all()}


def _too_empty(evaluation: Evaluation, method: str) -> bool:
    blank = evaluation.blank(method)
    return bool(len(blank)) and float(blank.mean()) > MOST_EMPTY
