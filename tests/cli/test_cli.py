"""The command line: what it prints, what it writes, how it ends."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, features

import onnx_cam
from onnx_cam.cli.main import main
from tests import tiny

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words, **settings: CliRunner().invoke(main, [str(word) for word in words], **settings)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tiny.save(tiny.model(metadata={"labels": '["cat", "dog", "bird", "fish"]'}), tmp_path / "models")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def one_line_error(result: Result, match: str, status: int = 1) -> None:
    assert result.exit_code == status, result.output
    lines = result.stderr.splitlines()
    assert len([line for line in lines if "error:" in line]) == 1, lines
    assert "Traceback" not in result.stderr
    assert re.search(match, result.stderr), result.stderr
    assert result.stdout == ""


def test_the_main_job(run: Run, model: Path, images: Path) -> None:
    result = run("explain", model, images / "0.png", "--method", "sscam2", "--samples", "2", "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert len(list(Path("out").iterdir())) == 3
    assert "sscam2 range at layer relu2 (6×5×5)" in result.stdout
    assert "preprocessing: ImageNet's, a guess" in result.stderr


def test_json_is_one_record_a_line_and_nothing_else(run: Run, model: Path, images: Path) -> None:
    result = run("explain", model, images, "--json", "--target", "top2", "--out", "out")
    assert result.exit_code == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(r["image"]).name for r in records] == ["0.png", "0.png", "1.png", "1.png", "2.png", "2.png"]
    for record in records:
        assert {"overlay", "map", "record"} == set(record["files"])
        assert json.loads(Path(record["files"]["record"]).read_text()) == record
        assert np.load(record["files"]["map"]).shape == (30, 40)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_images_of_cameras_and_telephones_in_a_folder(run: Run, model: Path, images: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).save(images / "3.jpg", "AVIF")
    (images / "4.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500))
    Image.fromarray(pixels[..., 0].astype(np.uint16) << 4).save(images / "5.png")
    result = run("explain", model, images, "--out", "out", "--method", "cam")
    assert result.exit_code == 1
    assert len(list(Path("out").glob("*.json"))) == 5
    assert re.search("4.heic'.* HEIC", result.stderr)
    assert "1 of 6 images failed" in result.stderr
    assert "read as 12-bit data; if it is a dark image of the full 16 bits" in result.stderr


@pytest.mark.parametrize(
    ("target", "indices"),
    [("2", [2]), ("dog", [1]), ("dog,3", [1, 3]), ("bird, cat", [2, 0]), ("top4", None), ("top1", None)],
)
def test_targets(target: str, indices: list[int] | None, run: Run, model: Path, images: Path) -> None:
    result = run("explain", model, images / "0.png", "--json", "--target", target)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    expected = indices or [entry["index"] for entry in records[0]["top"][: int(target[3:])]]
    assert [record["target"]["index"] for record in records] == expected


def test_what_a_folder_holds_beside_images_is_counted_and_named(run: Run, model: Path, images: Path) -> None:
    for name in ("a.psd", "notes.txt", ".DS_Store", "Thumbs.db"):
        (images / name).touch()
    (images / "more").mkdir()
    (images / "2.png").rename(images / "2.jfif")
    os.symlink("gone.jpg", images / "3.jpg")
    result = run("explain", model, images, "--out", "out", "--method", "cam")
    assert result.exit_code == 1
    assert len(list(Path("out").glob("*.json"))) == 3
    assert re.search(
        r"images': skipped 2 files without an image's ending \(.*\): a.psd, notes.txt "
        r"and 1 folder \(search with a pattern such as '\*\*/\*.jpg'\): more\n",
        result.stderr,
    )
    assert "cannot read the image" in result.stderr
    assert "3.jpg': it is a link to 'gone.jpg', which does not exist" in result.stderr
    assert "1 of 4 images failed" in result.stderr
    quiet = run("explain", model, images, "--out", "out", "--method", "cam", "--quiet")
    assert "skipped" not in quiet.stderr
    (images / "3.jpg").unlink()
    compared = run("compare", model, images, "--methods", "cam", "-o", "a.png")
    assert "skipped 2 files" in compared.stderr


def fails_by_a_bug(monkeypatch: pytest.MonkeyPatch, where: str, error: Exception, only: str = "") -> None:
    """Let a function of the library raise what nobody foresaw."""
    module, name = where.rsplit(".", 1)
    original = getattr(importlib.import_module(module), name)

    def broken(*values: Any, **settings: Any) -> Any:
        if only in str(values):
            raise error
        return original(*values, **settings)

    monkeypatch.setattr(where, broken)


def test_an_error_that_nobody_foresaw_is_one_line(
    run: Run, model: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_by_a_bug(monkeypatch, "onnx_cam.load", KeyError("two\nlines"))
    one_line_error(
        run("layers", model), r"^onnx-cam: error: .*tiny.onnx: KeyError: 'two\\nlines'; this is a bug in onnx-cam"
    )
    one_line_error(run("explain", model, images), r"report it to the project, and run the command again with --debug")
    shown = run("layers", model, "--debug")
    assert shown.exit_code == 1
    assert "Traceback (most recent call last):" in shown.stderr
    assert "in broken" in shown.stderr
    assert re.search(r"KeyError: .*; this is a bug in onnx-cam: report it .* with the traceback above", shown.stderr)


def test_an_error_that_nobody_foresaw_at_one_image(
    run: Run, model: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other images go on."""
    fails_by_a_bug(monkeypatch, "onnx_cam.explain", ZeroDivisionError("division by zero"), "1.png")
    result = run("explain", model, images, "--out", "out", "--method", "cam", "--quiet")
    assert result.exit_code == 1
    assert len(list(Path("out").glob("*.json"))) == 2
    assert re.search(r"error: .*1.png: ZeroDivisionError: division by zero; this is a bug in onnx-cam", result.stderr)
    assert "1 of 3 images failed" in result.stderr
    shown = run("explain", model, images, "--out", "out", "--method", "cam", "--quiet", "--debug")
    assert shown.stderr.count("Traceback (most recent call last):") == 1


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (MemoryError("8 GiB"), r"error: .*1.png: out of memory: 8 GiB; try a smaller --batch-size"),
        (ModuleNotFoundError("No module named 'x'"), r"the installation is incomplete: No module named 'x'; install"),
        (PermissionError(13, "Permission denied", "f"), r"PermissionError: .*'f'; this is a bug"),
    ],
)
def test_errors_of_one_image(
    error: Exception, match: str, *, run: Run, model: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_by_a_bug(monkeypatch, "onnx_cam.explain", error, "1.png")
    result = run("explain", model, images, "--out", "out", "--method", "cam", "--quiet")
    assert result.exit_code == 1
    assert len(list(Path("out").glob("*.json"))) == 2
    assert re.search(match, result.stderr), result.stderr


def test_every_command_takes_debug() -> None:
    for name, command in main.commands.items():
        assert "--debug" in [option for parameter in command.params for option in parameter.opts], name


def test_one_bad_image_among_many(run: Run, model: Path, images: Path) -> None:
    (images / "1.png").write_bytes(b"no image")
    result = run("explain", model, images, "--json", "--quiet")
    assert result.exit_code == 1
    assert [Path(json.loads(line)["image"]).name for line in result.stdout.splitlines()] == ["0.png", "2.png"]
    assert "1.png' is not an image that can be read" in result.stderr
    assert "1 of 3 images failed" in result.stderr


def test_one_bad_name_among_many(run: Run, model: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("explain", model, "empty", "none*.png", images / "0.png", "missing.png", images / "2.png", "--json")
    assert result.exit_code == 1
    assert [Path(json.loads(line)["image"]).name for line in result.stdout.splitlines()] == ["0.png", "2.png"]
    assert result.stderr.count("error:") == 3
    assert "3 of 5 images failed" in result.stderr


def test_one_bad_network_input_among_many(run: Run, model: Path, tmp_path: Path) -> None:
    for name, size in (("a", tiny.SIZE), ("b", 10), ("c", tiny.SIZE)):
        np.save(tmp_path / f"{name}.npy", tiny.image(size=size))
    result = run("explain", model, "a.npy", "b.npy", "c.npy", "--preprocess", "none", "--json", "--quiet")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert "'b.npy' has shape (3, 10, 10)" in result.stderr


def test_a_name_that_is_no_utf8(run: Run, model: Path, images: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (images / "0.png").rename(images / name)
    result = run("explain", model, images / name, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["image"].endswith("caf\\xe9.png")


def test_layers_of_a_model_without_any(run: Run, tmp_path: Path) -> None:
    from onnx import helper

    nodes = [helper.make_node("Flatten", ["image"], ["a"]), helper.make_node("Gemm", ["a", "w"], ["y"])]
    weights = {"w": np.ones((1200, 4), np.float32)}
    proto = tiny.build(nodes, weights, image=["n", 3, 20, 20], outputs=[tiny.value_info("y", ["n", 4])])
    one_line_error(run("layers", tiny.save(proto, tmp_path, "mlp.onnx")), "mlp.onnx has no layer to explain")


def test_two_inputs_of_one_name_do_not_overwrite_each_other(run: Run, model: Path, images: Path) -> None:
    other = images.parent / "other"
    other.mkdir()
    (images / "1.png").rename(other / "0.png")
    result = run("explain", model, images / "0.png", other / "0.png", "--out", "out")
    assert result.exit_code == 0
    assert len(list(Path("out").iterdir())) == 6


def test_standard_input(run: Run, model: Path, images: Path) -> None:
    result = run("explain", model, "-", "--json", input=(images / "0.png").read_bytes())
    record = json.loads(result.stdout)
    assert record["image"] == "-"
    assert Path(record["files"]["map"]).name.startswith("stdin_")


def test_a_network_input_from_a_file(run: Run, model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", tiny.image())
    result = run("explain", model, "x.npy", "--preprocess", "none", "--json")
    assert json.loads(result.stdout)["preprocessing"]["name"] == "none"


def test_quiet_says_nothing_but_the_result(run: Run, model: Path, images: Path) -> None:
    assert run("explain", model, images / "0.png", "--quiet").stderr == ""


def test_an_empty_map_is_warned_of(run: Run, model: Path, images: Path) -> None:
    words = ["explain", model, images / "0.png", "--method", "sscam2", "--variant", "paper", "--sigma", "50"]
    results = [run(*words, "--target", str(t), "--samples", "1", "--score", "logit") for t in range(4)]
    empty = [r for r in results if "empty map" in r.stdout]
    assert empty
    for result in empty:
        assert result.exit_code == 0
        assert "the map is empty: no channel scored above the baseline; with sscam2 this means" in result.stderr


def test_layers(run: Run, model: Path) -> None:
    result = run("layers", model)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == ["relu2", "Relu", "6×5×5", "NCHW", "Relu_2", "default"]
    first = json.loads(run("layers", model, "--json").stdout.splitlines()[0])
    expected = {"name": "relu2", "op_type": "Relu", "shape": [6, 5, 5], "is_default": True}
    assert first == {**expected, "node": "Relu_2", "layout": "NCHW"}


def test_inspect(run: Run, model: Path) -> None:
    found = json.loads(run("inspect", model, "--json").stdout)
    assert found["labels"] == {"value": "4 names, 'cat' to 'fish'", "source": "the model's metadata, labels"}
    assert "no Softmax or Sigmoid before the output" in run("inspect", model).stdout


def test_export(run: Run, model: Path) -> None:
    result = run("export", model, "--layer", "Relu_1", "-o", "tapped.onnx")
    assert result.exit_code == 0
    assert "relu1 (6×10×10)" in result.stdout
    assert Path("tapped.onnx").is_file()


def test_check(run: Run) -> None:
    result = run("check")
    assert result.exit_code == 0
    assert re.search(r"cpu +CPUExecutionProvider +works", result.stdout)
    assert "onnxruntime" in result.stdout


def test_demo(run: Run) -> None:
    result = run("demo", "--out", "demo")
    assert result.exit_code == 0, result.stderr
    assert "cat (28" in result.stdout
    assert len(list(Path("demo").iterdir())) == 3


# --- bad input: one line, exit status 1


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "no model file 'bad.onnx'"),
        (b"", "is empty"),
        (b"text\n" * 100, "text that begins with 'text text .*', not a model"),
        (tiny.model().SerializeToString()[:-300], r"cut off after [\d,]+ bytes of at least [\d,]+: copy"),
        (b"\x20\x00\x00\x00ORTM" + bytes(64), r"\(.ort\)"),
    ],
)
def test_bad_models(content: bytes | None, match: str, run: Run, images: Path) -> None:
    if content is not None:
        Path("bad.onnx").write_bytes(content)
    for command in (("explain", "bad.onnx", images / "0.png"), ("layers", "bad.onnx"), ("inspect", "bad.onnx")):
        one_line_error(run(*command), match)
    one_line_error(run("export", "bad.onnx", "-o", "out.onnx"), match)
    assert not Path("onnx-cam-out").exists()
    assert not Path("out.onnx").exists()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--layer", "relu99"], "no tensor or node 'relu99' in tiny.onnx; did you mean 'relu2'"),
        (["--layer", "pooled"], "'pooled' in tiny.onnx cannot be explained"),
        (["--target", "4"], "no class 4; the model has 4 classes: expected 0 to 3"),
        (["--target", "horse"], "no class named 'horse'"),
        (["--target", "top9"], "has 4 classes"),
        (["--target", "9" * 5000], "no class 9999"),
        (["--labels", "none.txt"], "cannot read the labels 'none.txt'"),
        (["--labels", "imagenet"], r"1000 names at offset 0, but the model has 4 classes"),
        (["--preprocess", "none.json"], "cannot read the preprocessing"),
        (["--preprocess", "none"], "is not a .npy file"),
        (["--size", "32x32"], "takes images of 20×20"),
        (["--device", "openvino"], "needs OpenVINOExecutionProvider"),
        (["--device", "cuda:3"], "needs CUDAExecutionProvider|did not load"),
        (["--input", "img"], "no input 'img'"),
        (["--output", "score"], "no output 'score'"),
        (["--out", "models/tiny.onnx"], "cannot write to the folder"),
        (["--out", "/proc/none"], "cannot write to the folder"),
    ],
)
def test_bad_options(words: list[str], match: str, run: Run, model: Path, images: Path) -> None:
    one_line_error(run("explain", model, images / "0.png", "--quiet", *words), match)
    assert not Path("onnx-cam-out").exists()


