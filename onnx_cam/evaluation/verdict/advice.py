"""Which method the figures of a run speak for, for each purpose of a map, by rules that are stated here.

1. A metric counts only where its best method is better than every control: a metric that a control wins does not
   measure explanation on these images, and one that cannot tell the best method from a control that knows nothing of
   the class (``equal``, ``centre`` or ``random``) says nothing about methods.
2. For a purpose, the leaders are the methods that are the best, or cannot be told apart from the best, by each of its
   metrics that count.
3. Of the leaders the one that takes the fewest forward passes is advised; among equals the first in the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.verdict.controls import ControlResult, compare_controls, winning_control
from onnx_cam.evaluation.verdict.purposes import by_purpose
from onnx_cam.evaluation.verdict.ranking import (
    FEW_IMAGES,
    best_method,
    competitors,
    is_ranked,
    rank,
    usable_values,
)
from onnx_cam.methods.blurred import Blurred
from onnx_cam.metrics import Metric

__all__ = ["Advice", "MetricVerdict", "advise", "judge_metric"]

Standing = Literal["counts", "won by a control", "level with a control", "too few images"]


@dataclass(frozen=True)
class MetricVerdict:
    """Whether a metric can be used to choose a method on these images.

    Attributes
    ----------
    metric : Metric
    best : str
        The method with the best mean.
    leaders : tuple of str
        It, and the methods that cannot be told apart from it, in the order of the tables.
    standing : str
        ``counts``, ``won by a control``, ``level with a control`` or ``too few images``.
    control : ControlResult or None
        The control that wins, or that cannot be told apart from the best method.
    images : int
        How many images the best method has a value for.

    Examples
    --------
    >>> from onnx_cam.metrics import Deletion
    >>> MetricVerdict(Deletion(), "cam", ("cam", "gradcam"), "counts", None, images=40).best
    'cam'
    """

    metric: Metric
    best: str
    leaders: tuple[str, ...]
    standing: Standing
    control: ControlResult | None
    images: int


@dataclass(frozen=True)
class Advice:
    """Which method the figures speak for, for one purpose.

    Attributes
    ----------
    goal : str
    method : str or None
        None where the figures speak for none.
    leaders : tuple of str
        The methods among which the figures do not decide, the advised one included.
    verdicts : tuple of MetricVerdict
        Of each metric that bears on the purpose.

    Examples
    --------
    >>> Advice("To find the object", "cam", ("cam", "scorecam"), ()).method
    'cam'
    """

    goal: str
    method: str | None
    leaders: tuple[str, ...]
    verdicts: tuple[MetricVerdict, ...]

    @property
    def counted(self) -> list[MetricVerdict]:
        """Those of the metrics that count."""
        return [verdict for verdict in self.verdicts if verdict.standing == "counts"]


def advise(evaluation: Evaluation) -> list[Advice]:
    """Return which method the figures speak for, for each purpose that a metric of the run bears on.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="cam", metrics="deletion,specificity", out="run")
    >>> [(one.goal, one.method, one.verdicts[0].standing) for one in advise(evaluation)]  # of two images
    [('To see which pixels the score rests on', None, 'too few images')]
    """
    verdicts = [judge_metric(evaluation, metric) for metric in evaluation.metrics]
    by_name = {verdict.metric.name: verdict for verdict in verdicts if verdict is not None}
    return [
        _advise(evaluation, goal, tuple(by_name[metric.name] for metric in metrics))
        for goal, metrics in by_purpose(verdict.metric for verdict in by_name.values())
    ]


def judge_metric(evaluation: Evaluation, metric: Metric) -> MetricVerdict | None:
    """Return whether a metric can be used to choose a method; None where it has no best method.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="cam", metrics="deletion", out="run")
    >>> judge_metric(evaluation, evaluation.metrics[0]).leaders
    ('cam',)
    """
    best = best_method(evaluation, metric)
    if best is None or not is_ranked(metric):
        return None
    ranking = rank(evaluation, metric)
    measured = [name for name in competitors(evaluation) if not np.isnan(usable_values(evaluation, metric, name)).all()]
    leaders = tuple(name for name in measured if not ranking.best or name in {*ranking.best, *ranking.level})
    images = int((~np.isnan(usable_values(evaluation, metric, best))).sum())
    standing, control = _standing(compare_controls(evaluation, metric), images)
    return MetricVerdict(metric, best, leaders, standing, control, images)


def _standing(results: list[ControlResult], images: int) -> tuple[Standing, ControlResult | None]:
    if images < FEW_IMAGES:
        return "too few images", None
    winner = winning_control(results)
    if winner is not None:
        return "won by a control", winner
    # A blurred map is that of a method, and depends on the class: where it does as well, only the detail is not seen.
    level = [one for one in results if one.outcome == "level" and not one.control.startswith(Blurred.name)]
    if level:
        return "level with a control", max(level, key=lambda result: result.gain.value or 0.0)
    return "counts", None


def _advise(evaluation: Evaluation, goal: str, verdicts: tuple[MetricVerdict, ...]) -> Advice:
    counted = [verdict for verdict in verdicts if verdict.standing == "counts"]
    if not counted:
        return Advice(goal, None, (), verdicts)
    leaders = tuple(name for name in competitors(evaluation) if all(name in one.leaders for one in counted))
    cheapest = min(leaders, key=lambda name: evaluation.costs(name, "passes").mean(), default=None)
    return Advice(goal, cheapest, leaders, verdicts)
