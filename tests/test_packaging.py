"""What users install."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import onnx_cam
from onnx_cam.image.configurations.yaml_subset import parse_yaml
from tests.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_written_in_three_places_that_agree() -> None:
    citation = parse_yaml((ROOT / "CITATION.cff").read_text(encoding="utf-8"), str)
    assert isinstance(citation, dict)
    assert PROJECT["version"] == citation["version"] == onnx_cam.__version__


def test_citation_and_metadata_say_the_same() -> None:
    citation = parse_yaml((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert isinstance(citation, dict)
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Source"]
    assert citation["abstract"].removesuffix(".") == PROJECT["description"]
    assert citation["title"] == PROJECT["name"]


def test_the_core_is_light_and_the_extras_are_those_promised() -> None:
    core = " ".join(PROJECT["dependencies"])
    assert not any(heavy in core for heavy in ("torch", "onnxruntime", "scikit", "matplotlib", "opencv-python>"))
    assert "jinja2>=3.1" in core  # the comparison's page is a template
    extras = {"cpu", "gpu", "torch", "report", "heic", "ray", "serve", "demo", "docs", "dev"}
    assert set(PROJECT["optional-dependencies"]) == extras
    dev = PROJECT["optional-dependencies"]["dev"]
    assert "torch==2.13.0" in dev
    assert "onnx-cam[demo,docs,heic,report,serve]" in dev


def test_only_the_gradients_import_torch() -> None:
    gradients = ROOT / "onnx_cam" / "gradients"
    for path in sorted((ROOT / "onnx_cam").rglob("*.py")):
        lines = path.read_text().splitlines()
        imports = [line for line in lines if line.strip().startswith(("import torch", "from torch"))]
        assert not imports or path.is_relative_to(gradients), path


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, onnx_cam, onnx_cam.cli.main, onnx_cam.explanation.explaining; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_without_torch_the_gradients_name_the_extra() -> None:
    code = "import sys; sys.modules['torch'] = None; import onnx_cam.gradients"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "MissingExtraError" in run.stderr
    assert "pip install 'onnx-cam[torch]'" in run.stderr


LAYERS: list[set[str]] = [
    {"__init__", "__main__"},
    {"cli"},
    {"demo", "server", "builds"},
    {"evaluation"},
    {"metrics", "comparison"},
    {"explanation"},
    {"methods"},
    {"budget", "classifier"},
    {"gradients"},
    {"runtime"},
    {"image"},
    {"graph"},
    {"files", "drawing"},
    {"errors", "names", "_version"},
]
"""The rooms of the package, the upper floors first: a room imports from its own folder and from the floors below."""

PACKAGE = ROOT / "onnx_cam"


def rooms() -> set[str]:
    """Every folder and every loose module of the package."""
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    return folders | {path.stem for path in PACKAGE.glob("*.py")}


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a file imports, late imports and those for types included."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "onnx_cam")
    return {name.removeprefix("onnx_cam.") for name in modules if name.startswith("onnx_cam.")}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_has_its_floor() -> None:
    assert set.union(*LAYERS) == rooms()


def test_imports_go_down_and_never_up() -> None:
    floor = {room: i for i, layer in enumerate(LAYERS) for room in layer}
    public = set(onnx_cam.__all__) | {"evaluation"}
    for path in sorted(PACKAGE.rglob("*.py")):
        own = room_of(path)
        for name in imports_of(path):
            room = name.split(".")[0]
            if own == "__init__" or (own in ("cli", "demo", "evaluation") and name in public):
                continue
            assert room == own or floor[room] > floor[own], f"{path} imports {name}"


def test_drawing_knows_nothing_of_models() -> None:
    for path in (PACKAGE / "drawing").glob("*.py"):
        assert {name.split(".")[0] for name in imports_of(path)} <= {"drawing", "errors", "names"}, path


def test_no_two_modules_import_each_other() -> None:
    """Imports inside functions and those for types alone count as well."""
    modules = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    graph = {name: {other for other in imports_of(path) if other in modules} - {name} for name, path in modules.items()}
    settled: set[str] = set()
    while ready := {name for name, others in graph.items() if name not in settled and others <= settled}:
        settled |= ready
    assert set(graph) == settled, f"in a circle, or behind one: {sorted(set(graph) - settled)}"


def test_no_module_is_called_like_a_public_function() -> None:
    """Else importing it would put the module in the function's place."""
    functions = {name for name in onnx_cam.__all__ if inspect.isfunction(getattr(onnx_cam, name))}
    assert {"explain", "load"} <= functions
    names = {part.removesuffix(".py") for path in PACKAGE.rglob("*") for part in path.relative_to(PACKAGE).parts}
    assert not functions & names


def test_public_functions_stay_functions_when_every_module_is_imported() -> None:
    for module in pkgutil.walk_packages(onnx_cam.__path__, "onnx_cam."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in onnx_cam.__all__:
        assert not inspect.ismodule(getattr(onnx_cam, name)), name