@pytest.mark.parametrize("content", [None, b"", b"hello", "cut", "tiny", "large"])
def test_bad_images(content: bytes | str | None, run: Run, model: Path, images: Path) -> None:
    path = Path("bad.png")
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut":
        path.write_bytes((images / "0.png").read_bytes()[:900])
    elif content:
        Image.new("1", (1, 1) if content == "tiny" else (20_000, 20_000)).save(path)
    one_line_error(run("explain", model, path, "--quiet"), "bad.png")
    assert not Path("onnx-cam-out").exists()


# --- wrong usage: exit status 2, in click's own form


@pytest.mark.parametrize(
    "words",
    [
        ["--method", "scorcam"],
        ["--frobnicate"],
        ["--samples", "0", "--method", "sscam2"],
        ["--sigma", "-1", "--method", "sscam2"],
        ["--sigma", "nan", "--method", "sscam2"],
        ["--batch-size", "0"],
        ["--batch-size", "many"],
        ["--samples", "3"],
        ["--variant", "papr"],
        ["--variant", "torchcam", "--score", "probability"],
        ["--variant", "torchcam", "--baseline", "blur"],
        ["--size", "224"],
        ["--size", "0x10"],
        ["--seed", "-1"],
        ["--threads", "0"],
        ["--threads", "99999999999"],
        ["--batch-size", "9" * 5000],
        ["--size", "9" * 5000 + "x3"],
        ["--alpha", "2"],
        ["--alpha", "nan"],
        ["--samples", "100000000000", "--method", "sscam2"],
        ["--baseline", "blur", "--method", "sscam-max"],
        ["--colormap", "rainbows"],
        ["--device", "gpu"],
        ["--preprocess", "imagnet"],
        ["--target", "top0"],
        ["--target", ""],
        ["--label-offset", "-1"],
    ],
)
def test_wrong_usage(words: list[str], run: Run, images: Path) -> None:
    result = run("explain", "missing.onnx", images / "0.png", *words)  # judged before the model is looked for
    assert result.exit_code == 2, result.output
    assert "Usage:" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_usage_of_the_program(run: Run) -> None:
    assert run("explane").exit_code == 2
    assert run("explain").exit_code == 2
    assert run("export", "model.onnx").exit_code == 2


