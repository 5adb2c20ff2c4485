"""``onnx-cam export --heatmap``: what it prints, and what it refuses in which way."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest

from tests import tiny
from tests.cli.test_cli import Run, model, one_line_error, run  # noqa: F401 (fixtures)


def test_a_heatmap_is_written_and_described(run: Run, model: Path) -> None:  # noqa: F811
    result = run("export", model, "--heatmap", "-o", "explaining.onnx")
    assert result.exit_code == 0, result.stderr
    assert re.search(
        r"wrote explaining.onnx: heatmap \(5×5\) by cam at layer relu2, and heatmap_class; on", result.stdout
    )
    assert result.stderr == ""
    names = [output.name for output in onnx.load("explaining.onnx").graph.output]
    assert names == ["logits", "heatmap", "heatmap_class"]


def test_all_options_together(run: Run, model: Path) -> None:  # noqa: F811
    words = ("--method", "layercam", "--target", "input", "--resolution", "input", "--layer", "Relu_1")
    result = run("export", model, "--heatmap", *words, "-o", "explaining.onnx")
    assert result.exit_code == 0, result.stderr
    assert "heatmap (20×20) by layercam at layer relu1" in result.stdout
    assert [info.name for info in onnx.load("explaining.onnx").graph.input] == ["image", "heatmap_target"]
    assert run("export", model, "--heatmap", "--target", "3", "-o", "explaining.onnx").exit_code == 0


def test_notes_go_to_standard_error(run: Run, tmp_path: Path) -> None:  # noqa: F811
    path = tiny.save(tiny.model(size="side"), tmp_path)
    result = run("export", path, "--size", "20x20", "--heatmap", "-o", "explaining.onnx")
    assert result.exit_code == 0
    assert re.search(r"onnx-cam: .*tiny.onnx: the file leaves height and width of the input free", result.stderr)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--heatmap", "--target", "4"], "no class 4; the model has 4 classes: expected 0 to 3"),
        (["--heatmap", "--layer", "relu9"], "no tensor or node 'relu9'"),
        (["--heatmap", "--method", "cam", "--layer", "relu1"], "cam needs a layer that is followed by"),
    ],
)
def test_what_the_model_lacks_is_one_line(words: list[str], match: str, run: Run, model: Path) -> None:  # noqa: F811
    one_line_error(run("export", model, *words, "-o", "explaining.onnx"), match)
    assert not Path("explaining.onnx").exists()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--heatmap", "--target", "cat"], "invalid target 'cat' of a heatmap: expected top1, input or the index"),
        (["--heatmap", "--target", "top2"], "invalid target 'top2'"),
        (["--heatmap", "--target", "-1"], "invalid target '-1'"),
        (["--heatmap", "--method", "scorecam"], "a heatmap of scorecam takes many runs of the model"),
        (["--heatmap", "--method", "smoothgradcam++"], "takes many runs"),
        (["--heatmap", "--method", "grad"], "Invalid value for '--method'"),
        (["--heatmap", "--resolution", "image"], "Invalid value for '--resolution'"),
        (["--method", "cam"], "--method is for a heatmap: add --heatmap, or leave out --method"),
        (["--target", "top1"], "--target is for a heatmap"),
        (["--resolution", "layer"], "--resolution is for a heatmap"),
    ],
)
def test_wrong_usage(words: list[str], match: str, run: Run) -> None:  # noqa: F811
    """It is judged by the words alone: the model is not even looked for."""
    result = run("export", "no such model", *words, "-o", "explaining.onnx")
    assert result.exit_code == 2
    assert match in " ".join(result.stderr.split())
