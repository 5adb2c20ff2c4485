"""Runs of the evaluation: what they leave, how they go on, and what they refuse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx_cam
from onnx_cam.errors import ImageError, LabelsError, OutputError, SettingError
from onnx_cam.evaluation import evaluate, read_evaluation
from onnx_cam.evaluation.method_names import choose_named_methods
from onnx_cam.evaluation.results.results_file import FILE_NAME, ResultsFile
from onnx_cam.metrics import METRICS, choose_metrics
from onnx_cam.names import METRICS_OF_ALL
from tests.evaluation.photos import write_model, write_model_without_cam
from tests.places import ROOT

METHODS = "scorecam,sscam2:sigma=0.1,equal"


def run(model: Path, table: Path, out: Path, **settings: Any) -> dict[str, Any]:
    loaded = onnx_cam.load(model, preprocess="unit")
    evaluate(loaded, table, out=out, **{"methods": METHODS, "samples": 2, "steps": 4, "report": False, **settings})
    content: dict[str, Any] = json.loads((out / "summary.json").read_text())
    content.pop("metrics")  # what is said of the metrics themselves
    return content


def test_the_summary_holds_each_method_and_metric_with_its_interval(model: Path, table: Path, tmp_path: Path) -> None:
    summary = run(model, table, tmp_path / "run")
    assert list(summary) == ["scorecam", "sscam2:sigma=0.1", "equal", "centre", "random"]
    for method, figures in summary.items():
        assert set(figures) == {*METRICS_OF_ALL, "empty"}
        for name in set(METRICS_OF_ALL) - {"win"}:
            assert set(figures[name]) == {"value", "low", "high", "n"}
            assert figures[name]["low"] <= figures[name]["value"] <= figures[name]["high"]
        assert set(figures["win"]) == set(summary) - {method}
        assert figures["average-drop"]["n"] + figures["empty"]["value"] == 5
    assert summary["scorecam"]["pointing"]["n"] == 4 - summary["scorecam"]["empty"]["value"]  # one has no box
    assert summary["equal"]["specificity"]["value"] == pytest.approx(0, abs=1e-6)
    assert summary["equal"]["class-change"]["value"] == 0


def test_figures_are_those_of_the_metrics_on_the_maps_of_explain(model: Path, table: Path, tmp_path: Path) -> None:
    run(model, table, tmp_path / "run", methods="scorecam")
    evaluation = read_evaluation(tmp_path / "run")
    classifier = onnx_cam.load(model, preprocess="unit")
    from onnx_cam.image.picture import open_picture
    from onnx_cam.metrics import AverageDrop, MaskedImage

    drop = evaluation.metric("average-drop")
    assert drop is not None
    for image, value in zip(evaluation.images, evaluation.values(drop, "scorecam"), strict=True):
        found = onnx_cam.explain(classifier, image.path)
        np.testing.assert_allclose(evaluation.maps[image.sha256, "scorecam"].cam, found.cam, rtol=1e-4, atol=1e-6)
        x = open_picture(image.path, classifier.preprocessing, 3, classifier.size).network_input
        masked = MaskedImage(classifier, x, found.target.index, found.cam)
        assert AverageDrop().measure(masked).value == pytest.approx(value, rel=1e-3, abs=1e-4)


def test_wins_and_losses_and_ties_make_a_whole(model: Path, table: Path, tmp_path: Path) -> None:
    win = {method: figures["win"] for method, figures in run(model, table, tmp_path / "run").items()}
    first, second = win["scorecam"]["equal"], win["equal"]["scorecam"]
    assert first["ties"] == second["ties"]
    assert first["value"] + second["value"] + first["ties"] == pytest.approx(100)


def test_the_tables_say_what_the_summary_says(model: Path, table: Path, tmp_path: Path) -> None:
    summary = run(model, table, tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "tables.json").read_text())
    for row in rows:
        if row["metric"] in ("passes", "seconds", "relative_error"):
            assert row["value"] >= 0
            continue
        figure = summary[row["method"]][row["metric"]]
        figure = figure[row["against"]] if row["against"] else figure
        assert (row["value"], row["n"]) == (figure["value"], figure["n"])
    deletion = next(row for row in rows if row["metric"] == "deletion")
    assert deletion["parameters"] == {"baseline": "zero", "score": "probability", "steps": 4}
    lines = (tmp_path / "run" / "tables.csv").read_text().splitlines()
    assert len(lines) == len(rows) + 1


def test_the_report_is_written_too_and_its_extra_is_named_where_it_is_missing(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = onnx_cam.load(model, preprocess="unit")
    settings: dict[str, Any] = {"methods": "equal", "metrics": "specificity", "out": tmp_path / "run"}
    evaluation = evaluate(classifier, table, **settings)
    assert evaluation.files[-1] == tmp_path / "run" / "report.html"
    assert "equal" in evaluation.files[-1].read_text(encoding="utf-8")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    evaluation = evaluate(classifier, table, **settings)
    assert not (tmp_path / "run" / "report.html").exists()
    assert "pip install 'onnx-cam[report]'" in evaluation.notes[0]
    assert (tmp_path / "run" / "summary.json").exists()


def test_a_second_call_runs_nothing_and_says_the_same(model: Path, table: Path, tmp_path: Path) -> None:
    first = run(model, table, tmp_path / "run")
    told: list[tuple[int, int]] = []
    assert run(model, table, tmp_path / "run", progress=lambda *passes: told.append(passes)) == first
    assert told == []


def test_more_methods_and_metrics_are_added_to_what_is_there(model: Path, table: Path, tmp_path: Path) -> None:
    whole = run(model, table, tmp_path / "whole")
    run(model, table, tmp_path / "run", methods="equal", metrics="average-drop", limit=2)
    run(model, table, tmp_path / "run", methods="equal,scorecam", metrics="deletion,class-change")
    assert run(model, table, tmp_path / "run") == whole


def test_another_metric_needs_no_map_anew(model: Path, table: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    run(model, table, tmp_path / "run", metrics="average-drop")
    run(model, table, tmp_path / "run", metrics="deletion", progress=lambda *passes: told.append(passes))
    evaluation = read_evaluation(tmp_path / "run")
    assert len(told) == len(evaluation.maps) == 25  # once a map, and never within one


def test_killed_at_any_moment_it_goes_on_to_the_same_tables(model: Path, table: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onnx_cam", "evaluate", str(model), str(table), "--preprocess", "unit"]
    command += ["--methods", METHODS, "--samples", "2", "--steps", "4", "-o", str(tmp_path / "run")]
    whole = run(model, table, tmp_path / "whole")
    file = tmp_path / "run" / FILE_NAME
    for maps in (1, 4, 9):  # killed once so many are there
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and count_maps(file) < maps:
            time.sleep(0.002)
        process.kill()
        process.wait()
        assert process.returncode in (-signal.SIGKILL, 0)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("run", "whole")]
    assert summaries[0] == summaries[1]
    assert summaries[0].pop("metrics")
    assert summaries[0] == whole
    assert table_of(tmp_path / "run") == table_of(tmp_path / "whole")


def table_of(run: Path) -> list[dict[str, Any]]:
    rows = json.loads((run / "tables.json").read_text())
    return [row for row in rows if row["metric"] != "seconds"]


def count_maps(file: Path) -> int:
    """Count maps in a file that another process is writing to."""
    try:
        with ResultsFile(file) as results:
            return len(results.measured())
    except OutputError:  # not there yet, or without its tables
        return 0


def test_unreadable_images_are_listed_and_left_out(model: Path, table: Path, tmp_path: Path) -> None:
    (table.parent / "1.png").write_bytes(b"no image")
    (table.parent / "3.png").unlink()
    summary = run(model, table, tmp_path / "run", methods="equal")
    evaluation = read_evaluation(tmp_path / "run")
    assert set(evaluation.facts["unreadable"]) == {"1.png", "3.png"}
    assert len(evaluation.images) == 3
    assert summary["equal"]["average-drop"]["n"] + summary["equal"]["empty"]["value"] == 3


def test_boxes_that_do_not_lie_in_the_image_leave_it_out(model: Path, table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text().replace("0.png,0,2,3,20,25", "0.png,0,2,3,200,250"))
    run(model, table, tmp_path / "run", methods="equal")
    assert list(read_evaluation(tmp_path / "run").facts["unreadable"]) == ["0.png"]


def test_without_a_readable_image_nothing_is_left_behind(model: Path, table: Path, tmp_path: Path) -> None:
    for picture in table.parent.glob("*.png"):
        picture.write_bytes(b"no image")
    with pytest.raises(ImageError, match="none of the 5 images can be used"):
        run(model, table, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_only_images_that_the_model_gets_right_are_taken(model: Path, table: Path, tmp_path: Path) -> None:
    classifier = onnx_cam.load(model, preprocess="unit")
    right = [i for i in range(5) if onnx_cam.explain(classifier, table.parent / f"{i}.png").target.index == i % 4]
    assert 0 < len(right) < 5
    run(model, table, tmp_path / "run", methods="equal", only_correct=True)
    evaluation = read_evaluation(tmp_path / "run")
    assert [image.name for image in evaluation.images] == [f"{i}.png" for i in right]
    assert evaluation.facts["left_out"] == {"the model predicts another class": 5 - len(right)}


def test_labels_that_do_not_fit_the_model_are_an_error_unless_left_alone(
    model: Path, table: Path, tmp_path: Path
) -> None:
    table.write_text(table.read_text().replace("2.png,2", "2.png,17"))
    with pytest.raises(LabelsError, match=r"17.*--ignore-labels"):
        run(model, table, tmp_path / "run", methods="equal")
    assert not (tmp_path / "run").exists()
    run(model, table, tmp_path / "run", methods="equal", ignore_labels=True)


def test_results_of_another_model_are_refused(model: Path, table: Path, tmp_path: Path) -> None:
    run(model, table, tmp_path / "run", methods="equal")
    with pytest.raises(OutputError, match="holds results of model sha256"):
        run(write_model(tmp_path, seed=1), table, tmp_path / "run", methods="equal")
    with pytest.raises(OutputError, match="holds results of layer 'relu2'"):
        run(model, table, tmp_path / "run", methods="equal", layer="relu1")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["equal"]


def test_results_of_another_version_are_refused(model: Path, table: Path, tmp_path: Path) -> None:
    run(model, table, tmp_path / "run", methods="equal")
    with ResultsFile(tmp_path / "run" / FILE_NAME, write=True) as results:
        results.set_run({"onnx_cam_version": "0.0.1"})
    with pytest.raises(OutputError, match=r"onnx cam version '0\.0\.1'"):
        run(model, table, tmp_path / "run", methods="equal")


def test_what_is_no_results_file_is_left_alone(model: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE_NAME).write_bytes(b"something else" * 100)
    with pytest.raises(OutputError, match="cannot be used as a results file"):
        run(model, table, tmp_path / "run", methods="equal")
    assert (tmp_path / "run" / FILE_NAME).read_bytes() == b"something else" * 100


def test_two_processes_on_one_results_file_are_one_too_many(model: Path, table: Path, tmp_path: Path) -> None:
    run(model, table, tmp_path / "run", methods="equal")
    with ResultsFile(tmp_path / "run" / FILE_NAME, write=True):
        command = [sys.executable, "-m", "onnx_cam", "evaluate", str(model), str(table), "--preprocess", "unit"]
        command += ["--methods", "equal", "-o", str(tmp_path / "run")]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith("onnx-cam: error: another process is writing to")


def test_a_run_that_is_not_finished_is_no_evaluation(model: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no results at"):
        read_evaluation(tmp_path / "run")
    with ResultsFile(tmp_path / "bare.sqlite", write=True):
        pass
    os.makedirs(tmp_path / "run")
    os.rename(tmp_path / "bare.sqlite", tmp_path / "run" / FILE_NAME)
    with pytest.raises(OutputError, match="is not finished"):
        read_evaluation(tmp_path / "run")


def test_a_method_that_cannot_work_here_is_an_error_or_left_out(table: Path, tmp_path: Path) -> None:
    model = write_model_without_cam(tmp_path)
    with pytest.raises(onnx_cam.OnnxCamError, match="cam"):
        run(model, table, tmp_path / "one", methods="equal,cam")
    run(model, table, tmp_path / "all", methods="all", metrics="specificity", limit=1)
    evaluation = read_evaluation(tmp_path / "all")
    assert "cam" not in evaluation.methods
    assert any(note.startswith("cam left out:") for note in evaluation.facts["notes"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"methods": "nosuch"}, "unknown method 'nosuch'"),
        ({"methods": "scorecam,scorecam"}, "given twice"),
        ({"methods": "sscam2:paper:sigma=x"}, "invalid sigma 'x'"),
        ({"methods": "sscam2:depth=3"}, "unknown setting 'depth'"),
        ({"methods": " , "}, "no method"),
        ({"metrics": "average"}, "unknown metric 'average'"),
        ({"metrics": "win,win"}, "given twice"),
        ({"steps": 0}, "steps=0"),
        ({"keep": 0.0}, "keep=0"),
        ({"engine": "cloud"}, "unknown engine"),
        ({"workers": 2}, "leave it out"),
        ({"seed": -1}, "seed"),
        ({"steps": 401}, "steps=401, but the input has 400 pixels"),
        ({"methods": "all", "steps": 401}, "steps=401, but the input has 400 pixels"),
        ({"only_correct": True, "ignore_labels": True}, "set one of the two"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(
    model: Path, table: Path, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingError, match=said):
        run(model, table, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_methods_are_named_as_they_were_spelled() -> None:
    named = choose_named_methods("scorecam, sscam2:paper:sigma=0.5:samples=3,sscam1", samples=7)
    assert list(named) == ["scorecam", "sscam2:paper:sigma=0.5:samples=3", "sscam1"]
    assert named["sscam2:paper:sigma=0.5:samples=3"].parameters == {"samples": 3, "sigma": 0.5}
    assert named["sscam1"].parameters["samples"] == 7


def test_all_methods_may_have_the_control_beside_them() -> None:
    assert list(choose_named_methods("all, equal")) == [*onnx_cam.METHODS, "equal"]
    assert list(choose_named_methods("all")) == list(onnx_cam.METHODS)
    with pytest.raises(SettingError, match="given twice"):
        choose_named_methods("all,scorecam")


def test_all_stands_for_the_metrics_that_explain_nothing_again_and_all_plus_for_every_one() -> None:
    assert [metric.name for metric in choose_metrics()] == list(METRICS_OF_ALL)
    assert [metric.name for metric in choose_metrics("all+")] == list(METRICS)
    assert [metric.name for metric in choose_metrics("all, adcc")] == [*METRICS_OF_ALL, "adcc"]
    assert not any(metric.explanations for metric in choose_metrics())
    with pytest.raises(SettingError, match="win is given twice"):
        choose_metrics("all+,win")
