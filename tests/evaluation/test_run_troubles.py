"""Runs of the evaluation: what changes between calls and during one, what is damaged, and what the command says."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.errors import OutputError
from onnx_cam.evaluation import evaluate, read_evaluation
from onnx_cam.evaluation.results.results_file import FILE_NAME, ResultsFile
from tests.evaluation.photos import write_dataset


def run(model: Path, table: Path, out: Path, **settings: Any) -> dict[str, Any]:
    evaluate(onnx_cam.load(model, preprocess="unit"), table, out=out, **{"steps": 4, "report": False, **settings})
    content: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return content


def test_a_preprocessing_is_another_one_by_its_numbers_and_only_what_differs_is_said(
    model: Path, table: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"methods": "equal", "metrics": "specificity", "out": tmp_path / "run", "report": False}
    evaluate(onnx_cam.load(model, preprocess="unit"), table, **settings)
    written = {**onnx_cam.load(model, preprocess="unit").preprocessing.describe(), "source": "elsewhere"}  # type: ignore[union-attr]
    (tmp_path / "unit.json").write_text(json.dumps(written))
    evaluate(onnx_cam.load(model, preprocess=str(tmp_path / "unit.json")), table, **settings)
    with pytest.raises(OutputError, match=r"preprocessing name unit, .*; choose") as said:
        evaluate(onnx_cam.load(model, preprocess="imagenet"), table, **settings)
    assert "crop_pct" not in str(said.value)


def test_a_call_that_was_stopped_with_other_boxes_leaves_an_unfinished_run(
    model: Path, table: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"methods": "equal", "metrics": "pointing", "limit": 1}
    run(model, table, tmp_path / "run", **settings)
    file = tmp_path / "run" / FILE_NAME
    with ResultsFile(file, write=True) as results:
        (seen,) = results.images().values()
        results.add_image(replace(seen, facts=replace(seen.facts, boxes=((1, 1, 9, 9),))))
    with pytest.raises(OutputError, match="is not finished"):
        read_evaluation(tmp_path / "run")
    run(model, table, tmp_path / "run", **settings)
    assert read_evaluation(tmp_path / "run").images == (seen,)


@pytest.mark.parametrize("damaged", ["{", "[]", "null", '{"images": [], "methods": {}}'])
def test_damaged_values_are_an_error_that_names_the_file(
    model: Path, table: Path, tmp_path: Path, damaged: str
) -> None:
    run(model, table, tmp_path / "run", methods="equal", metrics="pointing", limit=1)
    with closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE run SET value = ? WHERE key = 'asked'", (damaged,))
    with pytest.raises(OutputError, match=r"results\.sqlite' cannot be used as a results file"):
        read_evaluation(tmp_path / "run")


def test_an_image_that_changes_during_the_run_is_left_out_and_its_figures_are_not_kept(
    model: Path, table: Path, tmp_path: Path
) -> None:
    run(model, table, tmp_path / "run", methods="scorecam", metrics="average-drop")  # its maps are known then

    def change(done: int, total: int) -> None:
        (table.parent / "4.png").write_bytes((table.parent / "5.png").read_bytes())

    write_dataset(tmp_path / "more", 6)
    (tmp_path / "more" / "5.png").rename(table.parent / "5.png")
    settings: dict[str, Any] = {"methods": "scorecam", "metrics": "deletion"}
    run(model, table, tmp_path / "run", progress=change, **settings)
    evaluation = read_evaluation(tmp_path / "run")
    assert [image.name for image in evaluation.images] == [f"{i}.png" for i in range(4)]
    assert "was changed during the run" in evaluation.facts["unreadable"]["4.png"]
    assert run(model, table, tmp_path / "run", **settings) == run(model, table, tmp_path / "fresh", **settings)


def test_a_folder_in_place_of_the_report_is_an_error_that_names_it(model: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "report.html").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"report\.html' is a folder"):
        run(model, table, tmp_path / "run", methods="equal", metrics="specificity", report=True)


def test_the_command_shows_how_many_images_a_figure_is_over(model: Path, table: Path, tmp_path: Path) -> None:
    command = [
        "evaluate",
        str(model),
        str(table),
        "--preprocess",
        "unit",
        "--methods",
        "equal",
        "-o",
        str(tmp_path / "run"),
    ]
    shown = CliRunner().invoke(main, [*command, "--metrics", "pointing,specificity,win"])
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[1].count(" n=") == 1  # the fifth picture has no box
    assert " n=4 " in shown.stdout.splitlines()[1]
    assert "win: higher is better; score probability, keep 1.0, tie 1e-06; compares pairs of methods" in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only-correct", "--ignore-labels"), "give one of the two"),
        (("--workers", "2"), "--workers is only for --engine ray"),
        (("--methods", "scorecam,nosuch"), "unknown method 'nosuch'"),
        (("--metrics", "nosuch"), "unknown metric 'nosuch'"),
        (("--keep", "0"), "keep=0"),
    ],
)
def test_what_the_words_alone_show_to_be_wrong_is_wrong_usage(
    model: Path, table: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    shown = CliRunner().invoke(main, ["evaluate", str(model), str(table), "-o", str(tmp_path / "run"), *words])
    assert shown.exit_code == 2
    assert said in shown.output
    assert not (tmp_path / "run").exists()
