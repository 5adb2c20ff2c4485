"""The site is built without a warning, and what the build makes is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import onnx_cam
from docs.site.gallery import steps
from docs.site.links import check_links
from onnx_cam import errors
from onnx_cam.classifier.run_cache import OFF
from tests.documents import PAGES, title
from tests.places import ROOT

DOCS = ROOT / "docs"
GALLERY = (DOCS / "gallery.md").read_text(encoding="utf-8")
PICTURES = re.findall(r"!\[[^\]]+\]\((gallery/[^)]+)\)", GALLERY)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as ``make docs`` does, the gallery's pictures and the notebook's outputs included."""
    if not all(map(find_spec, ("sphinx", "myst_nb", "numpydoc", "pydata_sphinx_theme"))):
        pytest.skip("the extra docs is not installed")
    folder = tmp_path_factory.mktemp("docs") / "html"
    environment = {name: value for name, value in os.environ.items() if name != OFF} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "docs.site", "-o", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_every_page_is_built_and_no_link_is_broken(site: Path) -> None:
    built = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert {path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES} <= built
    assert {"tour", "repository/contributing", "repository/benchmarks", "repository/changelog"} <= built
    assert check_links(site).broken == []


def test_the_reference_has_every_public_name(site: Path) -> None:
    entries = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    names = {line.split()[0] for line in zlib.decompress(entries).decode().splitlines()}
    assert {f"onnx_cam.{name}" for name in onnx_cam.__all__ if name != "OnnxCamError"} <= names
    public_errors = {name for name in errors.__all__ if name.endswith("Error")}
    assert {f"onnx_cam.errors.{name}" for name in public_errors} <= names


def test_the_commands_of_the_gallery_made_its_pictures(site: Path) -> None:
    assert len(PICTURES) >= 12
    newest = max(path.stat().st_mtime for path in site.rglob("index.html"))
    for name in PICTURES:
        with Image.open(DOCS / name) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert min(pixels.shape[:2]) > 100
        assert pixels.std() > 10
        assert newest - (DOCS / name).stat().st_mtime < 3600, f"{name} was there before"


def test_the_notebook_shows_its_results(site: Path) -> None:
    page = (site / "tour.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png') + page.count('src="_images/') >= 6
    assert "Traceback" not in page
    assert "relative error" in page


def test_formulas_are_mathml(site: Path) -> None:
    page = (site / "methods.html").read_text(encoding="utf-8")
    assert page.count("<math ") > 30
    assert "ReLU" in page
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="(?:https?:)?//', page)  # nothing from elsewhere


def test_llms_txt_leads_to_the_sources_of_the_pages(site: Path) -> None:
    text = (site / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# onnx-cam\n\n> onnx-cam shows which pixels")
    entries = re.findall(r"^- \[(.+)\]\((.+)\): (.+)$", text, flags=re.MULTILINE)
    assert {f"_sources/{path.stem}.md" for path in DOCS.glob("*.md")} - {"_sources/index.md"} <= {e[1] for e in entries}
    for name, target, summary in entries:
        assert (site / target).is_file(), name
        assert len(summary) > 15


# --------------------------------------------------------------------------------------------------------------------
# What can be told without a build.


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads((DOCS / "tour.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 7
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_every_page_is_in_the_navigation() -> None:
    listed: set[str] = set()
    for index in (DOCS / "index.md", DOCS / "api" / "index.md"):
        for tree in re.findall(r"```\{toctree\}\n((?:.+\n|\n)*?)```", index.read_text(encoding="utf-8")):
            folder = index.parent.relative_to(DOCS)
            listed |= {(folder / line).as_posix() for line in tree.splitlines() if line and not line.startswith(":")}
    assert {Path(title(path)).relative_to("docs").with_suffix("").as_posix() for path in PAGES} - listed == {"index"}


def test_the_gallery_makes_each_picture_that_it_shows() -> None:
    made = " ".join(content for _, content in steps(GALLERY))
    for name in PICTURES:
        assert Path(name).name in made, name


def test_a_broken_link_a_missing_anchor_and_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#there">b</a> <a href="c.html">c</a></p>')
    (tmp_path / "b.html").write_text('<a href="a.html#here">a</a> <img src="missing.png">')
    links = check_links(tmp_path)
    assert links.broken == ["a.html: b.html#there", "a.html: c.html", "b.html: missing.png"]
    assert links.pages == 2
