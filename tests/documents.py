"""The documents, and the commands and the Python that are in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.places import ROOT

__all__ = ["DOCUMENTS", "PAGES", "block_lines", "blocks", "command_lines", "inline_code", "steps", "title"]

MADE = {"_build", "gallery", "repository"}
"""Folders of `docs/` that the build of the site makes."""

PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if not MADE & set(path.relative_to(ROOT / "docs").parent.parts)
]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *PAGES,
    *(ROOT / folder / "README.md" for folder in ("benchmarks", "exporters")),
]


def title(path: Path) -> str:
    """Return what a test of a document is called by."""
    return str(path.relative_to(ROOT))


def blocks(text: str, language: str = "") -> list[str]:
    """Return the fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def block_lines(text: str) -> list[str]:
    """Return the lines of the code blocks, each with its continuations."""
    fenced = "\n".join(blocks(text, r"\w*"))
    indented = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    return re.sub(r"\\\n\s*", "", f"{fenced}\n{indented}").splitlines()


def inline_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def command_lines(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the words of every command line of this project, from ``onnx-cam`` or ``python -m`` on."""
    for line in lines:
        for part in line.split("&&"):
            words = shlex.split(part, comments=True) if re.search(r"\bonnx-cam |python -m ", part) else []
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # environment variables
                del words[0]
            if words[:1] == ["onnx-cam"] or words[:2] == ["python", "-m"]:
                yield words


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a page has its reader do, in its order: ``("python", block)`` or ``("command", line)``."""
    language, block = "", ""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        fence = re.match(r" {0,4}```(\w*)", line)
        if fence and not language:
            language, block = fence[1] or "plain", ""
        elif fence:
            if language == "python":
                yield "python", block
            language = ""
        elif language in ("", "plain", "sh") and (language or line.startswith("    ")):
            yield "command", line.strip()
        else:
            block += f"{line}\n"
