"""Runs of the evaluation with a budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.evaluation import evaluate, read_evaluation
from tests import tiny, wide
from tests.evaluation.photos import write_dataset

METHOD = "scorecam:budget=25%"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(wide.model(), tmp_path_factory.mktemp("model"), "wide.onnx")


def evaluated(model: Path, folder: Path, **settings: Any) -> onnx_cam.Evaluation:
    table = write_dataset(folder / "photos", count=4)
    loaded = onnx_cam.load(model, preprocess="unit", device="cpu")
    chosen: dict[str, Any] = {"methods": f"scorecam,{METHOD},equal", "controls": False, "steps": 4, "report": False}
    chosen |= {"batch_size": 8, **settings}
    return evaluate(loaded, table, out=folder / "run", **chosen)


def test_an_evaluation_measures_the_maps_of_explain(model: Path, tmp_path: Path) -> None:
    evaluation = evaluated(model, tmp_path, metrics="average-drop,specificity")
    assert list(evaluation.methods) == ["scorecam", METHOD, "equal"]
    classifier = onnx_cam.load(model, preprocess="unit", device="cpu")
    metric = evaluation.metric("specificity")
    assert metric is not None
    assert any(made.cam.any() for made in evaluation.maps.values())
    for image, value in zip(evaluation.images, evaluation.values(metric, METHOD), strict=True):
        found = onnx_cam.explain(classifier, image.path, budget="25%", batch_size=8)
        made = evaluation.maps[image.sha256, METHOD]
        np.testing.assert_allclose(made.cam, found.cam, atol=1e-4 * found.cam.max())
        assert made.record["exact_passes"] == found.exact_passes
        said = made.record["error"]["relative_error"]
        assert (said is None) == (found.relative_error is None)
        assert said is None or said == pytest.approx(found.relative_error, rel=0.01)
        assert found.empty or value == pytest.approx(found.specificity, rel=1e-3)


def test_the_progress_of_an_evaluation_reckons_with_the_budget(model: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    methods = "sscam2:budget=10%"
    evaluated(
        model,
        tmp_path,
        methods=methods,
        samples=4,
        metrics="specificity",
        progress=lambda *passes: told.append(passes),
    )
    assert all(done <= planned for done, planned in told)
    first, last = told[0][1], told[-1][1]
    assert first == pytest.approx(last, rel=0.15)
    assert told[-1][0] == last


def test_a_figure_does_not_depend_on_the_other_metrics(model: Path, tmp_path: Path) -> None:
    """Class-change explains a second class: under a budget it shares the passes, and with them the plan."""
    alone = evaluated(model, tmp_path / "a", metrics="average-drop")
    beside = evaluated(model, tmp_path / "b", metrics="average-drop,class-change")
    for method in ("scorecam", METHOD):
        drops = [one.values(one.metric("average-drop"), method) for one in (alone, beside)]
        np.testing.assert_allclose(drops[0], drops[1], rtol=1e-6)


def test_the_command_evaluates_with_a_budget(model: Path, tmp_path: Path) -> None:
    def command(*words: object) -> Any:
        return CliRunner().invoke(main, ["evaluate", str(model), str(table), *map(str, words)])

    table, out, other = write_dataset(tmp_path / "photos", count=2), tmp_path / "run", tmp_path / "other"
    words = ("--preprocess", "unit", "--metrics", "specificity", "--no-controls")
    result = command(*words, "--methods", f"scorecam,{METHOD}", "-o", out)
    assert result.exit_code == 0, result.stderr
    assert any(line.startswith(METHOD) for line in result.stdout.splitlines())
    assert list(json.loads((out / "summary.json").read_text())) == ["scorecam", METHOD, "metrics"]
    made = read_evaluation(out).maps
    assert all((one.record["error"] is None) == (method == "scorecam") for (_, method), one in made.items())
    assert command("--methods", "scorecam:budget=x", "-o", other).exit_code == 2
    assert not other.exists()
