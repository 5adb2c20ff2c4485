"""Makes each picture of a page a link to itself, so that it opens at its full size."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

__all__ = ["setup"]


def _link_pictures(app: Sphinx, document: nodes.document, name: str) -> None:
    if app.builder.format != "html":
        return
    to_root = "../" * name.count("/")
    for image in list(document.findall(nodes.image)):
        if image["uri"] not in app.env.images or isinstance(image.parent, nodes.reference):
            continue
        place = f"{to_root}{app.builder.imagedir}/{app.env.images[image['uri']][1]}"
        link = nodes.reference("", "", refuri=place, internal=True, classes=["picture"])
        image.replace_self(link)
        link += image


def setup(app: Sphinx) -> ExtensionMetadata:
    """Wrap the pictures when a page is about to be written."""
    app.connect("doctree-resolved", _link_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
