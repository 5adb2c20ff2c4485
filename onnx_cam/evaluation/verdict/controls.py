"""What the controls win: whether a map that explains nothing does better by a metric than every method."""

from __future__ import annotations

from dataclasses import dataclass

from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.verdict.ranking import Outcome, best_method, comparable, gain, outcome
from onnx_cam.methods.controls import is_control
from onnx_cam.metrics import Metric
from onnx_cam.metrics.interval import Interval

__all__ = ["ControlResult", "compare_controls", "winning_control"]


@dataclass(frozen=True)
class ControlResult:
    """How a control does against the best method by a metric.

    Attributes
    ----------
    control, method : str
    gain : Interval
        How much better the control is, image by image, in the metric's unit; negative where the method is better.

    Examples
    --------
    >>> ControlResult("centre", "cam", Interval(2.0, 0.5, 3.5, 40)).outcome
    'better'
    """

    control: str
    method: str
    gain: Interval

    @property
    def outcome(self) -> Outcome:
        """How the control does: a metric by which it is better does not measure explanation on these images."""
        return outcome(self.gain)


def compare_controls(evaluation: Evaluation, metric: Metric) -> list[ControlResult]:
    """Return how each control does against the method with the best mean; empty where no method is ranked.

    The best method is chosen on the same images, which favours the method a little: a control that is better is so in
    spite of that.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="cam", metrics="deletion", out="run")
    >>> [result.control for result in compare_controls(evaluation, evaluation.metric("deletion"))]
    ['equal', 'centre', 'random']
    """
    best = best_method(evaluation, metric)
    if best is None:
        return []
    controls = [name for name in comparable(evaluation) if is_control(name)]
    results = [ControlResult(name, best, gain(evaluation, metric, name, best)) for name in controls]
    return [result for result in results if result.gain.n]


def winning_control(results: list[ControlResult]) -> ControlResult | None:
    """Return the control that is better than the best method by most; None where none is.

    Examples
    --------
    >>> won = ControlResult("centre", "cam", Interval(2.0, 0.5, 3.5, 40))
    >>> winning_control([won, ControlResult("random", "cam", Interval(-3.0, -4.0, -1.0, 40))]).control
    'centre'
    """
    better = [result for result in results if result.outcome == "better"]
    return max(better, key=lambda result: result.gain.value or 0.0, default=None)
