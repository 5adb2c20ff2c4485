"""`onnx-cam check`: what it prints, and its exit status."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from onnx_cam.cli.main import main
from onnx_cam.methods import METHODS, GradCAM, Subject


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["check", *words])


def test_the_devices_as_json() -> None:
    result = run("--json")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert "onnxruntime" in content["versions"]
    assert [device["works"] for device in content["devices"] if device["device"] == "cpu"] == [True]


def test_every_method_in_a_table() -> None:
    result = run("--methods")
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.split("\n\n")[0].splitlines()}
    assert rows["scorecam:paper"] == ["finds", "100", "%"] * 3 + ["empty", "empty"]
    assert rows["equal"] == [*("misses", "33", "%", "misses", "33", "%", "misses", "50", "%"), "invents", "invents"]
    assert "equal on one window, two windows, pattern, constant, bypass:\n  All live channels weigh" in result.stdout
    assert result.stdout.endswith("\nevery outcome is the one that follows from the method's formula\n")


def test_some_methods_as_json() -> None:
    result = run("--methods", "gradcam,sscam2:paper:sigma=0.5", "--json")
    assert result.exit_code == 0
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(findings) == 10
    window, constant = findings[0], findings[3]
    assert (window["method"], window["graph"], window["outcome"]) == ("gradcam", "one window", "misses")
    assert (window["expected"], window["right"]) == ("misses", False)
    assert window["share"] == pytest.approx(1 / 3)
    assert (constant["outcome"], constant["right"], constant["share"]) == ("empty", True, None)
    assert {finding["expected"] for finding in findings[5:]} == {None}


@pytest.mark.parametrize("words", ["grdcam", "gradcam,gradcam", "sscam2:sigma=x", ","])
def test_wrong_names_are_wrong_usage(words: str) -> None:
    result = run("--methods", words)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert result.stdout == ""


@dataclass(frozen=True)
class OtherSign(GradCAM):
    """Grad-CAM with its sign lost."""

    def weights(self, subject: Subject) -> NDArray[np.float64]:
        return -super().weights(subject)


def test_a_method_that_departs_from_its_formula_ends_with_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "gradcam", OtherSign)
    result = run("--methods", "gradcam")
    assert result.exit_code == 1
    assert "empty (expected: finds)" in result.stdout
    assert "gradcam on pattern: empty, but its formula says: finds" in result.stdout
