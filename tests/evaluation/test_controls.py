"""The controls in a run: which of them take part, and where they do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.errors import SettingError
from onnx_cam.evaluation import evaluate, read_evaluation
from onnx_cam.evaluation.method_names import choose_named_methods
from onnx_cam.evaluation.survey import make_survey
from onnx_cam.methods.blurred import Blurred
from onnx_cam.metrics import choose_metrics
from tests.evaluation.photos import write_model

STANDARD = ["equal", "centre", "random"]


def test_controls_join_a_run_behind_the_methods_unless_they_are_left_out() -> None:
    assert list(choose_named_methods("scorecam", controls=True)) == ["scorecam", *STANDARD]
    assert list(choose_named_methods("all", controls=True)) == [*onnx_cam.METHODS, *STANDARD]
    assert list(choose_named_methods("scorecam")) == ["scorecam"]
    assert list(choose_named_methods("centre,scorecam")) == ["scorecam", "centre"]


def test_a_control_that_is_named_is_there_once() -> None:
    for name in ("equal", "equal:control"):
        named = choose_named_methods(f"{name},cam,blurred:cam", controls=True)
        assert list(named) == ["cam", name, "blurred:cam", "centre", "random"]
    with pytest.raises(SettingError, match="equal is given twice"):
        choose_named_methods("equal,equal", controls=True)


def test_blurred_methods_given_as_objects_have_names_of_their_own() -> None:
    objects = [Blurred(of=onnx_cam.METHODS[name]()) for name in ("cam", "gradcam")]
    assert list(choose_named_methods(objects)) == ["blurred:cam:paper", "blurred:gradcam:paper"]


def test_a_run_stores_the_controls_maps_and_figures(model: Path, table: Path, tmp_path: Path) -> None:
    classifier = onnx_cam.load(model, preprocess="unit")
    found = evaluate(classifier, table, methods="cam,blurred:cam", out=tmp_path / "run", steps=4, seed=5, report=False)
    assert list(found.methods) == ["cam", "blurred:cam", *STANDARD]
    assert [json.loads(found.methods[name]) for name in ("blurred:cam", "random")] == [
        ["blurred", "control", {"of": "cam:paper"}, 5],
        ["random", "control", {}, 5],
    ]
    for image in found.images:
        maps = {name: found.maps[image.sha256, name] for name in found.methods}
        assert all(len(one.figures) == len(choose_metrics()) for one in maps.values())
        drawn = onnx_cam.explain(classifier, image.path, method=choose_named_methods("random")["random"], seed=5)
        np.testing.assert_array_equal(maps["random"].cam, drawn.cam)
    change = found.metric("class-change")
    assert change is not None
    for name in STANDARD:
        assert (found.values(change, name) == 0).all()


def test_the_same_run_with_other_controls_computes_only_those(model: Path, table: Path, tmp_path: Path) -> None:
    def run(**settings: object) -> list[tuple[int, int]]:
        told: list[tuple[int, int]] = []
        settings = {"methods": "cam", "metrics": "average-drop", "out": tmp_path / "run", "report": False} | settings
        classifier = onnx_cam.load(model, preprocess="unit")
        evaluate(classifier, table, progress=lambda *passes: told.append(passes), **settings)  # type: ignore[arg-type]
        return told

    assert run(controls=False)
    assert list(read_evaluation(tmp_path / "run").methods) == ["cam"]
    assert len(run()) == 3 * 5  # once for each map of the three controls
    assert list(read_evaluation(tmp_path / "run").methods) == ["cam", *STANDARD]
    assert run(methods="equal,centre,random,cam") == []


def test_the_command_has_a_switch(table: Path, tmp_path: Path) -> None:
    model = str(write_model(tmp_path))
    words = ["evaluate", model, str(table), "--preprocess", "unit", "--metrics", "average-drop", "--quiet", "--json"]
    for more, methods in (([], ["cam", *STANDARD]), (["--no-controls"], ["cam"])):
        shown = CliRunner().invoke(main, [*words, "--methods", "cam", *more, "-o", str(tmp_path / "run")])
        assert shown.exit_code == 0, shown.output
        assert [name for name in json.loads(shown.stdout) if name != "metrics"] == methods
    shown = CliRunner().invoke(main, [*words, "--methods", "cam,centre:samples=3", "-o", str(tmp_path / "other")])
    assert shown.exit_code == 2
    assert "the control centre has no settings" in shown.output


def test_people_are_asked_about_controls_only_where_these_are_named(model: Path, table: Path, tmp_path: Path) -> None:
    classifier = onnx_cam.load(model, preprocess="unit")
    settings = {"metrics": "average-drop", "report": False}
    run = evaluate(classifier, table, methods="scorecam,cam", out=tmp_path / "run", **settings)  # type: ignore[arg-type]
    assert list(make_survey(run, tmp_path / "one").key.methods) == ["scorecam", "cam"]
    assert list(make_survey(run, tmp_path / "two", methods="cam,centre").key.methods) == ["cam", "centre"]
    run = evaluate(classifier, table, methods="cam", out=tmp_path / "run", **settings)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="1 methods to compare; expected 2 to 26: name them, or some controls"):
        make_survey(run, tmp_path / "three")
