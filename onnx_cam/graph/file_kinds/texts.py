"""Texts: web pages, error messages of servers, and models written as text."""

from __future__ import annotations

import codecs
import re

from onnx_cam.errors import one_line_text
from onnx_cam.graph.file_kinds.advice import EXPORT, ORIGINAL

__all__ = ["text_kind"]

_MAX_QUOTED = 60  # characters
_PROLOGUE = r"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*"
_PAGE = re.compile(rf"{_PROLOGUE}<(!doctype\s+html|html|head|body|script)\b", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_MODELS = (
    # (a pattern for the beginning, what the file is and what to do)
    (rf"{_PROLOGUE}<net\s", f"an OpenVINO model (.xml): {ORIGINAL}"),
    (r"ir_version:\s*\d", "an ONNX model as protobuf text: convert it with onnx.load and onnx.save"),
    (r"<\s*ir_version:\s*\d", "an ONNX model as text: convert it with onnx.parser.parse_model and onnx.save"),
    (r'\{\s*"(irVersion|producerName)"', "an ONNX model as JSON: convert it with onnx.load and onnx.save"),
    (r'\{.*?"format"\s*:\s*"(graph|layers)-model"', f"a TensorFlow.js model: {EXPORT}"),
)


def text_kind(head: bytes) -> str | None:
    """Return what a text is, and what to do; None for files that are no text.

    Parameters
    ----------
    head : bytes
        The file's first bytes.

    Examples
    --------
    >>> text_kind(b"404: Not Found")
    "text that begins with '404: Not Found', not a model: download or copy the file itself"
    """
    text = _as_text(head)
    if not text:
        return None
    if _PAGE.match(text):
        title = _TITLE.search(text)
        quoted = f" ({one_line_text(title[1])[:_MAX_QUOTED]!r})" if title else ""
        return f"a web page{quoted}, not a model: download the file itself, not the page that shows it"
    for pattern, kind in _MODELS:
        if re.match(pattern, text, re.DOTALL):
            return kind
    what = "JSON" if text[0] in "[{" else "XML" if text[0] == "<" else "text"
    beginning = one_line_text(text)[:_MAX_QUOTED]
    return f"{what} that begins with {beginning!r}, not a model: download or copy the file itself"


def _as_text(head: bytes) -> str | None:
    """Return bytes as text without the white space around it; None where they are none."""
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)  # the last character may be cut off
    except UnicodeDecodeError:
        return None
    return text.strip() if all(c.isprintable() or c in "\t\r\n\f" for c in text) else None