def test_long_names_that_differ_at_their_end_keep_their_results(run: Run, model: Path, images: Path) -> None:
    for i in range(2):
        (images / str(i)).mkdir()
        (images / f"{i}.png").rename(images / str(i) / ("x" * 120 + ".png"))
    result = run("explain", model, images / "0", images / "1", "--json", "--out", "out")
    assert result.exit_code == 0, result.output
    assert len(list(Path("out").iterdir())) == 6


def test_a_name_with_a_lines_end_stays_on_its_line(run: Run, model: Path) -> None:
    one_line_error(run("explain", model, "no\nsuch.png", "--quiet"), r"no image 'no\\nsuch.png'")


def test_standard_output_that_is_full_is_an_error(model: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    for words in (["layers", str(model)], ["--help"]):
        with open("/dev/full", "w") as full:
            command = [sys.executable, "-m", "onnx_cam", *words]
            result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert "No space left" in result.stderr


def test_standard_input_that_is_closed_is_an_error(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx_cam.errors import ImageError
    from onnx_cam.image.files import read_image

    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ImageError, match="standard input is closed"):
        read_image("-")


def test_an_interrupt_ends_with_130(run: Run, model: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx_cam, "explain", interrupted)
    result = run("explain", model, images / "0.png")
    assert result.exit_code == 130
    assert not Path("onnx-cam-out").exists()
