"""What a run says about its metrics: which of them a control wins, and how far they agree."""

from __future__ import annotations

from typing import Any

from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.verdict.agreement import MetricAgreement, metric_agreements
from onnx_cam.evaluation.verdict.controls import compare_controls
from onnx_cam.evaluation.verdict.ranking import best_method, is_ranked

__all__ = ["judge_metrics"]


def judge_metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Return, for each metric that has a better direction, what the controls win and how far it agrees with the others.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    dict
        By the metric's name: ``best_method``, the method with the best mean (None where no method has one);
        ``won_by``, the controls that are better than it; ``controls``, for each control how it does (``outcome``:
        ``better``, ``level`` or ``worse``) and how much better it is than the best method, image by image (``gain``:
        ``value``, ``low``, ``high``, ``n``); and ``agreement``, Kendall's τ of the order of the methods with each other
        metric, in the same form.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="cam", metrics="deletion,specificity", out="run")
    >>> judged = judge_metrics(evaluation)
    >>> list(judged), judged["deletion"]["best_method"], judged["deletion"]["controls"]["centre"]["outcome"]
    (['deletion'], 'cam', 'level')
    """
    agreements = metric_agreements(evaluation)
    judged = {}
    for metric in filter(is_ranked, evaluation.metrics):
        results = compare_controls(evaluation, metric)
        judged[metric.name] = {
            "best_method": best_method(evaluation, metric),
            "won_by": [result.control for result in results if result.outcome == "better"],
            "controls": {
                result.control: {"outcome": result.outcome, "gain": result.gain.describe()} for result in results
            },
            "agreement": _agreement(metric.name, agreements),
        }
    return judged


def _agreement(metric: str, agreements: list[MetricAgreement]) -> dict[str, dict[str, float | int | None]]:
    """Return τ with each other metric."""
    by_name = {}
    for one in agreements:
        pair = [one.first.name, one.second.name]
        if metric in pair:
            pair.remove(metric)
            by_name[pair[0]] = one.tau.describe()
    return by_name
