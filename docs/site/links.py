"""Checks the built site's links: every page, file and anchor that a page leads to must be there."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["Links", "check_links"]


@dataclass(frozen=True)
class Links:
    """What the pages of a site lead to.

    Attributes
    ----------
    broken : list of str
        A line for each link that leads nowhere.
    external : list of str
        The addresses on other sites, sorted. They are not fetched.
    pages : int
    """

    broken: list[str]
    external: list[str]
    pages: int


@dataclass
class _Page(HTMLParser):
    """The anchors of a page, and the links on it."""

    text: str
    anchors: set[str] = field(default_factory=set)
    targets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        own = {"a": "href", "img": "src", "link": "href", "script": "src", "source": "src"}.get(tag)
        if own in values:
            self.targets.append(values[own])


def check_links(site: Path) -> Links:
    """Follow every link of every page.

    Parameters
    ----------
    site : Path
        The folder of the built site.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "index.html").write_text('<a href="#top">up</a> <a href="https://onnxruntime.ai">out</a>')
    >>> links = check_links(folder)
    >>> links.broken, links.external
    (['index.html: #top'], ['https://onnxruntime.ai'])
    """
    site = site.resolve()
    pages = {
        path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html")) if _is_page(path, site)
    }
    broken: list[str] = []
    external: set[str] = set()
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                external |= {target} if parts.scheme.startswith("http") else set()
                continue
            place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = place / "index.html" if place.is_dir() else place
            anchor = unquote(parts.fragment)
            if not place.is_file() or (anchor and place in pages and anchor not in pages[place].anchors):
                broken.append(f"{path.relative_to(site)}: {target}")
    return Links(broken, sorted(external), len(pages))


def _is_page(path: Path, site: Path) -> bool:
    """Tell pages from the theme's own files and from downloads, whose names begin with ``_``."""
    return not path.relative_to(site).parts[0].startswith("_")
