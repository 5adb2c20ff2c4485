"""What may be said as a budget or a tolerance, and what is refused: in the library, spelled, on the command line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.errors import SettingError
from onnx_cam.methods import METHODS, make_method
from onnx_cam.methods.spelling import read_method
from tests import wide

Run = Callable[..., Result]

BUDGETED = ("scorecam", "sscam1", "sscam2", "iscam")
SOFTMAX = [(name, variant) for name in BUDGETED for variant, of in METHODS[name].variants.items() if of.softmax]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> onnx_cam.Classifier:
    return wide.load(tmp_path_factory.mktemp("wide"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


BAD_BUDGETS: tuple[Any, ...] = (
    *(-1, -0.1, 1.5, 2.0, np.nan, np.inf, -np.inf, True, False, np.float32(1.5), [10], b"10%", 1j),
    *("", " ", "abc", "10 %%", "10%%", "10 %", "%", ".", "1.5", "-1", "-5%", "nan", "inf", "1e2", "1,000", "0x10"),
)
BAD_TOLERANCES: tuple[Any, ...] = (
    *(1, 1.0, 1.5, -0.1, np.nan, np.inf, True, False, [0.1]),
    *("", "abc", "1", "1.5", "5%", "-0.1", "nan"),
)


@pytest.mark.parametrize("method", BUDGETED)
@pytest.mark.parametrize("budget", BAD_BUDGETS, ids=repr)
def test_a_budget_that_makes_no_sense_is_refused_in_one_line(method: str, budget: Any) -> None:
    with pytest.raises(SettingError) as refused:
        make_method(method, budget=budget)
    assert f"budget={budget!r}" in str(refused.value)
    expected = "a number of forward passes such as 200, a percentage such as 10%, or a share such as 0.1"
    assert f"expected {expected}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("tolerance", BAD_TOLERANCES, ids=repr)
def test_a_tolerance_that_makes_no_sense_is_refused_in_one_line(tolerance: Any) -> None:
    with pytest.raises(SettingError) as refused:
        make_method("sscam2", tolerance=tolerance)
    assert f"tolerance={tolerance!r}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_explain_refuses_before_it_works(classifier: onnx_cam.Classifier) -> None:
    for limit in ({"budget": "abc"}, {"tolerance": 1}):
        with pytest.raises(SettingError, match="expected"):
            onnx_cam.explain(classifier, "no such image.png", **limit)


@pytest.mark.parametrize(("method", "variant"), SOFTMAX)
@pytest.mark.parametrize("limit", [{"budget": "10%"}, {"budget": 0}, {"tolerance": 0.1}], ids=str)
def test_a_softmax_over_channels_takes_no_part_and_says_why(method: str, variant: str, limit: dict[str, Any]) -> None:
    with pytest.raises(SettingError) as refused:
        make_method(method, variant=variant, **limit)
    assert f"{method} {variant} weighs by a softmax over all channels" in str(refused.value)
    without = [name for name, of in METHODS[method].variants.items() if not of.softmax]
    assert str(refused.value).endswith(f"use a variant without a softmax: {', '.join(without)}")


@pytest.mark.parametrize("method", [name for name in METHODS if name not in BUDGETED])
@pytest.mark.parametrize("limit", [{"budget": "10%"}, {"tolerance": 0.1}], ids=str)
def test_methods_of_other_passes_have_no_budget(method: str, limit: dict[str, Any]) -> None:
    (name,) = limit
    with pytest.raises(SettingError) as refused:
        make_method(method, **limit)
    assert f"{method} does not take {name}; leave it out, or use one of {', '.join(BUDGETED)}" in str(refused.value)


def test_the_control_has_no_budget() -> None:
    with pytest.raises(SettingError, match="equal"):
        read_method("equal:budget=10%")


@pytest.mark.parametrize("limit", [{"budget": "10%"}, {"tolerance": 0.1}, {"budget": 0}], ids=str)
def test_a_limit_said_twice_is_refused(limit: dict[str, Any], classifier: onnx_cam.Classifier) -> None:
    (name,) = limit
    with pytest.raises(SettingError, match=f"{name} given twice"):
        onnx_cam.explain(classifier, wide.image(), method=onnx_cam.ScoreCAM(**limit), **limit)
    with pytest.raises(SettingError, match=f"gives its {name} twice"):
        read_method(f"scorecam:{name}=0.1:{name}=0.2")


@pytest.mark.parametrize(
    ("spelling", "said"),
    [
        ("scorecam:budget=ten", "budget='ten'"),
        ("scorecam:budget=", "budget=''"),
        ("scorecam:tolerance=x", "invalid tolerance 'x'"),
        ("scorecam:tolerance=2", "tolerance=2.0"),
        ("scorecam:tolerance=nan", "tolerance=nan"),
        ("scorecam:torchcam:budget=10%", "softmax"),
        ("gradcam:budget=10%", "gradcam does not take budget"),
        ("scorecam:budgets=10%", "unknown setting 'budgets'"),
    ],
)
def test_a_spelling_that_makes_no_sense_is_refused(spelling: str, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        read_method(spelling)


LIMITS = [(None, None), ("200", 200), (200, 200), ("10%", 0.1), (" 10% ", 0.1), ("0.1", 0.1), (0.1, 0.1), ("0", 0)]


@pytest.mark.parametrize(("said", "meant"), [*LIMITS, (np.int64(5), 5), ("12.5%", 0.125), (".5", 0.5), ("300%", 1.0)])
def test_a_budget_can_be_said_in_several_ways(said: Any, meant: float | None) -> None:
    method = onnx_cam.SSCAM2(budget=said)
    assert method.budget == meant
    assert type(method.budget) is type(meant)
    assert ("budget" in method.parameters) == (meant is not None)
    assert dataclasses.replace(method, samples=3).budget == meant
    json.dumps(method.parameters, allow_nan=False)
    if isinstance(said, str):
        assert read_method(f"sscam2:budget={said}") == method


@pytest.mark.parametrize(
    "words",
    [
        *(["--budget", words] for words in BAD_BUDGETS if isinstance(words, str)),
        *(["--tolerance", words] for words in BAD_TOLERANCES if isinstance(words, str)),
        ["--variant", "torchcam", "--budget", "10%"],
        ["--method", "sscam1", "--variant", "torchcam", "--tolerance", "0.1"],
        *(["--method", name, "--budget", "10%"] for name in ("sscam-max", "cam", "gradcam")),
        ["--method", "scorecam:budget=10%"],
        ["--save", "errors"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_status_2(words: list[str], run: Run) -> None:
    result = run("explain", "missing.onnx", "missing.png", *words)  # judged before the model is looked for
    assert result.exit_code == 2, result.output
    assert "Usage:" in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error:")]) == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("methods", ["scorecam:budget=x", "scorecam:torchcam:budget=10%", "cam:tolerance=0.1"])
def test_wrong_usage_in_a_comparison_ends_with_status_2(methods: str, run: Run) -> None:
    result = run("compare", "missing.onnx", "missing.png", "--methods", methods)
    assert result.exit_code == 2, result.output
