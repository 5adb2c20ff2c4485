"""The README as PyPI shows it.

PyPI has neither the repository's pages nor its pictures, so their links lead to the repository, at the version's tag.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)]+)\)")


def with_absolute_links(text: str, source: str, version: str) -> str:
    """Return Markdown whose links to files of the repository lead to its address `source`.

    Parameters
    ----------
    text : str
        The Markdown.
    source : str
        Address of the repository on GitHub.
    version : str
        Version whose tag the links lead to.

    Examples
    --------
    >>> source = "https://github.com/someone/onnx-cam"
    >>> with_absolute_links("[budgets](docs/budget.md)", source, "1.0")
    '[budgets](https://github.com/someone/onnx-cam/blob/v1.0/docs/budget.md)'
    >>> with_absolute_links("![a cat](docs/images/demo.png)", source, "1.0")
    '![a cat](https://raw.githubusercontent.com/someone/onnx-cam/v1.0/docs/images/demo.png)'
    """
    pictures = source.replace("github.com", "raw.githubusercontent.com")

    def lead_there(match: re.Match[str]) -> str:
        mark, words, path = match.groups()
        folder = f"{pictures}/v{version}" if mark else f"{source}/blob/v{version}"
        return f"{mark}[{words}]({folder}/{path})"

    return _LINK.sub(lead_there, text)


class ReadmeHook(MetadataHookInterface):
    """Fills in ``readme``, the only field of the metadata that is not written in ``pyproject.toml``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the text to the metadata."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = with_absolute_links(text, metadata["urls"]["Source"], metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
