"""The page and its files: read once, and served from memory, so that no request names a path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from starlette.responses import Response

from onnx_cam._version import __version__
from onnx_cam.drawing.templates import make_environment
from onnx_cam.server.fields import IMAGE

__all__ = ["PageFile", "page_files"]

_FOLDER = "server/static"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page.

    Attributes
    ----------
    content : bytes
    media_type : str
    """

    content: bytes
    media_type: str

    def response(self) -> Response:
        """Return it as a response that a browser asks for again after an update."""
        tag = hashlib.sha256(self.content).hexdigest()[:16]
        headers = {"Cache-Control": "no-cache", "ETag": f'"{tag}"'}
        return Response(self.content, media_type=self.media_type, headers=headers)


def page_files() -> dict[str, PageFile]:
    """Return the page, ``page.html``, and the scripts, styles and pictures that it loads, by their names."""
    page = make_environment(_FOLDER).get_template("page.html.jinja").render(version=__version__, image_field=IMAGE)
    found = {"page.html": PageFile(page.encode(), "text/html")}
    for file in sorted(files("onnx_cam").joinpath(_FOLDER).iterdir(), key=lambda one: one.name):
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _TYPES:
            found[file.name] = PageFile(file.read_bytes(), _TYPES[suffix])
    return found
