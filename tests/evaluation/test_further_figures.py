"""Runs with every metric: figures that take explanations of their own, their terms, and where they are shown."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx_cam
from onnx_cam.errors import OutOfMemoryError
from onnx_cam.evaluation import Evaluation, evaluate, read_evaluation, summarise
from onnx_cam.evaluation.results.records import MeasuredMap, MoreFigures
from onnx_cam.evaluation.results.results_file import FILE_NAME, ResultsFile
from onnx_cam.metrics import METRICS, Stability, explained_image
from onnx_cam.names import METRIC_EXPLANATIONS
from tests import tiny
from tests.evaluation import colours
from tests.page import Page
from tests.places import ROOT

METHODS = "scorecam,sscam2:sigma=0.5:samples=2,equal"


def run(folder: Path, out: str = "run", **settings: Any) -> Evaluation:
    table = folder / "photos" / "photos.csv"
    table = table if table.exists() else colours.write_dataset(folder / "photos", 9)
    model = onnx_cam.load(tiny.save(colours.network(), folder), preprocess="unit", device="cpu")
    chosen: dict[str, Any] = {"methods": METHODS, "metrics": "all+", "steps": 4, "report": False, "controls": False}
    chosen |= settings
    return evaluate(model, table, out=folder / out, **chosen)


def table_of(run: Path) -> list[dict[str, Any]]:
    return [row for row in json.loads((run / "tables.json").read_text()) if row["metric"] != "seconds"]


def figures_in(run: Path) -> list[Any]:
    with sqlite3.connect(run / FILE_NAME) as file:
        return sorted(file.execute("SELECT image, method, metric, value, curve, parts, reason FROM figures"))


def test_every_metric_is_in_the_summary_and_its_parts_are_in_the_tables(tmp_path: Path) -> None:
    evaluation = run(tmp_path)
    summary = summarise(evaluation)
    assert set(summary["scorecam"]) == {*METRICS, "empty"}
    for name, cls in METRICS.items():
        if cls.part_names:
            parts = summary["scorecam"][name]["parts"]
            assert tuple(parts) == cls.part_names
            assert all(set(part) == {"value", "low", "high", "n"} for part in parts.values())
            rows = [row for row in table_of(tmp_path / "run") if row["metric"] == name and row["method"] == "scorecam"]
            assert [row["part"] for row in rows] == [None, *cls.part_names]
            assert [row["value"] for row in rows[1:]] == [part["value"] for part in parts.values()]
            assert [row["better"] for row in rows] == [cls.better, *[None] * len(parts)]
    stability = summary["scorecam"]["stability"]
    assert stability["value"] == pytest.approx(np.mean([part["value"] for part in stability["parts"].values()]))
    with open(tmp_path / "run" / "tables.csv", encoding="utf-8", newline="") as file:
        assert {row["part"] for row in csv.DictReader(file)} >= {"", "coherency", "1-drop", "mirror", "noise"}


def test_the_control_does_not_depend_on_the_weights_and_the_figures_are_those_of_python(tmp_path: Path) -> None:
    evaluation = run(tmp_path)
    randomisation, stability = evaluation.metric("randomisation"), evaluation.metric("stability")
    assert randomisation is not None
    assert stability is not None
    assert evaluation.values(randomisation, "equal").tolist() == [0.0] * 9
    model = onnx_cam.load(tmp_path / "tiny.onnx", preprocess="unit", device="cpu")
    for image, value in zip(evaluation.images, evaluation.values(stability, "scorecam"), strict=True):
        assert Stability().measure(explained_image(model, image.path)).value == pytest.approx(value, abs=1e-6)


def test_a_map_is_stored_before_its_further_figures_and_each_of_these_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, int]] = []
    add_map, add_figures = ResultsFile.add_map, ResultsFile.add_figures

    def noted_map(file: ResultsFile, one: MeasuredMap) -> None:
        steps.append(("map", len(one.figures)))
        add_map(file, one)

    def noted_figures(file: ResultsFile, one: MoreFigures) -> None:
        steps.append(("more", len(one.figures)))
        add_figures(file, one)

    monkeypatch.setattr(ResultsFile, "add_map", noted_map)
    monkeypatch.setattr(ResultsFile, "add_figures", noted_figures)
    run(tmp_path, methods="scorecam", limit=1)
    following = sum(bool(count) for count in METRIC_EXPLANATIONS.values())
    assert steps == [("map", len(METRICS) - following), *[("more", 1)] * following]


def test_passes_of_further_figures_are_counted_once_each(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    evaluation = run(tmp_path, progress=lambda *passes: told.append(passes))
    done = [one for one, _ in told]
    assert done == sorted(done)
    assert all(one <= planned for one, planned in told)
    passes = 2 * 9 + sum(made.record["passes"] + made.record["measuring_passes"] for made in evaluation.maps.values())
    assert told[-1] == (passes, passes)
    # A map takes its activations, the baseline and at most 4 live channels; six others are made for the figures.
    for image in evaluation.images:
        record = evaluation.maps[image.sha256, "scorecam"].record
        others = record["measuring_passes"] - (1 + 1 + 2 + 3 + 3 + 1)  # X, X ⊙ L↑, baselines, curves, contrast
        assert record["passes"] <= 5  # the activations were there
        assert 6 * 3 <= others <= 6 * 6


def test_what_is_measured_changes_no_maps_passes(tmp_path: Path) -> None:
    """The activations of the image outlast the explanations of others, and the baseline of these counts anew."""
    every, one = run(tmp_path, "every"), run(tmp_path, "one", metrics="average-drop")
    for key, made in every.maps.items():
        assert made.record["passes"] == one.maps[key].record["passes"]
        assert made.cam.tobytes() == one.maps[key].cam.tobytes()


def test_figures_that_are_added_later_are_the_same_and_their_passes_join_the_others(tmp_path: Path) -> None:
    whole = run(tmp_path, "whole")
    run(tmp_path, metrics="average-drop", methods="scorecam")
    before = {key: made.record["measuring_passes"] for key, made in read_evaluation(tmp_path / "run").maps.items()}
    told: list[tuple[int, int]] = []
    run(tmp_path, metrics="average-drop,stability", methods="scorecam", progress=lambda *passes: told.append(passes))
    after = read_evaluation(tmp_path / "run").maps
    spent = sum(after[key].record["measuring_passes"] - before[key] for key in after)
    assert told[-1] == (spent, spent)
    run(tmp_path)
    assert table_of(tmp_path / "run") == table_of(tmp_path / "whole")
    assert figures_in(tmp_path / "run") == figures_in(tmp_path / "whole")
    assert whole.facts["notes"] == read_evaluation(tmp_path / "run").facts["notes"]


@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_batch_size_changes_no_figure(tmp_path: Path, batch_size: int) -> None:
    first, other = run(tmp_path, "first"), run(tmp_path, "other", batch_size=batch_size)
    for metric in first.metrics:
        for method in first.methods:
            found, expected = (one.values(metric, method) for one in (other, first))
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_killed_at_random_moments_it_ends_with_the_same_tables(tmp_path: Path) -> None:
    run(tmp_path, "whole")
    command = [sys.executable, "-m", "onnx_cam", "evaluate", str(tmp_path / "tiny.onnx")]
    command += [str(tmp_path / "photos" / "photos.csv"), "--preprocess", "unit", "--methods", METHODS]
    command += [
        "--metrics",
        "all+",
        "--steps",
        "4",
        "--device",
        "cpu",
        "--quiet",
        "--no-controls",
        "-o",
        str(tmp_path / "run"),
    ]
    draw, kills = random.Random(0), 0
    for _ in range(5):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_figures(tmp_path / "run", count_figures(tmp_path / "run") + draw.randrange(1, 70), process)
        os.kill(process.pid, signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 3
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert table_of(tmp_path / "run") == table_of(tmp_path / "whole")
    assert figures_in(tmp_path / "run") == figures_in(tmp_path / "whole")


def count_figures(run: Path) -> int:
    try:
        return len(figures_in(run))
    except sqlite3.Error:
        return 0


def wait_for_figures(run: Path, number: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None and not ((run / FILE_NAME).exists() and count_figures(run) >= number):
        time.sleep(0.005)


def test_a_lack_of_memory_in_a_further_figure_ends_the_run_and_loses_no_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "whole")
    with monkeypatch.context() as patched:
        patched.setattr(Stability, "measure", lambda *_: (_ for _ in ()).throw(OutOfMemoryError("out of memory")))
        with pytest.raises(OutOfMemoryError):
            run(tmp_path)
    with sqlite3.connect(tmp_path / "run" / FILE_NAME) as file:
        assert file.execute("SELECT count(*) FROM maps").fetchone()[0] == 3  # of the first image
    run(tmp_path)
    assert table_of(tmp_path / "run") == table_of(tmp_path / "whole")


def test_the_report_shows_the_parts_and_says_what_each_metric_is(tmp_path: Path) -> None:
    evaluation = run(tmp_path, report=True)
    (page,) = [file for file in evaluation.files if file.suffix == ".html"]
    text = " ".join(Page(page.read_text(encoding="utf-8")).text.split())
    summary = summarise(evaluation)["scorecam"]
    for name in ("adcc", "stability"):
        for part, mean in summary[name]["parts"].items():
            assert f"{part} {mean['value']:.3f}" in text
    for said in ("how far the map moves where the image hardly changes", "Settings: scaled yes", "chance is 25 %"):
        assert said in text


def test_why_there_is_no_figure_is_said_in_the_command_and_in_the_report(tmp_path: Path) -> None:
    table = colours.write_dataset(tmp_path / "photos", 5)
    tiny.save(colours.network(), tmp_path)
    command = [sys.executable, "-m", "onnx_cam", "evaluate", str(tmp_path / "tiny.onnx"), str(table)]
    command += ["--preprocess", "unit", "--methods", "equal", "--metrics", "all+", "-o", str(tmp_path / "run")]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    said = (
        "grid-pointing: no figure for 5 of 5 images: 5 images of 4 classes are recognised at the size of a cell; "
        "mosaics need 8 images of 4 classes"
    )
    assert said in shown.stderr
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert said in " ".join(Page(page).text.split())


def test_ray_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("pyarrow")
    run(tmp_path, "local")
    run(tmp_path, "ray", engine="ray", workers=2)
    assert figures_in(tmp_path / "ray") == figures_in(tmp_path / "local")
    assert table_of(tmp_path / "ray") == table_of(tmp_path / "local")
