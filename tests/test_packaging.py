"""What users install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import onnx_cam

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_wheel_holds_the_package_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"onnx_cam", f"onnx_cam-{onnx_cam.__version__}.dist-info"}
    assert "onnx_cam/py.typed" in names
    assert "onnx_cam/imagenet_classes.txt" in names
    assert "onnx_cam/catalogue.toml" in names
    assert "onnx_cam/evaluation/report/report.html.jinja" in names
    assert "onnx_cam/evaluation/report/report.css.jinja" in names
    assert {f"onnx_cam/evaluation/survey/page.{suffix}" for suffix in ("html", "css", "js")} <= set(names)
    assert not [name for name in names if name.endswith((".onnx", ".pth", ".png", ".jpg"))]


def test_the_version_is_written_once_more_and_agrees() -> None:
    assert PROJECT["version"] == onnx_cam.__version__


def test_the_core_is_light_and_the_extras_are_those_promised() -> None:
    core = " ".join(PROJECT["dependencies"])
    assert not any(
        heavy in core for heavy in ("torch", "onnxruntime", "scikit", "matplotlib", "jinja2", "opencv-python>")
    )
    assert set(PROJECT["optional-dependencies"]) == {"cpu", "gpu", "torch", "report", "ray", "demo", "dev"}
    dev = PROJECT["optional-dependencies"]["dev"]
    assert "torch==2.13.0" in dev
    assert "onnx-cam[demo,report]" in dev


def test_only_the_gradients_import_torch() -> None:
    gradients = ROOT / "onnx_cam" / "gradients"
    for path in sorted((ROOT / "onnx_cam").rglob("*.py")):
        lines = path.read_text().splitlines()
        imports = [line for line in lines if line.strip().startswith(("import torch", "from torch"))]
        assert not imports or path.is_relative_to(gradients), path


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, onnx_cam, onnx_cam.cli, onnx_cam.explain; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_without_torch_the_gradients_name_the_extra() -> None:
    code = "import sys; sys.modules['torch'] = None; import onnx_cam.gradients"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "MissingExtraError" in run.stderr
    assert "pip install 'onnx-cam[torch]'" in run.stderr


LAYERS = [
    *(
        "cli",
        "cli_evaluation",
        "cli_survey",
        "cli_options",
        "demo",
        "compare",
        "comparison",
        "comparison_page",
        "comparison_grid",
        "comparison_captions",
    ),
    *("evaluation", "explain", "methods", "loading", "classifier", "gradients", "budget", "runtime", "graph", "errors"),
]
"""Imports go one way: from left to right."""


def test_imports_go_one_way() -> None:
    for rank, layer in enumerate(LAYERS):
        above = LAYERS[:rank]
        place = ROOT / "onnx_cam" / layer
        for path in [place.with_suffix(".py")] if place.with_suffix(".py").exists() else sorted(place.rglob("*.py")):
            for line in path.read_text().splitlines():
                words = line.split()
                if words[:1] in (["from"], ["import"]) and words[1].startswith("onnx_cam."):
                    assert words[1].split(".")[1] not in above, f"{path}: {line}"
