"""Runs that are read before they are finished: by a second process while they go on, and after they were killed."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.errors import OutputError
from onnx_cam.evaluation import Evaluation, evaluate, read_evaluation, summarise
from onnx_cam.evaluation.results import results_file
from onnx_cam.evaluation.results.records import MeasuredMap
from onnx_cam.evaluation.results.results_file import FILE_NAME, ResultsFile
from tests.evaluation.photos import write_model_without_cam
from tests.page import Page
from tests.places import ROOT

SETTINGS: dict[str, Any] = {"methods": "scorecam,cam", "controls": False, "steps": 4, "report": False}
READ = "import sys; from onnx_cam.evaluation import read_evaluation as r; print(r(sys.argv[1]).progress)"


def run(model: Path, table: Path, out: Path, **settings: Any) -> Evaluation:
    return evaluate(onnx_cam.load(model, preprocess="unit"), table, out=out, **{**SETTINGS, **settings})


def images_done(out: Path) -> int:
    """Return how many images of an unfinished run another connection finds done."""
    try:
        progress = read_evaluation(out).progress
    except OutputError:
        return 0
    return progress.done if progress else 0


def stop_when(condition: Callable[[], bool]) -> Callable[[int, int], None]:
    """Return a progress callback that interrupts its run."""

    def stop(done: int, planned: int) -> None:
        if condition():
            raise KeyboardInterrupt

    return stop


def stopped(model: Path, table: Path, out: Path, images: int = 2, **settings: Any) -> Path:
    """Return the folder of a run that was interrupted once so many of its five images were done."""
    with pytest.raises(KeyboardInterrupt):
        run(model, table, out, progress=stop_when(lambda: images_done(out) >= images), **settings)
    return out


def test_a_second_process_reads_what_is_there_while_the_run_goes_on(model: Path, table: Path, tmp_path: Path) -> None:
    told: list[str] = []

    def read(done: int, planned: int) -> None:
        if images_done(tmp_path / "run") == 2 and not told:
            command = [sys.executable, "-c", READ, str(tmp_path / "run")]
            second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            told.append(second.stdout.strip())

    whole = run(model, table, tmp_path / "run", progress=read)
    assert told == ["2 of 5 images"]
    assert whole.progress is None
    assert summarise(whole) == summarise(run(model, table, tmp_path / "undisturbed"))


def test_the_images_done_so_far_are_those_of_the_finished_run(model: Path, table: Path, tmp_path: Path) -> None:
    so_far = read_evaluation(stopped(model, table, tmp_path / "run"))
    assert (str(so_far.progress), [image.name for image in so_far.images]) == ("2 of 5 images", ["0.png", "1.png"])
    whole = run(model, table, tmp_path / "run")
    assert so_far.images == whole.images[:2]
    for key, made in so_far.maps.items():
        np.testing.assert_array_equal(made.cam, whole.maps[key].cam)
        assert made.figures == whole.maps[key].figures
    assert {name: so_far.facts[name] for name in ("seed", "drawn", "kind", "model")} == {
        name: whole.facts[name] for name in ("seed", "drawn", "kind", "model")
    }


def test_after_its_writer_was_killed_a_run_can_be_read_and_continued(model: Path, table: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onnx_cam", "evaluate", str(model), str(table), "--preprocess", "unit"]
    command += ["--methods", "scorecam,sscam2,equal", "--samples", "2", "--steps", "400", "--batch-size", "1"]
    command += ["-o", str(tmp_path / "run")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and images_done(tmp_path / "run") < 1:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    progress = read_evaluation(tmp_path / "run").progress
    assert progress is not None
    assert 1 <= progress.done <= progress.planned == 5
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert read_evaluation(tmp_path / "run").progress is None
    assert (tmp_path / "run" / "summary.json").is_file()


def test_a_finished_run_leaves_one_file_of_results(model: Path, table: Path, tmp_path: Path) -> None:
    stopped(model, table, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [FILE_NAME]  # stopped, not killed: no lock either
    run(model, table, tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {FILE_NAME, "summary.json", "tables.csv", "tables.json"}


def test_report_and_survey_say_that_the_run_is_not_finished(model: Path, table: Path, tmp_path: Path) -> None:
    out = stopped(model, table, tmp_path / "run")
    page, survey = str(tmp_path / "report.html"), str(tmp_path / "survey")
    shown = CliRunner().invoke(main, ["report", str(out), "-o", page])
    assert shown.exit_code == 0, shown.stderr
    assert "is not finished: the report covers 2 of 5 images" in shown.stderr
    text = " ".join(Page(Path(page).read_text(encoding="utf-8")).text.split())
    assert "This run is not finished. The report covers 2 of 5 images" in text
    assert "2 methods on 2 images" in text
    shown = CliRunner().invoke(main, ["survey", str(out), "-o", survey])
    assert shown.exit_code == 0, shown.stderr
    assert "drawn from 2 of 5 images" in shown.stderr
    assert json.loads((Path(survey) / "key.json").read_text())["run"]["progress"] == "2 of 5 images"
    run(model, table, out)
    assert CliRunner().invoke(main, ["report", str(out), "-o", page]).stderr == ""
    assert "not finished" not in Path(page).read_text(encoding="utf-8")


def test_images_that_only_correct_leaves_out_count_as_done(model: Path, table: Path, tmp_path: Path) -> None:
    whole = run(model, table, tmp_path / "whole", only_correct=True)
    right = {image.name for image in whole.images}
    so_far = read_evaluation(stopped(model, table, tmp_path / "run", only_correct=True))
    assert so_far.progress is not None
    assert {image.name for image in so_far.images} <= right
    wrong = so_far.facts["left_out"]["the model predicts another class"]
    assert so_far.progress.done == len(so_far.images) + wrong < so_far.progress.planned == 5


def test_a_method_that_cannot_work_does_not_hold_up_the_images(table: Path, tmp_path: Path) -> None:
    bent = write_model_without_cam(tmp_path)
    so_far = read_evaluation(stopped(bent, table, tmp_path / "run", methods="all", metrics="specificity", samples=1))
    assert str(so_far.progress) == "2 of 5 images"
    assert "cam" not in so_far.methods
    assert any(note.startswith("cam left out:") for note in so_far.facts["notes"])


def test_until_an_image_is_done_the_run_before_is_shown(model: Path, table: Path, tmp_path: Path) -> None:
    whole = run(model, table, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(model, table, tmp_path / "run", methods="scorecam,sscam2", samples=2, progress=stop_when(lambda: True))
    before = read_evaluation(tmp_path / "run")
    assert before.progress is None
    assert summarise(before) == summarise(whole)
    assert "a later run in this folder has not finished an image yet" in before.facts["notes"][-1]
    after = read_evaluation(stopped(model, table, tmp_path / "run", 1, methods="scorecam,sscam2", samples=2))
    assert (list(after.methods), str(after.progress)) == (["scorecam", "sscam2"], "1 of 5 images")


def test_a_reader_that_keeps_the_file_locked_stops_the_run_with_one_line(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_file, "_WRITER_PATIENCE", 0.05)
    run(model, table, tmp_path / "run", limit=1)
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM maps").fetchone()
        with pytest.raises(OutputError, match=r"has kept '.*results\.sqlite' locked for 0 s; close the program"):
            run(model, table, tmp_path / "run")
    assert run(model, table, tmp_path / "run").progress is None


def test_what_a_killed_process_left_half_written_is_undone_in_a_read_only_folder_too(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(model, table, tmp_path / "run")
    file = tmp_path / "run" / FILE_NAME
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN IMMEDIATE'); c.execute('DELETE FROM figures')\n"
        "c.execute('UPDATE maps SET cam = zeroblob(50000)')\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(file)], check=False)
    assert file.with_name(f"{FILE_NAME}-journal").stat().st_size > 0  # pages were written, and must be put back
    connect = sqlite3.connect

    def read_only(path: Path, **settings: Any) -> sqlite3.Connection:
        mode = "ro" if Path(path) == file else "rw"
        opened: sqlite3.Connection = connect(f"{Path(path).absolute().as_uri()}?mode={mode}", uri=True, **settings)
        return opened

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", read_only)
        copied = read_evaluation(tmp_path / "run")
    assert file.with_name(f"{FILE_NAME}-journal").exists()
    for found in (copied, read_evaluation(tmp_path / "run")):
        assert summarise(found) == summarise(whole)
    assert not file.with_name(f"{FILE_NAME}-journal").exists()


def test_a_lock_file_that_was_left_behind_locks_nothing(tmp_path: Path) -> None:
    (tmp_path / "results.lock").touch()
    with ResultsFile(tmp_path / FILE_NAME, write=True) as results:
        with pytest.raises(OutputError, match="another process is writing to"):
            ResultsFile(tmp_path / FILE_NAME, write=True)
        results.set_run({"layer": "relu2"})
    assert not (tmp_path / "results.lock").exists()
    (tmp_path / "results.lock").write_bytes(b"something else" * 100)
    with pytest.raises(OutputError, match=r"cannot lock '.*results\.lock'.*; remove that file"):
        ResultsFile(tmp_path / FILE_NAME, write=True)


def test_a_file_without_tables_holds_no_results_yet(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(OutputError, match="holds no results yet"):
        read_evaluation(tmp_path)


def test_each_reader_sees_whole_maps_while_another_connection_writes(tmp_path: Path) -> None:
    cam = np.ones((2, 2), np.float32)
    with ResultsFile(tmp_path / FILE_NAME, write=True) as writer, ResultsFile(tmp_path / FILE_NAME) as reader:
        for number in range(3):
            writer.add_map(MeasuredMap("image", str(number), cam, {"passes": number}))
            assert len(reader.measured()) == number + 1
            assert reader.map("image", str(number)).record == {"passes": number}
