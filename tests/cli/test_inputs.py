"""The options for the inputs beside the image, as their user gives them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from onnx_cam.cli.main import main
from tests import tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a model that takes a flag and a size beside the image, and a network input."""
    nodes = [
        helper.make_node("Cast", ["training"], ["t"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["t", "noise"], ["n"]),
        helper.make_node("Add", ["image", "n"], ["x"]),
        *tiny.body(),
    ]
    nodes[3].input[0] = "x"
    made = tiny.build(
        nodes,
        tiny.weights() | {"noise": np.full((1, 3, 1, 1), 100, np.float32)},
        image=["N", 3, 20, 20],
        outputs=[tiny.value_info("logits", ["N", 4])],
    )
    made.graph.input.extend(
        [tiny.value_info("training", [], TensorProto.BOOL), tiny.value_info("im_shape", ["N", 2], TensorProto.INT64)]
    )
    tiny.save(made, tmp_path)
    np.save(tmp_path / "x.npy", tiny.image())
    return tmp_path


def run(folder: Path, *words: str, command: str = "explain") -> Result:
    images = (
        [str(folder / "x.npy"), "--preprocess", "none", "--out", str(folder / "out")] if command == "explain" else []
    )
    return CliRunner().invoke(main, [command, str(folder / "tiny.onnx"), *images, *words])


def test_the_line_about_a_missing_value_can_be_copied(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "--set training=VALUE --set im_shape=VALUE" in result.stderr
    assert not (folder / "out").exists()


@pytest.mark.parametrize("command", ["explain", "inspect", "layers"])
def test_values_are_given_to_every_command(folder: Path, command: str) -> None:
    result = run(folder, "--set", "training=false", "--set", "im_shape=20,20", command=command)
    assert result.exit_code == 0, result.stderr
    if command == "inspect":
        assert re.search(r"constant im_shape +\[\[20, 20\]\]", result.stdout)


def test_the_record_holds_the_values(folder: Path) -> None:
    result = run(folder, "--set", "training=false", "--set", "im_shape=20,20", "--json")
    record = json.loads(result.stdout)
    assert record["constants"] == {"training": False, "im_shape": [[20, 20]]}
    assert record["custom_ops"] == []


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--set", "training"], 2, "invalid setting 'training': expected NAME=VALUE"),
        (["--set", "=1"], 2, "invalid setting '=1'"),
        (["--set", "training="], 2, "invalid setting 'training='"),
        (["--set", "training=0", "--set", "training=1"], 2, "input 'training' is given twice"),
        (["--set", "training=0"], 1, r"a value for 'im_shape' (?, 2; int64)"),
        (["--set", "training=0", "--set", "im_shape=20"], 1, "expected 2 numbers"),
        (["--set", "training=0", "--set", "im_shape=20,20,1"], 1, "expected 2 numbers"),
        (["--set", "training=0", "--set", "im_shape=20,0.5"], 1, "expected whole numbers"),
        (["--set", "training=0", "--set", "im_shape=a,b"], 1, "expected whole numbers"),
        (["--set", "training=0", "--set", "im_shape=[[20, 20"], 1, "expected a list as in JSON"),
        (["--set", "training=0", "--set", "imshape=20,20"], 1, "did you mean 'im_shape'"),
        (["--set", "image=0"], 1, "no input"),
        (["--custom-ops", "missing.so"], 1, "no operator library 'missing.so'"),
    ],
)
def test_bad_values_are_one_line(folder: Path, words: list[str], status: int, message: str) -> None:
    result = run(folder, *words)
    assert result.exit_code == status
    if message != "no input":
        assert message in result.stderr
    if status == 1:
        assert result.stderr.startswith("onnx-cam: error: ")
        assert result.stderr.count("\n") == 1


def test_a_value_from_a_file_is_read_whole_or_refused(folder: Path) -> None:
    np.save(folder / "size.npy", np.array([20, 20]))
    assert run(folder, "--set", "training=0", "--set", f"im_shape={folder / 'size.npy'}").exit_code == 0
    (folder / "size.npy").write_bytes((folder / "size.npy").read_bytes()[:-4])
    assert (
        "cannot read a value" in run(folder, "--set", "training=0", "--set", f"im_shape={folder / 'size.npy'}").stderr
    )
    objects = np.array([{}], dtype=object)
    np.save(folder / "objects.npy", objects, allow_pickle=True)
    words = ["--set", f"training={folder / 'objects.npy'}", "--set", "im_shape=20,20"]
    assert "cannot read a value" in run(folder, *words).stderr


def test_export_leaves_the_inputs_to_the_caller(folder: Path) -> None:
    words = ["export", str(folder / "tiny.onnx"), "--set", "training=0", "--set", "im_shape=20,20"]
    result = CliRunner().invoke(main, [*words, "-o", str(folder / "tapped.onnx")])
    assert result.exit_code == 0, result.stderr
    graph = onnx.load(folder / "tapped.onnx").graph
    assert [info.name for info in graph.input] == ["image", "training", "im_shape"]
