"""Writes ``llms.txt``: the pages of the site, with a line on each, for programs that read documentation.

Each entry leads to the page's Markdown, which Sphinx copies beside the HTML. Its line is how the page begins.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

__all__ = ["setup"]

_SENTENCES = re.compile(r"^.{60,}?[.?](?=\s|$)|^.+[.?]$")
"""The first sentence of a paragraph; of a short one, also the next."""


def _summary(document: nodes.document) -> str:
    for paragraph in document.findall(nodes.paragraph):
        if match := _SENTENCES.match(" ".join(paragraph.astext().split())):
            return match[0]
    return ""


def _write(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.name != "html":
        return
    environment = app.env
    index = environment.get_doctree(environment.config.root_doc)
    lines = [f"# {app.config.project}", "", f"> {_summary(index)}"]
    for tree in index.findall(addnodes.toctree):
        lines += ["", f"## {tree['caption']}", ""]
        for _, name in tree["entries"]:
            title = environment.titles[name].astext()
            suffix = Path(environment.doc2path(name)).suffix
            summary = _summary(environment.get_doctree(name))
            lines.append(f"- [{title}](_sources/{name}{suffix}): {summary}")
    (Path(app.outdir) / "llms.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Write the file when the site is built."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
