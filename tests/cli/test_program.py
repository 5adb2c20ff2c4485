"""The program as it is installed, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx_cam
from onnx_cam import metrics, names
from onnx_cam.cli.main import main
from onnx_cam.evaluation.datasets import formats
from onnx_cam.runtime import devices
from tests import tiny
from tests.places import ROOT


def program(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "onnx_cam", *words], capture_output=True, text=True, check=False)


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


def test_help_loads_nothing_heavy() -> None:
    heavy = ("numpy", "onnx", "onnxruntime", "cv2", "rich")
    code = f"import sys, onnx_cam.cli.main; print(*(m for m in {heavy} if m in sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def test_the_names_that_the_command_line_offers_are_the_librarys() -> None:
    """`names` is free of imports, so that --help need not import NumPy."""
    assert tuple(onnx_cam.METHODS) == names.METHODS
    assert tuple(metrics.METRICS) == names.METRICS
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
    printing = {"as_json", "quiet"}
    options = {renamed.get(str(o.name), str(o.name)) for o in main.commands["explain"].params} - printing
    assert options <= keywords


def test_a_clone_runs_without_being_installed() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    shown = subprocess.run(
        [sys.executable, "cli.py", "--version"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert onnx_cam.__version__ in shown.stdout
