"""`onnx-cam diff --layers`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from onnx_cam.cli.main import main
from tests.builds.made import noisy, write_build, write_photos

SENTENCE = "The activations first diverge at conv2 (Conv, tensor 3 of 4)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", 6)
    write_build(tmp_path, "old.onnx")
    write_build(tmp_path, "new.onnx", w2=noisy(3.0))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["diff", *words, "--preprocess", "unit"])


def test_the_first_bad_layer_is_printed_and_in_every_file_for_people(folder: Path) -> None:
    result = run("old.onnx", "new.onnx", "photos", "--layers", "-o", "out")
    assert SENTENCE in result.stdout
    for name in ("summary.md", "report.html"):
        assert SENTENCE in (folder / "out" / name).read_text()
    assert json.loads((folder / "out" / "diff.json").read_text())["layers"]["first"] == "conv2"


def test_a_comparison_that_was_made_before_gets_its_layers(folder: Path) -> None:
    """All else is kept, and the folder then is the same as that of one command."""
    for words in ((), ("--layers",)):
        run("old.onnx", "new.onnx", "photos", *words, "-o", "twice")
    run("old.onnx", "new.onnx", "photos", "--layers", "-o", "once")
    for name in ("diff.json", "summary.md", "report.html"):
        assert (folder / "twice" / name).read_bytes() == (folder / "once" / name).read_bytes()


def test_a_baseline_keeps_no_activations(folder: Path) -> None:
    result = run("--save-baseline", "kept", "old.onnx", "photos", "--layers")
    assert result.exit_code == 2
    assert "--layers is for a comparison" in result.output
    assert run("--save-baseline", "kept", "old.onnx", "photos").exit_code == 0
    result = CliRunner().invoke(main, ["diff", "kept", "new.onnx", "photos", "--layers", "-o", "out"])
    assert result.exit_code == 1
    assert "a baseline holds no activations" in result.output
