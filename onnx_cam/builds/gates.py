"""The gates: limits that the figures of a comparison must not exceed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.metrics.interval import Interval

__all__ = ["DEFAULT_GATES", "FEW_IMAGES", "GATES", "Gate", "JudgedGate", "judge", "read_gates"]

GATES = {
    "flips": "flips",
    "negative-flips": "negative_flips",
    "drift": "drift",
    "maps": "maps",
    "changed": "changed",
}
"""What a gate can be about: its name, and that of its figure."""

DEFAULT_GATES = ("flips>5%", "maps>3")
"""The gates where none are given."""

FEW_IMAGES = 5
"""A figure over fewer images than this is shown, but fails no gate."""

_SHARES = ("flips", "negative-flips", "changed")
"""Gates whose figure is a share of images, at most 1."""

_GATE = re.compile(r"\s*([^\s<>=]+)\s*>\s*(\d+\.?\d*|\.\d+)\s*(%?)\s*", re.ASCII)


@dataclass(frozen=True)
class Gate:
    """A limit for a figure.

    Attributes
    ----------
    name : str
        One of `GATES`.
    limit : float
        The largest value that passes; shares are fractions.
    text : str
        The gate as it was given.

    Examples
    --------
    >>> Gate("negative-flips", 0.01, "negative-flips>1%").figure
    'negative_flips'
    """

    name: str
    limit: float
    text: str

    @property
    def figure(self) -> str:
        """The name of its figure."""
        return GATES[self.name]


@dataclass(frozen=True)
class JudgedGate:
    """A gate, and whether it fails.

    Attributes
    ----------
    gate : Gate
    figure : Interval
        The figure that it is about.
    failed : bool or None
        None where it cannot be judged.
    reason : str
        The figure beside the limit, or why the gate cannot be judged.

    Examples
    --------
    >>> (judged,) = judge(read_gates(["flips>5%"]), {"flips": Interval(0.2, 0.12, 0.31, 80)})
    >>> judged.failed, judged.reason
    (True, 'flips is 20 % (95 % interval 12 % to 31 %), above 5 %')
    """

    gate: Gate
    figure: Interval
    failed: bool | None
    reason: str

    def describe(self) -> dict[str, Any]:
        """Return the judgement as plain JSON values."""
        return {
            "gate": self.gate.text,
            "figure": self.gate.figure,
            "limit": self.gate.limit,
            "failed": self.failed,
            "reason": self.reason,
        }


def read_gates(texts: Sequence[str]) -> tuple[Gate, ...]:
    """Return the gates that words such as ``flips>5%`` and ``maps>3`` stand for.

    Raises
    ------
    SettingError
        A word is malformed, its name is unknown, a share would have to be above 100 %, or one gate is given twice.

    Examples
    --------
    >>> [(gate.name, gate.limit) for gate in read_gates(["flips>5%", "maps > 3"])]
    [('flips', 0.05), ('maps', 3.0)]
    """
    gates: dict[str, Gate] = {}
    for text in texts:
        gate = _read_gate(text)
        if gate.name in gates:
            raise SettingError(f"gate {gate.name!r} is given twice: give {gates[gate.name].text!r} or {gate.text!r}")
        gates[gate.name] = gate
    return tuple(gates.values())


def _read_gate(text: str) -> Gate:
    names = ", ".join(GATES)
    match = _GATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise SettingError(f"invalid gate {text!r}: expected NAME>NUMBER or NAME>NUMBER%, NAME one of {names}")
    name, number, percent = match.groups()
    if name not in GATES:
        raise SettingError(f"unknown gate {name!r} in {text!r}{did_you_mean(name, GATES)} Expected one of {names}")
    gate = Gate(name, float(number) / 100 if percent else float(number), f"{name}>{number}{percent}")
    if name in _SHARES and gate.limit > 1:
        advice = "give a smaller number" if percent else f"did you mean {gate.text}%?"
        raise SettingError(f"the gate {gate.text!r} never fails, since {name} is a share and at most 1; {advice}")
    return gate


def judge(gates: Sequence[Gate], figures: Mapping[str, Interval]) -> tuple[JudgedGate, ...]:
    """Return whether each gate fails: where the whole interval of its figure is past the limit.

    Parameters
    ----------
    gates : sequence of Gate
    figures : mapping of str to Interval
        The figures by name.

    Examples
    --------
    Two flips of 20 images may be chance, and of 200 they are few:

    >>> (judged,) = judge(read_gates(["flips>5%"]), {"flips": Interval(0.1, 0.028, 0.301, 20)})
    >>> judged.failed
    False
    """
    return tuple(_judge(gate, figures[gate.figure]) for gate in gates)


def _judge(gate: Gate, figure: Interval) -> JudgedGate:
    if figure.value is None or figure.low is None or figure.high is None:
        return JudgedGate(gate, figure, None, f"{gate.name} has no value for these images")
    value, low, high, limit = (_shown(gate, number) for number in (figure.value, figure.low, figure.high, gate.limit))
    if figure.n < FEW_IMAGES:
        images = "1 image" if figure.n == 1 else f"{figure.n} images"
        reason = f"{gate.name} is {value} over {images}; a gate needs at least {FEW_IMAGES}"
        return JudgedGate(gate, figure, None, reason)
    failed = figure.low > gate.limit
    place = "above" if failed else "not clearly above" if figure.value > gate.limit else "not above"
    return JudgedGate(gate, figure, failed, f"{gate.name} is {value} (95 % interval {low} to {high}), {place} {limit}")


def _shown(gate: Gate, number: float) -> str:
    return f"{number:.3g}" if gate.name == "maps" else f"{100 * number:.3g} %"
