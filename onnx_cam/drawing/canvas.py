"""What every picture and page shares: colours, lettering, resizing, and bytes as a data URI."""

from __future__ import annotations

import base64
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

__all__ = [
    "ALARM",
    "BACKGROUND",
    "FAINT",
    "TEXT",
    "Colour",
    "Pixels",
    "data_uri",
    "drawable",
    "fit_line",
    "load_font",
    "resize",
]

Pixels = NDArray[np.uint8]
"""An image ``(H, W, 3)``, uint8, RGB."""

Colour = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

Number = TypeVar("Number", np.uint8, np.float32)

BACKGROUND: Colour = (255, 255, 255)

# The contrast of each with the background is 6:1 or better.
TEXT: Colour = (17, 24, 39)
FAINT: Colour = (85, 92, 104)
ALARM: Colour = (185, 28, 28)

_LONGEST_LINE = 300  # characters of a text that are measured: no line of a picture holds more
_LOOKALIKES = {"×": "x", "–": "-", "—": "-", "ß": "ss", "ø": "o", "æ": "ae"}
_MISSING = "\U0010fffd"  # a private-use character: the font draws its box for missing characters


def resize(image: NDArray[Number], height: int, width: int) -> NDArray[Number]:
    """Return an image or a map at another size: averaged where it shrinks, bilinear where it grows.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8 or float32
    height, width : int
        The new size, in pixels.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, 3)
        Of the same dtype.

    Examples
    --------
    >>> resize(np.zeros((30, 40, 3), np.uint8), 15, 20).shape
    (15, 20, 3)
    """
    import cv2

    shrinks = height * width < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, image.dtype)


@cache
def load_font(size: int) -> Font:
    """Return the font of all pictures, which Pillow brings along, at a size in pixels.

    Examples
    --------
    >>> load_font(15).getlength("wider") > load_font(12).getlength("wider")
    True
    """
    from PIL import ImageFont

    return ImageFont.load_default(size)


def fit_line(text: str, rest: str, font: Font, width: int) -> str:
    """Return ``text + rest`` as a line that can be drawn and fits a width.

    Where both together are too long, `text` is cut and ends in an ellipsis; `rest` stays whole.

    Parameters
    ----------
    text : str
        What may be cut, of any length: a class's name, for example.
    rest : str
        What must be readable, e.g. the class's score.
    font : Font
        See :func:`load_font`.
    width : int
        In pixels.

    Examples
    --------
    >>> fit_line("tabby", " (281)", load_font(15), 200)
    'tabby (281)'
    >>> fit_line("a label that goes on and on", " (281)", load_font(15), 120).endswith("… (281)")
    True
    """
    line, rest = drawable(text[:_LONGEST_LINE]), drawable(rest)
    if len(text) <= _LONGEST_LINE and font.getlength(line + rest) <= width:
        return line + rest
    while line and font.getlength(line + "…" + rest) > width:
        line = line[:-1].rstrip()
    return line + "…" + rest


def drawable(text: str) -> str:
    """Return a text in the characters that the font has.

    Others become what looks like them, é becomes e, or a question mark.

    Examples
    --------
    >>> drawable("café, 3–5 × 鳥")
    'cafe, 3-5 x ?'
    """
    return "".join(c if _has_glyph(c) else _LOOKALIKES.get(c) or _without_accents(c) or "?" for c in text)


def _without_accents(character: str) -> str:
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()


@cache
def _has_glyph(character: str) -> bool:
    """Whether the font has a character: it holds ASCII and little more."""
    return character.isascii() or (character.isprintable() and _glyph(character) != _glyph(_MISSING))


@cache
def _glyph(character: str) -> bytes:
    """Return the pixels that the font draws for a character."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (48, 48))
    ImageDraw.Draw(canvas).text((4, 4), character, 255, font=load_font(24))
    return canvas.tobytes()


def data_uri(content: bytes, media_type: str) -> str:
    """Return bytes as a URI that a page can hold, so that it needs no second file.

    Parameters
    ----------
    content : bytes
        The file's content.
    media_type : str
        Its type, e.g. ``image/png``.

    Examples
    --------
    >>> data_uri(b"abc", "text/plain")
    'data:text/plain;base64,YWJj'
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
