"""Which method is best by a metric, and which methods cannot be told apart from it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

import numpy as np

from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.metrics import Metric, Win
from onnx_cam.metrics.interval import mean_interval

__all__ = ["FEW_IMAGES", "MOST_EMPTY", "Ranking", "competitors", "is_ranked", "rank"]

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


def competitors(evaluation: Evaluation) -> list[str]:
    """Return the methods that have few enough empty maps to be compared.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> competitors(evaluate(model, "photos.csv", methods="scorecam,equal", metrics="specificity", out="run"))
    ['scorecam', 'equal']
    """
    return [name for name in evaluation.methods if not _too_empty(evaluation, name)]


def rank(evaluation: Evaluation, metric: Metric) -> Ranking:
    """Rank methods by the mean of a metric over the images whose map is not empty.

    Parameters
    ----------
    evaluation : Evaluation
    metric : Metric

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="scorecam,equal", metrics="specificity", out="run")
    >>> rank(evaluation, evaluation.metric("specificity"))  # neither direction is better
    Ranking(best=(), level=())
    """
    if not is_ranked(metric):
        return Ranking()
    values = {name: _values(evaluation, metric, name) for name in competitors(evaluation)}
    means = {name: float(np.nanmean(of_name)) for name, of_name in values.items() if not np.isnan(of_name).all()}
    if len(means) < 2:
        return Ranking()
    # The best mean, and every method that has it; of the others, those whose difference from it may be chance.
    top = min(means.values()) if metric.better == "lower" else max(means.values())
    best = tuple(name for name, mean in means.items() if isclose(mean, top, rel_tol=_EQUAL, abs_tol=_EQUAL))
    if len(best) == len(means):
        return Ranking()
    others = [name for name in means if name not in best]
    return Ranking(best, tuple(name for name in others if not _apart(values[name] - values[best[0]])))


def _too_empty(evaluation: Evaluation, method: str) -> bool:
    blank = evaluation.blank(method)
    return bool(len(blank)) and float(blank.mean()) > MOST_EMPTY


def _values(evaluation: Evaluation, metric: Metric, method: str) -> np.ndarray:
    """Return one value for each image, (n,); NaN where it is not defined, or the map is empty."""
    return np.where(evaluation.blank(method), np.nan, evaluation.values(metric, method))


def _apart(differences: np.ndarray) -> bool:
    """Tell whether the mean of the differences between two methods, (n,), is other than 0 beyond chance."""
    defined = differences[~np.isnan(differences)]
    interval = mean_interval(defined)
    if len(defined) < FEW_IMAGES or interval.low is None or interval.high is None:
        return False
    return not interval.low <= 0 <= interval.high
