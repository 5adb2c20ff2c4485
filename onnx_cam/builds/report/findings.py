"""What a comparison found, in words: the first screen of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onnx_cam.builds.along import AlongTheNetwork
from onnx_cam.builds.gates import JudgedGate
from onnx_cam.evaluation.report.wording import count
from onnx_cam.metrics.interval import Interval

__all__ = ["Verdict", "describe_figures", "find_verdict"]

State = Literal["failed", "passed", "open"]


@dataclass(frozen=True)
class Verdict:
    """Whether the gates hold.

    Attributes
    ----------
    state : {"failed", "passed", "open"}
        ``open`` where none can be judged.
    headline : str
    gates : list of (str, str, str)
        Each gate's state, the gate, and the figure beside its limit.

    Examples
    --------
    >>> Verdict("passed", "Both gates passed", []).state
    'passed'
    """

    state: State
    headline: str
    gates: list[tuple[State, str, str]]


def find_verdict(gates: Sequence[JudgedGate]) -> Verdict:
    """Return whether the gates hold, in words.

    Examples
    --------
    >>> from onnx_cam.builds.gates import judge, read_gates
    >>> gates = judge(read_gates(["flips>5%"]), {"flips": Interval(0.2, 0.12, 0.31, 80)})
    >>> find_verdict(gates).headline
    'The gate failed'
    """
    states: list[State] = ["open" if one.failed is None else "failed" if one.failed else "passed" for one in gates]
    listed = [(state, one.gate.text, one.reason) for state, one in zip(states, gates, strict=True)]
    failed, passed, total = states.count("failed"), states.count("passed"), len(states)
    if failed:
        headline = "The gate failed" if total == 1 else f"{failed} of {total} gates failed"
        return Verdict("failed", headline, listed)
    if passed == 0:
        return Verdict("open", "No gate could be judged", listed)
    if passed < total:
        return Verdict("passed", f"{passed} of {total} gates passed, the others could not be judged", listed)
    return Verdict(
        "passed", {1: "The gate passed", 2: "Both gates passed"}.get(total, f"All {total} gates passed"), listed
    )


def describe_figures(
    figures: Mapping[str, Interval], along: AlongTheNetwork | None = None, *, grey_levels: float = 2
) -> list[str]:
    """Return what the figures say, a sentence each.

    Parameters
    ----------
    figures : mapping of str to Interval
        ``flips``, ``negative_flips``, ``drift``, ``maps`` and ``changed``.
    along : AlongTheNetwork, optional
    grey_levels : float
        The standard deviation of the noise floor's noise.

    Examples
    --------
    >>> nothing = Interval(None, None, None, 0)
    >>> figures = {"flips": Interval(0.125, 0.043, 0.31, 24), "negative_flips": nothing, "drift": nothing}
    >>> for sentence in describe_figures(figures | {"maps": nothing, "changed": nothing}):
    ...     print(sentence.replace(chr(160), " "))
    The most likely class differs on 3 of 24 images (12.5 %, interval 4.3 % to 31.0 %).
    No maps could be compared.
    """
    return [*_predictions(figures), *_maps(figures, grey_levels), *([along.in_words()] if along else [])]


def _predictions(figures: Mapping[str, Interval]) -> Iterator[str]:
    flips, negative, drift = (figures[name] for name in ("flips", "negative_flips", "drift"))
    if flips.value is not None:
        if flips.value == 0:
            yield f"The most likely class is the same on {_all(flips.n)}{_upper(flips)}."
        else:
            yield f"The most likely class differs on {_some(flips)} ({_percent(flips.value)}{_percents(flips)})."
    if negative.value is not None:
        yield (
            f"Of {count(negative.n, 'image')} with a label that the old build gets right, the new one gets "
            f"{round(negative.value * negative.n)} wrong ({_percent(negative.value)}{_percents(negative)})."
        )
    if drift.value is not None:
        yield (
            f"The probability of the old build's class changes by {_points(drift.value)} percentage points on average"
            f"{_between(drift)}."
        )


def _maps(figures: Mapping[str, Interval], grey_levels: float) -> Iterator[str]:
    maps, changed = figures["maps"], figures["changed"]
    if maps.value is None:
        yield "No maps could be compared."
        return
    span = "" if maps.low is None or maps.high is None else f" (interval {maps.low:.2g} to {maps.high:.2g})"
    yield (
        f"The distance between the two builds' maps is {maps.value:.2g} times that caused by noise of "
        f"{grey_levels:g} grey levels, which nobody can see{span}."
    )
    if changed.value is not None:
        yield (
            f"On {_some(changed)} the maps are more than two noise floors apart ({_percent(changed.value)}"
            f"{_percents(changed)})."
        )


def _some(share: Interval) -> str:
    assert share.value is not None
    return f"{round(share.value * share.n):,} of {count(share.n, 'image')}"


def _all(n: int) -> str:
    return "the only image" if n == 1 else f"all {n:,} images"


def _upper(share: Interval) -> str:
    return "" if share.high is None else f" (interval up to {_percent(share.high)})"


def _percents(share: Interval) -> str:
    return (
        "" if share.low is None or share.high is None else f", interval {_percent(share.low)} to {_percent(share.high)}"
    )


def _between(drift: Interval) -> str:
    return (
        "" if drift.low is None or drift.high is None else f" (interval {_points(drift.low)} to {_points(drift.high)})"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
