"""Output in any encoding: characters that a terminal or a pipe cannot show are replaced."""

from __future__ import annotations

import codecs
import io
import sys

__all__ = ["prepare_streams", "showable"]

_HANDLER = "onnx-cam-replace"
_REPLACEMENTS = str.maketrans(
    {
        "×": "x",
        "−": "-",
        "–": "-",
        "—": "-",
        "·": ".",
        "…": "...",
        "⊙": "*",
        "Σ": "sum ",
        "α": "alpha",
        "σ": "sigma",
        "²": "^2",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "\N{NO-BREAK SPACE}": " ",
    }
)
"""The characters of our own messages. Others, those of names, become question marks."""


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_REPLACEMENTS)
    return "".join(character if character.isascii() else "?" for character in text), error.end


codecs.register_error(_HANDLER, _replace)


def prepare_streams() -> None:
    """Let standard output and standard error replace what their encoding does not have, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.closed:
            stream.reconfigure(errors=_HANDLER)


def showable(text: str, encoding: str | None) -> str:
    """Return a text as an encoding can show it.

    Examples
    --------
    >>> showable("σ of 7×7 maps − café", "ascii")
    'sigma of 7x7 maps - caf?'
    >>> showable("7×7 café", "utf-8")
    '7×7 café'
    """
    try:
        return text.encode(encoding or "ascii", _HANDLER).decode(encoding or "ascii")
    except LookupError:  # an encoding that Python does not know
        return showable(text, "ascii")
