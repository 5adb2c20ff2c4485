"""The gates: how they are written, and when they fail."""

from __future__ import annotations

import pytest

from onnx_cam.builds.gates import DEFAULT_GATES, GATES, judge, read_gates
from onnx_cam.errors import SettingError
from onnx_cam.metrics.interval import Interval


def test_a_percentage_is_a_fraction() -> None:
    gates = read_gates(["flips>5%", "negative-flips>.5%", "drift>0.1", "maps>3", "changed > 20 %"])
    assert [gate.name for gate in gates] == list(GATES)
    assert [gate.limit for gate in gates] == pytest.approx([0.05, 0.005, 0.1, 3, 0.2])
    assert gates[-1].text == "changed>20%"


def test_the_default_gates_are_on_flips_and_maps() -> None:
    assert DEFAULT_GATES == ("flips>5%", "maps>3")


@pytest.mark.parametrize(
    "text", ["flips", "flips>", "flips>=5%", "flips<5%", "flips>-1", "flips>nan", "flips>5%%", ">5%", "flips>1e9x", ""]
)
def test_a_malformed_gate_names_what_there_is(text: str) -> None:
    with pytest.raises(SettingError, match="flips, negative-flips, drift, maps, changed"):
        read_gates([text])


def test_an_unknown_gate_names_what_there_is() -> None:
    with pytest.raises(SettingError, match=r"unknown gate 'map'.*did you mean 'maps'\? Expected one of flips, neg"):
        read_gates(["map>3"])


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("flips>5", r"did you mean flips>5%\?"),
        ("negative-flips>1.5", r"did you mean negative-flips>1.5%\?"),
        ("changed>500%", "give a smaller number"),
    ],
)
def test_a_share_above_one_would_never_fail(text: str, advice: str) -> None:
    with pytest.raises(SettingError, match=f"'{text}' never fails, .*{advice}"):
        read_gates([text])
    assert read_gates(["flips>100%", "drift>5", "maps>5"])[0].limit == 1


def test_a_gate_given_twice_is_an_error() -> None:
    with pytest.raises(SettingError, match=r"'flips' is given twice: give 'flips>5%' or 'flips>6%'"):
        read_gates(["flips>5%", "flips>6%"])


@pytest.mark.parametrize(
    ("figure", "failed"),
    [
        (Interval(0.2, 0.051, 0.3, 40), True),
        (Interval(0.2, 0.05, 0.3, 40), False),  # the near end must be past the limit
        (Interval(0.2, 0.01, 0.3, 40), False),
        (Interval(0.0, 0.0, 0.1, 40), False),
        (Interval(1.0, 0.5, 1.0, 5), True),
        (Interval(1.0, 0.4, 1.0, 4), None),  # too few images
        (Interval(None, None, None, 0), None),
    ],
)
def test_a_gate_fails_where_the_whole_interval_is_past_its_limit(figure: Interval, failed: bool | None) -> None:
    (judged,) = judge(read_gates(["flips>5%"]), {"flips": figure})
    assert judged.failed is failed


def test_the_reason_says_by_how_much() -> None:
    (judged,) = judge(read_gates(["maps>3"]), {"maps": Interval(9.5, 7.25, 12.0, 24)})
    assert judged.reason == "maps is 9.5 (95 % interval 7.25 to 12), above 3"
