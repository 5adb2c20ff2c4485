"""Pages of the site that lie elsewhere in the repository, and links between them and those in `docs/`.

A link in `docs/` leads to the file itself (``../benchmarks/README.md``), so that it works in a clone, too. Before the
build, each of these files is copied into `docs/repository/`, with its links adapted to its new place.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

__all__ = ["ROOT", "setup"]

ROOT = Path(__file__).resolve().parents[2]
_COPIES = ROOT / "docs" / "repository"
_FILES = ("CONTRIBUTING.md", "CHANGELOG.md", "exporters/README.md", "benchmarks/README.md", "benchmarks/results/*.md")
_RESULTS = """
```{toctree}
:hidden:
:glob:

benchmarks/results/*
```
"""
"""Sphinx wants every page in a list of pages; these are reached from the table of the benchmarks."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def _copied() -> dict[PurePosixPath, PurePosixPath]:
    """Return where each file is copied to; both are relative to the root of the repository."""
    paths = [path.relative_to(ROOT) for pattern in _FILES for path in sorted(ROOT.glob(pattern))]
    return {PurePosixPath(path): PurePosixPath("docs/repository") / _page(path) for path in paths}


def _page(path: Path) -> str:
    """Return the address of a copy: the name of its folder where the file itself is a README."""
    name = path.parent if path.stem == "README" else path.with_suffix("")
    return f"{name.as_posix().lower()}.md"


def _adapt(text: str, original: PurePosixPath, page: PurePosixPath) -> str:
    """Return a page's text with links that lead on from the place where the page is built."""
    copies = _copied()

    def adapt(link: re.Match[str]) -> str:
        picture, words, target, anchor = link[1], link[2], link[3], link[4] or ""
        path = PurePosixPath(os.path.normpath(original.parent / target))
        if not (ROOT / path).exists():
            return link[0]  # the build reports it
        place = copies.get(path, path)
        if place.parts[0] != "docs":
            return words  # a program: it is in the repository, but not on the site
        return f"{picture}[{words}]({os.path.relpath(place, page.parent)}{anchor})"

    return _LINK.sub(adapt, text)


def _write_copies(_app: Sphinx) -> None:
    for original, page in _copied().items():
        text = _adapt((ROOT / original).read_text(encoding="utf-8"), original, page)
        text += _RESULTS if original.parts[0] == "benchmarks" and original.stem == "README" else ""
        place = ROOT / page
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file() or place.read_text(encoding="utf-8") != text:
            place.write_text(text, encoding="utf-8")


def _adapt_source(app: Sphinx, name: str, source: list[str]) -> None:
    path = PurePosixPath("docs") / PurePosixPath(Path(app.env.doc2path(name)).relative_to(app.srcdir))
    if path.suffix == ".md" and not (ROOT / path).is_relative_to(_COPIES):
        source[0] = _adapt(source[0], path, path)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Copy the files before the documents are listed, and adapt links as documents are read."""
    app.connect("builder-inited", _write_copies)
    app.connect("source-read", _adapt_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
