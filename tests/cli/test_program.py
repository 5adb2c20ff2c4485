"""The program as it is installed, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import onnx_cam
from onnx_cam import metrics, names
from onnx_cam.cli.main import main
from onnx_cam.evaluation.datasets import formats
from onnx_cam.runtime import devices
from tests import tiny
from tests.places import ROOT


def program(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "onnx_cam", *words], capture_output=True, text=True, check=False)


def program_in(encoding: str, *words: str | Path) -> tuple[int, str, str]:
    """Run the program with its output in an encoding, and decode that strictly: no other byte comes out."""
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    words = tuple(map(str, words))
    ran = subprocess.run([sys.executable, "-m", "onnx_cam", *words], capture_output=True, env=environment, check=False)
    return ran.returncode, ran.stdout.decode(encoding), ran.stderr.decode(encoding)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / name for name in ("\u65e5\u672c.png", "na\u00efve \U0001f600.png", "plain.png")]
    for i, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (30, 40, 3), np.uint8)).save(path)
    return paths


@pytest.fixture
def named_model(tmp_path: Path) -> Path:
    names = ["\u65e5\u672c\u8a9e", "na\u00efve", "emoji \U0001f600", "d"]
    return tiny.save(tiny.model(metadata={"names": json.dumps(names)}), tmp_path)


ENCODINGS = ["ascii", "latin-1", "cp1252", "cp437", "cp932", "utf-16", "utf-8"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_output_in_any_encoding(encoding: str, named_model: Path, photos: list[Path], tmp_path: Path) -> None:
    """Nothing fails for want of a character, and no image is lost."""
    out = tmp_path / "out"
    words: tuple[str | Path, ...] = (
        "explain",
        named_model,
        *photos,
        "--target",
        "top4",
        "--method",
        "cam",
        "--out",
        out,
    )
    status, shown, said = program_in(encoding, *words)
    assert (status, len(list(out.glob("*.json")))) == (0, 12)
    assert "at layer relu2 (6" in shown
    assert "Traceback" not in said
    assert "preprocessing" in said
    status, shown, _ = program_in(encoding, *words, "--json", "--quiet")
    records = [json.loads(line) for line in shown.removeprefix("\ufeff").splitlines()]
    assert [record["image"] for record in records[::4]] == [str(path) for path in photos]  # escaped, and not replaced
    assert {record["target"]["label"] for record in records} == {
        "\u65e5\u672c\u8a9e",
        "na\u00efve",
        "emoji \U0001f600",
        "d",
    }


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252"])
@pytest.mark.parametrize("command", ["inspect", "layers", "--help"])
def test_tables_and_help_in_any_encoding(command: str, encoding: str, named_model: Path) -> None:
    words = ("explain", "--help") if command == "--help" else (command, named_model)
    status, shown, said = program_in(encoding, *words)
    assert (status, said) == (0, "")
    expected = {"inspect": "relu2", "layers": "6x5x5", "--help": "Scale sigma of the noise"}[command]
    if encoding == "cp437" and command == "--help":
        expected = "Scale \u03c3 of the noise"
    if encoding == "cp1252" and command == "layers":
        expected = "6\u00d75\u00d75"
    assert expected in shown


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_errors_in_any_encoding(encoding: str, named_model: Path, tmp_path: Path) -> None:
    status, shown, said = program_in(encoding, "explain", named_model, tmp_path / "\u65e5\u672c.png", "--quiet")
    assert (status, shown.removeprefix("\ufeff")) == (1, "")
    assert said.removeprefix("\ufeff").startswith("onnx-cam: error: no image '")


def test_an_error_is_one_line_of_the_program_itself(tmp_path: Path) -> None:
    """Nothing of ONNX Runtime's own logging, or of an image codec's, stands beside it."""
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    path = tiny.save(tiny.model(), tmp_path)
    result = program("explain", str(path), str(tmp_path / "bad.jpg"), "--out", str(tmp_path / "out"), "--quiet")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    proto = tiny.model()
    proto.graph.node[2].input[1] = "nowhere"
    broken = program("layers", str(tiny.save(proto, tmp_path)))
    assert broken.returncode == 1
    assert broken.stderr.count("\n") == 1
    assert "nowhere" in broken.stderr


def test_a_package_that_is_missing_is_one_line() -> None:
    code = "import sys; sys.modules['click'] = None; import runpy; runpy.run_module('onnx_cam', run_name='__main__')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("onnx-cam: error: the installation is incomplete: ")
    assert ran.stderr.count("\n") == 1


def test_help_loads_nothing_heavy() -> None:
    heavy = ("numpy", "onnx", "onnxruntime", "cv2", "rich")
    code = f"import sys, onnx_cam.cli.main; print(*(m for m in {heavy} if m in sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def test_the_names_that_the_command_line_offers_are_the_librarys() -> None:
    """`names` is free of imports, so that --help need not import NumPy."""
    assert tuple(onnx_cam.METHODS) == names.METHODS
    assert tuple(metrics.METRICS) == names.METRICS
    explanations = {name: cls.explanations for name, cls in metrics.METRICS.items()}
    assert explanations == {**dict.fromkeys(names.METRICS_OF_ALL, 0), **names.METRIC_EXPLANATIONS}
    assert tuple(onnx_cam.PRESETS) == names.PRESETS
    assert tuple(devices.DEVICES) == names.DEVICES
    assert tuple(known.kind for known in formats.FORMATS) == names.DATASET_KINDS
    options = {o.name: o for o in main.commands["explain"].params}
    assert options["method"].type.choices == names.METHODS  # type: ignore[attr-defined]


def test_every_option_of_explain_is_a_keyword_of_the_library() -> None:
    """Whatever the command line can do, ``import onnx_cam`` can do."""
    import inspect

    keywords = {
        *inspect.signature(onnx_cam.explain).parameters,
        *inspect.signature(onnx_cam.load).parameters,
        *inspect.signature(onnx_cam.Explanation.save).parameters,
    }
    renamed = {"input_name": "input", "output_name": "output", "out": "folder", "images": "image", "saved": "error"}
    printing = {"as_json", "quiet", "debug"}
    options = {renamed.get(str(o.name), str(o.name)) for o in main.commands["explain"].params} - printing
    assert options <= keywords


def test_a_clone_runs_without_being_installed() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    shown = subprocess.run(
        [sys.executable, "cli.py", "--version"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert onnx_cam.__version__ in shown.stdout
