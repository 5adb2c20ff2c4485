"""`onnx-cam diff`: its words, what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from onnx_cam.cli.main import main
from tests.builds.made import noisy, rotated, write_build, write_photos

COUNT = 12


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with photos and three builds."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", COUNT)
    write_build(tmp_path, "old.onnx")
    write_build(tmp_path, "new.onnx", w2=noisy(0.001))
    write_build(tmp_path, "bad.onnx", w3=rotated, b3=rotated)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["diff", *words])


def test_a_failed_gate_ends_with_3_and_says_by_how_much(folder: Path) -> None:
    result = run("old.onnx", "bad.onnx", "photos", "--preprocess", "unit", "-o", "out")
    assert result.exit_code == 3
    assert "gate flips>5% failed: flips is 100 % (95 % interval 75.8 % to 100 %), above 5 %" in result.stderr
    assert "maps>3" not in result.stderr or "gate maps>3 failed" in result.stderr
    assert (folder / "out" / "diff.json").is_file()


def test_without_a_failed_gate_it_ends_with_0_and_prints_the_figures(folder: Path) -> None:
    result = run("old.onnx", "new.onnx", "photos", "--preprocess", "unit", "-o", "out")
    assert result.exit_code == 0, result.output
    assert "failed" not in result.stderr
    assert "flips" in result.stdout
    for name in ("diff.json", "images.csv", "junit.xml", "summary.md"):
        assert f"wrote out/{name}" in result.stdout


def test_gates_replace_the_default_ones(folder: Path) -> None:
    words = ("old.onnx", "bad.onnx", "photos", "--preprocess", "unit", "-o", "out")
    assert run(*words, "--fail-if", "maps>1000").exit_code == 0
    assert run(*words, "--fail-if", "maps>1000", "--fail-if", "changed>0").exit_code == 3


def test_json_is_the_record_and_nothing_else(folder: Path) -> None:
    result = run("old.onnx", "new.onnx", "photos", "--preprocess", "unit", "-o", "out", "--json")
    assert json.loads(result.stdout) == json.loads((folder / "out" / "diff.json").read_text())


def test_a_dataset_gives_negative_flips(folder: Path) -> None:
    lines = [f"photos/{number:02d}.png,{number % 4}" for number in range(COUNT)]
    (folder / "photos.csv").write_text("\n".join(["file,label", *lines]))
    words = ("old.onnx", "bad.onnx", "photos.csv", "--preprocess", "unit", "-o", "out")
    assert run(*words, "--fail-if", "negative-flips>1%").exit_code in (0, 3)
    assert json.loads((folder / "out" / "diff.json").read_text())["negative_flips"]["value"] == 1
    by_kind = run("old.onnx", "bad.onnx", "photos", "--kind", "images", "--preprocess", "unit", "-o", "out")
    assert json.loads((folder / "out" / "diff.json").read_text())["negative_flips"]["value"] is None
    assert by_kind.exit_code == 3


def test_a_baseline_stands_for_the_old_build(folder: Path) -> None:
    saved = run("--save-baseline", "kept", "old.onnx", "photos", "--preprocess", "unit")
    assert saved.exit_code == 0, saved.output
    assert f"wrote kept: {COUNT} images, {COUNT} with maps" in saved.stdout
    result = run("kept", "bad.onnx", "photos", "--preprocess", "unit", "-o", "out")
    assert result.exit_code == 3
    with_file = run("old.onnx", "bad.onnx", "photos", "--preprocess", "unit", "-o", "other")
    assert with_file.stdout.replace("other/", "out/") == result.stdout


def test_each_build_may_have_its_own_preprocessing_and_layer(folder: Path) -> None:
    words = ("old.onnx", "old.onnx", "photos", "--preprocess", "unit", "--new-preprocess", "tf", "-o", "out")
    run(*words, "--layer", "relu2", "--new-layer", "conv2", "--method", "hirescam")
    record = json.loads((folder / "out" / "diff.json").read_text())
    assert [record[build]["preprocessing"]["name"] for build in ("old", "new")] == ["unit", "tf"]
    assert [record[build]["layer"] for build in ("old", "new")] == ["relu2", "conv2"]
    assert record["settings"]["method"] == "hirescam"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["old.onnx", "new.onnx", "-o", "out"], "expected OLD, NEW and at least one IMAGE"),
        (["old.onnx", "new.onnx", "photos"], "missing option -o DIR"),
        (["old.onnx", "new.onnx", "photos", "-o", "out", "--fail-if", "flips"], "invalid gate 'flips': expected NAME>"),
        (
            ["old.onnx", "new.onnx", "photos", "-o", "out", "--fail-if", "flip>1"],
            "Expected one of flips, negative-flips, drift, maps, changed",
        ),
        (["old.onnx", "new.onnx", "photos", "-o", "out", "--samples", "3"], "gradcam does not take samples"),
        (["--save-baseline", "kept", "old.onnx"], "expected OLD and at least one IMAGE"),
        (["--save-baseline", "kept", "old.onnx", "photos", "-o", "out"], "-o is for a comparison"),
        (["--save-baseline", "kept", "old.onnx", "new.onnx", "photos"], "no NEW: leave out 'new.onnx'"),
        (["--save-baseline", "kept", "old.onnx", "photos", "--fail-if", "flips>1%"], "--fail-if is for a comparison"),
        (
            ["old.onnx", "new.onnx", "photos", "photos", "-o", "out", "--kind", "csv"],
            "are for one dataset; got 2 paths",
        ),
    ],
)
def test_wrong_usage_ends_with_2(words: list[str], message: str, folder: Path) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.output
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.onnx", "new.onnx", "photos"], "no model file 'missing.onnx'"),
        (["old.onnx", "new.onnx", "photos", "--layer", "relu9"], "did you mean 'relu2'"),
        (
            ["old.onnx", "new.onnx", "photos", "--fail-if", "negative-flips>1%"],
            "needs labels, and the images have none",
        ),
        (["old.onnx", "new.onnx", "missing.png"], "none of the 1 images can be used"),
    ],
)
def test_bad_input_ends_with_1_and_one_line(words: list[str], message: str, folder: Path) -> None:
    result = run(*words, "--preprocess", "unit", "-o", "out")
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("onnx-cam: error: ")]
    assert message in line
    assert not (folder / "out").exists()
