"""The metrics of the evaluation (METHODS.md, "Evaluation"): one file each, and one list of them."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.metrics.adcc import ADCC
from onnx_cam.metrics.average_drop import AverageDrop
from onnx_cam.metrics.average_gain import AverageGain
from onnx_cam.metrics.average_increase import AverageIncrease
from onnx_cam.metrics.base import CurveMetric, MaskingMetric, Measurement, Metric
from onnx_cam.metrics.class_change import ClassChange
from onnx_cam.metrics.contrast_drop import ContrastDrop
from onnx_cam.metrics.deletion import Deletion
from onnx_cam.metrics.explained_image import explained_image
from onnx_cam.metrics.grid_pointing import GridPointing
from onnx_cam.metrics.insertion import Insertion
from onnx_cam.metrics.map_origin import MapOrigin
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.metrics.mosaic import Mosaic
from onnx_cam.metrics.pointing import Pointing
from onnx_cam.metrics.randomisation import Randomisation
from onnx_cam.metrics.specificity import Specificity
from onnx_cam.metrics.stability import Stability
from onnx_cam.metrics.win import Win
from onnx_cam.names import BASELINES, METRICS_OF_ALL, SCORES
from onnx_cam.runtime.scores import ScoreKind

__all__ = [
    "ADCC",
    "METRICS",
    "AverageDrop",
    "AverageGain",
    "AverageIncrease",
    "ClassChange",
    "ContrastDrop",
    "Deletion",
    "GridPointing",
    "Insertion",
    "MapOrigin",
    "MaskedImage",
    "Measurement",
    "Metric",
    "Mosaic",
    "Pointing",
    "Randomisation",
    "Specificity",
    "Stability",
    "Win",
    "choose_metrics",
    "explained_image",
]

_CLASSES: tuple[type[Metric], ...] = (
    *(AverageDrop, AverageIncrease, AverageGain, Win, Deletion, Insertion, Pointing, Specificity, ClassChange),
    *(ADCC, ContrastDrop, GridPointing, Randomisation, Stability),
)

METRICS: dict[str, type[Metric]] = {cls.name: cls for cls in _CLASSES}
"""The class of each metric, by its name."""

ALL, ALL_PLUS = "all", "all+"
"""The words that stand for the metrics that only score inputs, and for every metric."""

_MAX_STEPS = 10_000


def choose_metrics(
    metrics: str | Sequence[str | Metric] = "all",
    *,
    score: str = "probability",
    keep: float = 1.0,
    steps: int = 50,
    deletion_baseline: str = "zero",
    insertion_baseline: str = "blur",
) -> tuple[Metric, ...]:
    """Return metrics by their names.

    Parameters
    ----------
    metrics : str, or sequence of str and Metric
        Names in :data:`METRICS`; a single string may hold several with commas between them. ``"all"`` stands for the
        papers' metrics, which need no other explanation than the map's, and ``"all+"`` for every metric.
    score : {"probability", "logit"}
        The score that the metrics measure.
    keep : float
        The share of pixels, above 0 and up to 1, that the metrics keep which multiply the image by the map.
    steps : int
        The number of steps of deletion and insertion, from 1 to 10,000.
    deletion_baseline, insertion_baseline : {"zero", "black", "mean", "blur"}
        The baseline that replaces pixels, and the one that pixels are added to.

    Returns
    -------
    tuple of Metric

    Raises
    ------
    SettingError
        A name is unknown or given twice, or a setting is out of range.

    Examples
    --------
    >>> choose_metrics("average-drop,insertion", steps=20)
    (AverageDrop(score='probability', keep=1.0), Insertion(score='probability', steps=20, baseline='blur'))
    """
    kind = _score_kind(score)
    _check(keep, steps, (deletion_baseline, insertion_baseline))
    words = [part.strip() for part in metrics.split(",") if part.strip()] if isinstance(metrics, str) else list(metrics)
    words = [name for word in words for name in _meant(word)]
    if not words:
        raise SettingError(f"no metric to measure; expected {ALL}, {ALL_PLUS}, or some of {', '.join(METRICS)}")
    selection: list[Metric] = []
    for word in words:
        metric = word
        if isinstance(metric, str):
            baseline = insertion_baseline if metric == Insertion.name else deletion_baseline
            metric = _make(metric, kind, keep, steps, baseline)
        if metric.name in [other.name for other in selection]:
            raise SettingError(f"{metric.name} is given twice; give each metric once")
        selection.append(metric)
    return tuple(selection)


def _meant(word: str | Metric) -> Sequence[str | Metric]:
    """Return the metrics that a word stands for."""
    if word == ALL_PLUS:
        return list(METRICS)
    return METRICS_OF_ALL if word == ALL else [word]


def _make(name: str, score: ScoreKind, keep: float, steps: int, baseline: str) -> Metric:
    if name not in METRICS:
        raise SettingError(
            f"unknown metric {name!r}{did_you_mean(name, METRICS)} Expected {ALL}, {ALL_PLUS}, or some of "
            f"{', '.join(METRICS)}"
        )
    cls = METRICS[name]
    if issubclass(cls, MaskingMetric):
        return cls(score=score, keep=keep)
    if issubclass(cls, CurveMetric):
        return cls(score=score, steps=steps, baseline=baseline)
    return cls(score=score) if issubclass(cls, ADCC) else cls()


def _score_kind(score: str) -> ScoreKind:
    if score not in SCORES:
        raise SettingError(f"unknown score {score!r}; expected probability or logit")
    return "logit" if score == "logit" else "probability"


def _check(keep: float, steps: int, baselines: Sequence[str]) -> None:
    if not 0 < keep <= 1:
        raise SettingError(f"keep={keep}; expected a share of the pixels above 0 and at most 1")
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= _MAX_STEPS:
        raise SettingError(f"steps={steps!r}; expected a whole number from 1 to {_MAX_STEPS:,}")
    for baseline in baselines:
        if baseline not in BASELINES:
            raise SettingError(f"unknown baseline {baseline!r}; expected one of {', '.join(BASELINES)}")
