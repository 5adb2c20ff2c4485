"""The first screen of the report: which method, for what, how sure, and at what cost, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx_cam.evaluation.report.wording import count, figure, label
from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.verdict.advice import Advice, MetricVerdict, advise
from onnx_cam.evaluation.verdict.agreement import MetricAgreement
from onnx_cam.evaluation.verdict.controls import ControlResult, compare_controls, winning_control
from onnx_cam.evaluation.verdict.ranking import FEW_IMAGES, MOST_EMPTY, best_method, competitors, gain, is_ranked
from onnx_cam.methods.controls import is_control
from onnx_cam.metrics import Metric
from onnx_cam.metrics.interval import Interval

__all__ = ["Answer", "Paragraph", "answer", "what_controls_win"]

_MUCH_DEARER = 2  # times the forward passes: from there on a method's cost is set beside that of the advised one

_LEAST_SECONDS = 0.01  # less is not said more precisely


@dataclass(frozen=True)
class Paragraph:
    """What the figures say about one purpose.

    Attributes
    ----------
    goal, advice : str
        What a map is made for, and what the figures speak for.
    cost : str
        What the advised method costs; empty where none is advised.
    reasons : list of str
        Sentences.

    Examples
    --------
    >>> Paragraph("To find the object", "cam", "no forward pass, 0.01 s an image", []).advice
    'cam'
    """

    goal: str
    advice: str
    cost: str
    reasons: list[str]


@dataclass(frozen=True)
class Answer:
    """What the figures say, in words.

    Attributes
    ----------
    alarm : str
        Why nothing can be said; empty where something can.
    paragraphs : list of Paragraph
    doubts : list of str
        The metrics that do not count, and why.
    basis : list of str
        What it all rests on.

    Examples
    --------
    >>> Answer("", [], ["Average Drop is won by the control centre."], []).doubts
    ['Average Drop is won by the control centre.']
    """

    alarm: str
    paragraphs: list[Paragraph]
    doubts: list[str]
    basis: list[str]


def answer(evaluation: Evaluation, agreements: Sequence[MetricAgreement]) -> Answer:
    """Return what the figures of a run say, by the rules of :mod:`onnx_cam.evaluation.verdict.advice`.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="cam", metrics="deletion", out="run")
    >>> answer(evaluation, []).alarm
    'This run has 2 images. At least 10 are needed to tell methods apart, so no method is recommended.'
    """
    alarm = _alarm(evaluation)
    if alarm:
        return Answer(alarm, [], [], _left_out(evaluation))
    advice = advise(evaluation)
    doubts = [_doubt(verdict) for one in advice for verdict in one.verdicts if verdict.standing != "counts"]
    return Answer(
        "" if advice else "No metric that says which of two maps is better has a value, so no method is recommended.",
        [_paragraph(evaluation, one) for one in advice],
        [*doubts, *_undefined(evaluation)],
        [*_basis(evaluation), *_agreement(agreements), *_left_out(evaluation)],
    )


def what_controls_win(evaluation: Evaluation) -> list[str]:
    """Return a sentence for each metric that a control wins.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> what_controls_win(evaluate(model, "photos.csv", methods="cam", metrics="deletion", out="run"))  # of two images
    []
    """
    winners = [
        (one, winning_control(compare_controls(evaluation, one))) for one in evaluation.metrics if is_ranked(one)
    ]
    return [_won(metric, winner) for metric, winner in winners if winner is not None]


# --------------------------------------------------------------------------------------------------------------------
# Where nothing can be said.


def _alarm(evaluation: Evaluation) -> str:
    images = len(evaluation.images)
    if images < FEW_IMAGES:
        has = count(images, "image") if images else "no image"
        return (
            f"This run has {has}. At least {FEW_IMAGES} are needed to tell methods apart, so no method is recommended."
        )
    if all(is_control(name) for name in evaluation.methods):
        return "Only controls were evaluated: there is no method to recommend."
    if not competitors(evaluation):
        return "Every method has too many empty maps to be compared, so none is recommended."
    if not any(is_ranked(metric) for metric in evaluation.metrics):
        return "None of the metrics of this run says which of two maps is better, so no method is recommended."
    return ""


def _left_out(evaluation: Evaluation) -> list[str]:
    compared = competitors(evaluation)
    others = [name for name in evaluation.methods if name not in compared and not is_control(name)]
    if not others:
        return []
    named = [f"{label(name)} ({int(evaluation.blank(name).sum())} of {len(evaluation.images)})" for name in others]
    return [f"Not compared, because more than {100 * MOST_EMPTY:g} % of their maps are empty: {_and(named)}."]


# --------------------------------------------------------------------------------------------------------------------
# What is advised.


def _paragraph(evaluation: Evaluation, advice: Advice) -> Paragraph:
    if advice.method is None:
        return Paragraph(advice.goal, "no recommendation", "", [_why_none(advice)])
    reasons = [_why(evaluation, advice), *_differences(evaluation, advice), *_dearest(evaluation, advice)]
    cost = f"{_cost(evaluation, advice.method)} an image, beyond the run that predicts the class"
    return Paragraph(advice.goal, label(advice.method), cost, reasons)


def _why_none(advice: Advice) -> str:
    if advice.counted:
        leads = [f"{label(one.best)} leads by {one.metric.title}" for one in advice.counted]
        return f"The metrics contradict each other: {_and(leads)}, and no method is among the best by each of them."
    return f"{_titles(advice.verdicts)} cannot be used to choose a method on these images, for the reasons below."


def _why(evaluation: Evaluation, advice: Advice) -> str:
    titles = _titles(advice.counted)
    if len(competitors(evaluation)) == 1:
        is_controlled = any(is_control(name) for name in evaluation.methods)
        beats = f", and better than every control by {titles}" if is_controlled else ""
        return f"It is the only method that was compared{beats}."
    if len(advice.leaders) > 1:
        leaders = _and([label(name) for name in advice.leaders])
        each = "each of " if len(advice.counted) > 1 else ""
        among = f"{leaders} are the best, or cannot be told apart from the best, by {each}{titles}."
        return f"{among} {_cheapest(evaluation, advice)}"
    if all(one.leaders == advice.leaders for one in advice.counted):
        return f"It is better than every other method by {titles}."
    return f"It is the only method that is the best, or cannot be told apart from the best, by each of {titles}."


def _cheapest(evaluation: Evaluation, advice: Advice) -> str:
    costs = {name: evaluation.costs(name, "passes").mean() for name in advice.leaders}
    cheapest = [label(name) for name, cost in costs.items() if cost == min(costs.values())]
    if len(cheapest) == 1:
        return f"Of these, {cheapest[0]} takes the fewest forward passes."
    take = "They take" if len(cheapest) == len(costs) else f"Of these, {_and(cheapest)} take"
    return f"{take} equally few forward passes, and {cheapest[0]} comes first in the table."


def _differences(evaluation: Evaluation, advice: Advice) -> list[str]:
    """Say how far the advised method is behind the best means, where these are those of others."""
    method = str(advice.method)
    behind = [
        f"The best mean by {one.metric.title} is that of {label(one.best)}, which is better by "
        f"{_amount(gain(evaluation, one.metric, one.best, method), one.metric)}."
        for one in advice.counted
        if one.best != method
    ]
    return behind or (["It also has the best mean."] if len(advice.leaders) > 1 else [])


def _dearest(evaluation: Evaluation, advice: Advice) -> list[str]:
    """Say what the dearest of the leaders costs, where that is much more."""
    ours, most = (pick(evaluation.costs(name, "passes").mean() for name in advice.leaders) for pick in (min, max))
    if most < _MUCH_DEARER * max(ours, 1):
        return []
    dearest = max(advice.leaders, key=lambda name: evaluation.costs(name, "passes").mean())
    return [f"{label(dearest)} takes {_cost(evaluation, dearest)}."]


def _cost(evaluation: Evaluation, method: str) -> str:
    passes, seconds = (float(evaluation.costs(method, name).mean()) for name in ("passes", "seconds"))
    number = "no" if round(passes) == 0 else f"{passes:,.0f}"
    time = f"{seconds:.2g}" if seconds >= _LEAST_SECONDS else f"less than {_LEAST_SECONDS}"
    return f"{number} forward pass{'' if round(passes) in (0, 1) else 'es'} and {time} s"


# --------------------------------------------------------------------------------------------------------------------
# What does not count, and what all rests on.


def _doubt(verdict: MetricVerdict) -> str:
    metric, control = verdict.metric, verdict.control
    if control is None:
        have = count(verdict.images, "image")
        return f"{metric.title} is defined for {have} only; at least {FEW_IMAGES} are needed, so it does not count."
    if verdict.standing == "won by a control":
        return f"{_won(metric, control)[:-1]}, so it says nothing here."
    return (
        f"{metric.title} cannot tell {label(control.method)}, its best method, from the control "
        f"{label(control.control)}: the method is better by {_amount(_reversed(control.gain), metric)}. "
        "So it does not count here."
    )


def _undefined(evaluation: Evaluation) -> list[str]:
    """Name the metrics that have no value on these images."""
    undefined = [one for one in evaluation.metrics if is_ranked(one) and best_method(evaluation, one) is None]
    return [
        f"{metric.title} has no value on these images{', which have no boxes' if metric.needs_boxes else ''}."
        for metric in undefined
    ]


def _won(metric: Metric, result: ControlResult) -> str:
    return (
        f"{metric.title} is won by the control {label(result.control)}, which is better than {label(result.method)}, "
        f"the best method, by {_amount(result.gain, metric)}."
    )


def _basis(evaluation: Evaluation) -> list[str]:
    basis = [
        f"{count(len(evaluation.images), 'image')}, compared image by image: two methods cannot be told apart where "
        "the 95 % interval of their mean difference contains 0. That does not prove that they "
        "are equal: the interval says how large the difference may be."
    ]
    if not any(is_control(name) for name in evaluation.methods):
        basis.append("No controls took part, so it is not known whether a map that explains nothing does as well.")
    return basis


def _agreement(agreements: Sequence[MetricAgreement]) -> list[str]:
    if not agreements:
        return []
    alike = sum((one.tau.low or 0.0) > 0 for one in agreements)
    opposite = sum((one.tau.high or 0.0) < 0 for one in agreements)
    undecided = len(agreements) - alike - opposite
    if len(agreements) == 1:
        said = "agree" if alike else "contradict each other" if opposite else "cannot be compared on these images"
        first, second = agreements[0].first.title, agreements[0].second.title
        return [f"{first} and {second} {said} about the order of the methods (Kendall's τ)."]
    return [
        f"Of {count(len(agreements), 'pair')} of metrics, {alike} agree about the order of the methods (Kendall's τ), "
        f"{opposite} contradict each other, and {undecided} cannot be decided on these images."
    ]


def _titles(verdicts: Sequence[MetricVerdict]) -> str:
    return _and([verdict.metric.title for verdict in verdicts])


def _amount(gained: Interval, metric: Metric) -> str:
    """Return a difference with its interval."""
    value, low, high = (figure(number, metric.unit) for number in (gained.value, gained.low, gained.high))
    return f"{value}{' points' if metric.unit else ''} (95 % interval {low} to {high})"


def _reversed(gained: Interval) -> Interval:
    """Return how much better the other one is."""
    value, low, high = (None if number is None else -number for number in (gained.value, gained.high, gained.low))
    return Interval(value, low, high, gained.n)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
