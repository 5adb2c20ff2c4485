"""Which method is best by a metric, and which ones cannot be told apart from it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

import numpy as np

from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.metrics import Metric, Win
from onnx_cam.metrics.interval import mean_interval

__all__ = ["FEW_IMAGES", "MOST_EMPTY", "Ranking", "competitors", "is_ranked", "rank"]

FEW_IMAGES = 10
"""With fewer images nothing is told apart: the bootstrap's intervals are too narrow then."""

MOST_EMPTY = 0.01
"""A larger share of empty maps, and a method's means, which leave them out, are not compared."""

_EQUAL = 1e-6  # means that are no further apart are equal: float32 scores tell no more


@dataclass(frozen=True)
class Ranking:
    """How methods compare by one metric.

    Attributes
    ----------
    best : tuple of str
        The methods with the best mean; more than one where they are equal, none where all are.
    level : tuple of str
        Those whose difference from the best one, image by image, has an interval that holds 0.
    """

    best: tuple[str, ...] = ()
    level: tuple[str, ...] = ()


def is_ranked(metric: Metric) -> bool:
    """Tell whether methods have a best one by this metric; Win compares them in pairs instead."""
    return metric.better is not None and not isinstance(metric, Win)


def competitors(evaluation: Evaluation) -> list[str]:
    """Return the methods with few enough empty maps to be compared."""
    return [name for name in evaluation.methods if not _too_empty(evaluation, name)]


def rank(evaluation: Evaluation, metric: Metric) -> Ranking:
    """Rank methods by the mean of a metric over their maps that are not empty."""
    if not is_ranked(metric):
        return Ranking()
    values = {name: _values(evaluation, metric, name) for name in competitors(evaluation)}
    means = {name: float(np.nanmean(own)) for name, own in values.items() if not np.isnan(own).all()}
    if len(means) < 2:
        return Ranking()
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
    """Return one value an image, NaN where there is none or the map is empty."""
    return np.where(evaluation.blank(method), np.nan, evaluation.values(metric, method))


def _apart(differences: np.ndarray) -> bool:
    known = differences[~np.isnan(differences)]
    interval = mean_interval(known)
    if len(known) < FEW_IMAGES or interval.low is None or interval.high is None:
        return False
    return not interval.low <= 0 <= interval.high
