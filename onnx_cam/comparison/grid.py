"""A comparison as a picture: a row for each image and class, a column for each method."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.comparison.captions import Row, about, cost, image_name, label_and_rest, method_name, settings, sharing
from onnx_cam.drawing.overlay import draw_overlay
from onnx_cam.errors import SettingError
from onnx_cam.explanation.result import Explanation

__all__ = ["Layout", "check_side", "draw_grid", "draw_picture", "draw_thumbnail", "lay_out"]

Pixels = NDArray[np.uint8]

_SIDES = (64, 2048)
_MARGIN, _GAP = 24, 18
_CAPTION_LINES = 6
_CUT = 300  # characters of a label that are looked at: no line holds more

_ALIKE = {"×": "x", "–": "-", "—": "-", "ß": "ss", "ø": "o", "æ": "ae"}
_TEXT, _FAINT, _ALARM = (17, 24, 39), (85, 92, 104), (185, 28, 28)  # each 6:1 or better on white
_BACKGROUND = (255, 255, 255)


@dataclass(frozen=True)
class Layout:
    """Where everything is, in pixels.

    Attributes
    ----------
    rows, columns : int
        The first column holds the images as given.
    width, height : int
        Of a cell's picture.
    text : int
        The text's size; `line` is the distance from one line to the next.
    """

    rows: int
    columns: int
    width: int
    height: int
    text: int

    @property
    def line(self) -> int:
        """The distance from one line of text to the next."""
        return round(self.text * 1.4)

    @property
    def size(self) -> tuple[int, int]:
        """The whole picture's ``(width, height)``."""
        x, y = self.corner(self.rows, self.columns)
        return x - _GAP + _MARGIN, y - _GAP + _MARGIN

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Return ``(x, y)`` of the upper left corner of a cell, its picture on top and its caption below."""
        caption = _CAPTION_LINES * self.line + self.text // 2
        heading = 2 * self.line
        return (
            _MARGIN + column * (self.width + _GAP),
            _MARGIN + heading + row * (self.height + caption + _GAP),
        )


def check_side(side: int) -> None:
    """Check the longest side of a cell's picture.

    Raises
    ------
    SettingError
    """
    low, high = _SIDES
    if isinstance(side, bool) or not isinstance(side, int | np.integer) or not low <= side <= high:
        raise SettingError(f"side={side!r}; expected a whole number of pixels from {low} to {high}")


def lay_out(rows: Sequence[Row], side: int) -> Layout:
    """Return the layout of a grid: all cells take the largest picture, and the text at least."""
    shapes = [_scaled(row[0].pixels.shape, side) for row in rows]
    text = max(11, round(side * 15 / 320))
    width = max(*(shape[1] for shape in shapes), 13 * text)
    return Layout(len(rows), len(rows[0]) + 1, width, max(shape[0] for shape in shapes), text)


def draw_grid(rows: Sequence[Row], *, alpha: float, colormap: str, side: int) -> Pixels:
    """Draw a comparison.

    Parameters
    ----------
    rows : sequence of sequence of Explanation
        All of one length, the number of methods.
    alpha, colormap
        As for an overlay.
    side : int
        The longest side of a cell's picture, in pixels.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB
    """
    from PIL import Image, ImageDraw

    layout = lay_out(rows, side)
    canvas = Image.new("RGB", layout.size, _BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    heading = _shorten(about(rows[0][0]), "", _font(layout.text), layout.size[0] - 2 * _MARGIN)
    pen.text((_MARGIN, _MARGIN), heading, _FAINT, font=_font(layout.text))
    for i, (row, classes) in enumerate(zip(rows, sharing(rows), strict=True)):
        _draw_cell(canvas, layout, (i, 0), draw_picture(row[0], side), _image_caption(row[0]))
        for j, explanation in enumerate(row):
            picture = draw_thumbnail(explanation, side, alpha=alpha, colormap=colormap)
            place = (i, j + 1)
            _draw_cell(canvas, layout, place, picture, _map_caption(explanation, classes), alarm=explanation.empty)
    return np.asarray(canvas)


def draw_picture(explanation: Explanation, side: int) -> Pixels:
    """Return the image as given, its longest side `side` pixels."""
    picture: Pixels = _resize(explanation.pixels, *_scaled(explanation.pixels.shape, side))
    return picture


def draw_thumbnail(explanation: Explanation, side: int, *, alpha: float, colormap: str) -> Pixels:
    """Return the overlay, its longest side `side` pixels."""
    image = draw_picture(explanation, side)
    height, width = image.shape[:2]
    scale_y, scale_x = height / explanation.geometry.height, width / explanation.geometry.width
    x0, y0, x1, y1 = explanation.crop
    left, top = min(round(x0 * scale_x), width - 1), min(round(y0 * scale_y), height - 1)
    crop = left, top, max(round(x1 * scale_x), left + 1), max(round(y1 * scale_y), top + 1)
    heat = np.clip(
        _resize(explanation.geometry.place(explanation.cam), height, width), 0, 1
    )  # kept nowhere: it is large
    return draw_overlay(image, heat, crop, alpha=alpha, colormap=colormap, empty=explanation.empty)


Line = tuple[str, str, tuple[int, int, int], bool]
"""What may be cut, what may not, the colour, and whether it is a title."""


def _image_caption(explanation: Explanation) -> list[Line]:
    top = [(*label_and_rest(target), _FAINT, False) for target in explanation.top[:3]]
    return [(image_name(explanation), "", _TEXT, True), *((*top[0][:2], _TEXT, False), *top[1:])]


def _map_caption(explanation: Explanation, classes: int) -> list[Line]:
    state = explanation.state
    return [
        (method_name(explanation), "", _TEXT, True),
        (*label_and_rest(explanation.target), _TEXT, False),
        (cost(explanation, classes), "", _FAINT, False),
        (state.upper() if explanation.empty else state, "", _ALARM if explanation.empty else _FAINT, False),
        *((line, "", _FAINT, False) for line in (explanation.precision, settings(explanation)) if line),
    ]


def _draw_cell(
    canvas: Any, layout: Layout, place: tuple[int, int], picture: Pixels, caption: list[Line], *, alarm: bool = False
) -> None:
    from PIL import Image, ImageDraw

    x, y = layout.corner(*place)
    height, width = picture.shape[:2]
    left, top = x, y + layout.height - height  # its caption stands close below
    canvas.paste(Image.fromarray(picture), (left, top))
    pen = ImageDraw.Draw(canvas)
    if alarm:
        pen.rectangle((left, top, left + width - 1, top + height - 1), outline=_ALARM, width=3)
    for i, (text, rest, colour, is_title) in enumerate(caption):
        font = _font(round(layout.text * 1.15) if is_title else layout.text)
        line = _shorten(text, rest, font, layout.width)
        where = (x, y + layout.height + layout.text // 2 + i * layout.line)
        pen.text(where, line, colour, font=font)


def _shorten(text: str, rest: str, font: Any, width: int) -> str:
    """Return a line that fits, an ellipsis in place of what was cut off before `rest`."""
    drawable = _drawable(text[:_CUT])
    if len(text) <= _CUT and font.getlength(drawable + rest) <= width:
        return drawable + rest
    while drawable and font.getlength(drawable + "…" + rest) > width:
        drawable = drawable[:-1].rstrip()
    return drawable + "…" + rest


def _drawable(text: str) -> str:
    """Return a text in the letters that the font has: é as e, and a question mark where nothing is alike."""
    return "".join(c if _has_glyph(c) else _ALIKE.get(c) or _plain(c) or "?" for c in text)


def _plain(character: str) -> str:
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()


@cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


@cache
def _has_glyph(character: str) -> bool:
    """Whether Pillow's own font has the character: it holds ASCII and little else."""
    return character.isascii() or (character.isprintable() and _shape(character) != _shape("\U0010fffd"))


@cache
def _shape(character: str) -> bytes:
    from PIL import Image, ImageDraw

    drawn = Image.new("L", (48, 48))
    ImageDraw.Draw(drawn).text((4, 4), character, 255, font=_font(24))
    return drawn.tobytes()


def _scaled(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return ``(height, width)``, the longer one `side`."""
    longest = max(shape[:2])
    return max(1, round(shape[0] * side / longest)), max(1, round(shape[1] * side / longest))


def _resize(array: Any, height: int, width: int) -> Any:
    import cv2

    shrinks = height * width < array.shape[0] * array.shape[1]
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
