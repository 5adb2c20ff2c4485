"""How far the metrics agree: Kendall's τ of the order in which two of them put the methods."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.verdict.ranking import competitors, is_ranked, usable_values
from onnx_cam.metrics import Metric
from onnx_cam.metrics.interval import Interval, bounds, resampled_means

__all__ = ["MetricAgreement", "kendall_tau", "metric_agreements"]

_FEWEST_METHODS = 3  # with two there is a single pair, and τ is −1 or 1 whatever the metrics
_EQUAL = 1e-6  # the difference up to which means are equal, as for the ranking

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class MetricAgreement:
    """How far two metrics agree about the methods.

    Attributes
    ----------
    first, second : Metric
    tau : Interval
        Kendall's τ-b of the two orders of the methods: 1 if they are the same, −1 if one is the other's reverse, 0 if
        they have nothing to do with each other; with the 95 % interval of the percentile bootstrap over images.
    methods : int
        How many methods are put in order.

    Examples
    --------
    >>> from onnx_cam.metrics import Deletion, Insertion
    >>> MetricAgreement(Deletion(), Insertion(), Interval(0.8, 0.2, 1.0, 40), methods=5).tau.value
    0.8
    """

    first: Metric
    second: Metric
    tau: Interval
    methods: int


def metric_agreements(evaluation: Evaluation) -> list[MetricAgreement]:
    """Return how far each pair of metrics agrees; controls, and metrics without a better direction, take no part.

    Pairs that have fewer than three methods in common are left out, and so are those by which all methods are equal.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> settings = {"methods": "scorecam,iscam,sscam-max", "metrics": "deletion,insertion"}
    >>> evaluation = evaluate(model, "photos.csv", out="run", **settings)
    >>> [(one.first.name, one.second.name, one.methods) for one in metric_agreements(evaluation)]
    [('deletion', 'insertion', 3)]
    """
    names = competitors(evaluation)
    if len(names) < _FEWEST_METHODS or not evaluation.images:
        return []
    # Of each metric the quality of the methods on all images and on each resample of them: (1 + RESAMPLES, methods).
    qualities = {metric: _qualities(evaluation, metric, names) for metric in evaluation.metrics if is_ranked(metric)}
    agreements = [_agree(*pair, qualities, len(evaluation.images)) for pair in combinations(qualities, 2)]
    return [one for one in agreements if one is not None]


def kendall_tau(first: Doubles, second: Doubles) -> Doubles:
    """Return Kendall's τ-b of two orders, for many pairs of orders at once.

    Written here because the bootstrap needs it some thousand times a pair of metrics, and SciPy takes one at a time.

    Parameters
    ----------
    first, second : ndarray of shape (…, m), float64
        The values that m things are ordered by. Those that differ by no more than 1e-6 are tied.

    Returns
    -------
    ndarray of shape (…), float64
        From −1 to 1; NaN where all things are tied in one of the orders.

    References
    ----------
    Kendall, The treatment of ties in ranking problems, Biometrika 1945.

    Examples
    --------
    >>> float(kendall_tau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])).round(3))
    0.333
    """
    # For each pair of things −1, 0 or 1: (…, m (m − 1) / 2).
    ours, theirs = _signs(first), _signs(second)
    untied = np.sqrt((ours**2).sum(axis=-1) * (theirs**2).sum(axis=-1))
    concordant = (ours * theirs).sum(axis=-1)  # less the discordant ones
    return np.asarray(np.divide(concordant, untied, out=np.full_like(untied, np.nan), where=untied > 0))


def _signs(values: Doubles) -> Doubles:
    one, other = np.triu_indices(values.shape[-1], 1)
    left, right = values[..., one], values[..., other]
    tied = np.isclose(left, right, rtol=_EQUAL, atol=_EQUAL)
    return np.where(tied, 0.0, np.sign(left - right))


def _qualities(evaluation: Evaluation, metric: Metric, names: list[str]) -> Doubles:
    """Return the methods' means, higher being better, over all images and over each resample."""
    values = np.stack([usable_values(evaluation, metric, name) for name in names], axis=1)  # (n, methods)
    defined = ~np.isnan(values)
    sums = np.where(defined, values, 0.0).sum(axis=0)
    means = np.divide(sums, defined.sum(axis=0), out=np.full_like(sums, np.nan), where=defined.any(axis=0))
    qualities = np.vstack([means, resampled_means(values)])
    return -qualities if metric.better == "lower" else qualities


def _agree(first: Metric, second: Metric, qualities: dict[Metric, Doubles], images: int) -> MetricAgreement | None:
    ours, theirs = qualities[first], qualities[second]
    common = ~np.isnan(ours[0]) & ~np.isnan(theirs[0])  # the methods that both metrics are defined for
    if common.sum() < _FEWEST_METHODS:
        return None
    ours, theirs = ours[:, common], theirs[:, common]
    whole = ~(np.isnan(ours) | np.isnan(theirs)).any(axis=1)  # resamples with a value of every method
    taus = np.full(len(ours), np.nan)
    taus[whole] = kendall_tau(ours[whole], theirs[whole])
    if np.isnan(taus[0]):
        return None
    low, high = bounds(taus[1:][~np.isnan(taus[1:])]) if (~np.isnan(taus[1:])).any() else (taus[0], taus[0])
    return MetricAgreement(first, second, Interval(float(taus[0]), float(low), float(high), images), int(common.sum()))
