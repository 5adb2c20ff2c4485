"""The metrics of the evaluation (METHODS.md), one file each, and the one list of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.metrics.average_drop import AverageDrop
from onnx_cam.metrics.average_increase import AverageIncrease
from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.class_change import ClassChange
from onnx_cam.metrics.deletion import Deletion
from onnx_cam.metrics.insertion import Insertion
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.metrics.pointing import Pointing
from onnx_cam.metrics.specificity import Specificity
from onnx_cam.metrics.win import Win
from onnx_cam.names import BASELINES, SCORES

__all__ = [
    "METRICS",
    "AverageDrop",
    "AverageIncrease",
    "ClassChange",
    "Deletion",
    "Insertion",
    "MaskedImage",
    "Measurement",
    "Metric",
    "Pointing",
    "Specificity",
    "Win",
    "choose_metrics",
]

_CLASSES: tuple[type[Metric], ...] = (
    *(AverageDrop, AverageIncrease, Win, Deletion, Insertion, Pointing, Specificity, ClassChange),
)

METRICS: dict[str, type[Metric]] = {cls.name: cls for cls in _CLASSES}
"""Name to class."""

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
        Names in :data:`METRICS`; a single string may hold several, with commas; ``"all"``: every one.
    score : {"probability", "logit"}
    keep : float
        Share of pixels, of those metrics that mask the image by the map.
    steps : int
        Of deletion and insertion.
    deletion_baseline, insertion_baseline : {"zero", "black", "mean", "blur"}

    Raises
    ------
    SettingError
        A name is unknown or said twice, or a setting is out of range.
    """
    _check(score, keep, steps, (deletion_baseline, insertion_baseline))
    if metrics == "all":
        metrics = list(METRICS)
    named = [part.strip() for part in metrics.split(",") if part.strip()] if isinstance(metrics, str) else list(metrics)
    if not named:
        raise SettingError(f"no metric; expected all, or some of {', '.join(METRICS)}")
    baselines = {"deletion": deletion_baseline, "insertion": insertion_baseline}
    settings = {"score": score, "keep": keep, "steps": steps}
    chosen = [
        name if isinstance(name, Metric) else _make(name, {**settings, "baseline": baselines.get(name)})
        for name in named
    ]
    names = [metric.name for metric in chosen]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise SettingError(f"{name} said twice; name each metric once")
    return tuple(chosen)


def _make(name: str, settings: dict[str, Any]) -> Metric:
    if name not in METRICS:
        raise SettingError(
            f"unknown metric {name!r}{did_you_mean(name, METRICS)} Expected all, or some of {', '.join(METRICS)}"
        )
    own = {field.name for field in fields(METRICS[name])}
    return METRICS[name](**{key: value for key, value in settings.items() if key in own})


def _check(score: str, keep: float, steps: int, baselines: Sequence[str]) -> None:
    if score not in SCORES:
        raise SettingError(f"unknown score {score!r}; expected probability or logit")
    if not 0 < keep <= 1:
        raise SettingError(f"keep={keep}; expected a share of the pixels above 0 and at most 1")
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= _MAX_STEPS:
        raise SettingError(f"steps={steps!r}; expected a whole number from 1 to {_MAX_STEPS:,}")
    for baseline in baselines:
        if baseline not in BASELINES:
            raise SettingError(f"unknown baseline {baseline!r}; expected one of {', '.join(BASELINES)}")
