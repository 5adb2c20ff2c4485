"""A comparison as a picture: a row for each image and class, a column for each method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_cam.comparison.captions import (
    Row,
    class_and_score,
    classes_of_rows,
    cost,
    image_name,
    label_and_score,
    method_name,
    method_settings,
    model_and_layer,
)
from onnx_cam.drawing.canvas import (
    ALARM,
    BACKGROUND,
    FAINT,
    TEXT,
    Colour,
    Pixels,
    drawable,
    fit_line,
    load_font,
    resize,
)
from onnx_cam.drawing.overlay import draw_overlay
from onnx_cam.errors import SettingError
from onnx_cam.explanation.result import Explanation

if TYPE_CHECKING:
    from PIL import Image

    from onnx_cam.drawing.canvas import Font

__all__ = ["Layout", "check_side", "draw_grid", "draw_picture", "draw_thumbnail", "lay_out"]

_SMALLEST_SIDE, _LARGEST_SIDE = 64, 2048
_MARGIN, _GAP = 24, 18
_CAPTION_LINES = 6  # method, class, cost, specificity, relative error, settings
_FRAME = 3  # width of an empty map's frame, in pixels


@dataclass(frozen=True)
class _Line:
    """A line of a caption. Where it does not fit, `rest` moves to a second line if `wraps`; else `text` is cut."""

    text: str
    rest: str = ""
    colour: Colour = FAINT
    is_title: bool = False
    wraps: bool = False


@dataclass(frozen=True)
class Layout:
    """Where the cells of a grid are. All lengths are in pixels.

    Attributes
    ----------
    rows, columns : int
        The first column holds the images as given.
    width, height : int
        Size of the place for a cell's picture.
    text : int
        Size of the font.
    caption_lines : int
        Number of lines below each picture.

    Examples
    --------
    >>> layout = Layout(rows=1, columns=2, width=320, height=240, text=15)
    >>> layout.size
    (706, 463)
    >>> layout.corner(0, 1)
    (362, 66)
    """

    rows: int
    columns: int
    width: int
    height: int
    text: int
    caption_lines: int = _CAPTION_LINES

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
        """Return ``(x, y)`` of the upper left corner of a cell: its picture, and its caption below."""
        caption = self.caption_lines * self.line + self.text // 2
        heading = 2 * self.line
        return (
            _MARGIN + column * (self.width + _GAP),
            _MARGIN + heading + row * (self.height + caption + _GAP),
        )


def check_side(side: int) -> None:
    """Check the longest side of a cell's picture, in pixels.

    Raises
    ------
    SettingError
        It is not a whole number, or out of range.

    Examples
    --------
    >>> check_side(320)
    >>> check_side(3)
    Traceback (most recent call last):
    onnx_cam.errors.SettingError: side=3; expected a whole number of pixels from 64 to 2048
    """
    is_integer = isinstance(side, int | np.integer) and not isinstance(side, bool)
    if not is_integer or not _SMALLEST_SIDE <= side <= _LARGEST_SIDE:
        raise SettingError(f"side={side!r}; expected a whole number of pixels from {_SMALLEST_SIDE} to {_LARGEST_SIDE}")


def lay_out(rows: Sequence[Row], side: int) -> Layout:
    """Return the layout of a grid: every cell has room for the largest picture, and for a line of text.

    Parameters
    ----------
    rows : sequence of sequence of Explanation
        All of the same length, the number of methods.
    side : int
        The longest side of a cell's picture, in pixels.

    Examples
    --------
    >>> import onnx_cam
    >>> rows = onnx_cam.compare("model.onnx", ["cat.jpg", "dog.jpg"], methods="scorecam,cam").rows
    >>> lay_out(rows, 320)
    Layout(rows=2, columns=3, width=320, height=240, text=15, caption_lines=6)
    """
    shapes = [_fit(row[0].pixels.shape, side) for row in rows]  # (height, width) of each image's picture
    text = max(11, round(side * 15 / 320))
    width = max(*(shape[1] for shape in shapes), 13 * text)
    captions = [
        _wrap(_map_caption(explanation, classes), text, width)
        for row, classes in zip(rows, classes_of_rows(rows), strict=True)
        for explanation in row
    ]
    return Layout(
        rows=len(rows),
        columns=len(rows[0]) + 1,
        width=width,
        height=max(shape[0] for shape in shapes),
        text=text,
        caption_lines=max(_CAPTION_LINES, *map(len, captions)),
    )


def draw_grid(rows: Sequence[Row], *, alpha: float, colormap: str, side: int) -> Pixels:
    """Draw a comparison.

    Parameters
    ----------
    rows : sequence of sequence of Explanation
        All of the same length, the number of methods.
    alpha : float
        Opacity of the maps' colours, in [0, 1].
    colormap : str
        One of `onnx_cam.names.COLORMAPS`.
    side : int
        The longest side of a cell's picture, in pixels.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Examples
    --------
    >>> import onnx_cam
    >>> rows = onnx_cam.compare("model.onnx", "cat.jpg", methods="scorecam,cam").rows
    >>> draw_grid(rows, alpha=0.5, colormap="turbo", side=320).shape
    (463, 1044, 3)
    """
    from PIL import Image, ImageDraw

    # The heading: the model and the layer, which are the same for all maps.
    layout = lay_out(rows, side)
    canvas = Image.new("RGB", layout.size, BACKGROUND)
    font = load_font(layout.text)
    heading = fit_line(model_and_layer(rows[0][0]), "", font, layout.size[0] - 2 * _MARGIN)
    ImageDraw.Draw(canvas).text((_MARGIN, _MARGIN), heading, FAINT, font=font)

    # Each row: the image as given, then the overlay of each method's map.
    for i, (row, classes) in enumerate(zip(rows, classes_of_rows(rows), strict=True)):
        _draw_cell(canvas, layout, (i, 0), draw_picture(row[0], side), _image_caption(row[0]))
        for j, explanation in enumerate(row, 1):
            thumbnail = draw_thumbnail(explanation, side, alpha=alpha, colormap=colormap)
            caption = _map_caption(explanation, classes)
            _draw_cell(canvas, layout, (i, j), thumbnail, caption, is_framed=explanation.empty)
    return np.asarray(canvas)


def draw_picture(explanation: Explanation, side: int) -> Pixels:
    """Return the image as given, its longest side `side` pixels.

    Examples
    --------
    >>> import onnx_cam
    >>> draw_picture(onnx_cam.explain("model.onnx", "cat.jpg"), 320).shape
    (240, 320, 3)
    """
    return resize(explanation.pixels, *_fit(explanation.pixels.shape, side))


def draw_thumbnail(explanation: Explanation, side: int, *, alpha: float, colormap: str) -> Pixels:
    """Return the overlay of a map, its longest side `side` pixels.

    Examples
    --------
    >>> import onnx_cam
    >>> explanation = onnx_cam.explain("model.onnx", "cat.jpg")
    >>> draw_thumbnail(explanation, 320, alpha=0.5, colormap="turbo").shape
    (240, 320, 3)
    """
    image = draw_picture(explanation, side)
    height, width = image.shape[:2]
    crop = explanation.geometry.scaled(height, width).crop
    full_size = explanation.geometry.place(explanation.cam)  # not `explanation.map`, which would keep it in memory
    heat = np.clip(resize(full_size, height, width), 0, 1)
    return draw_overlay(image, heat, crop, alpha=alpha, colormap=colormap, empty=explanation.empty)


def _image_caption(explanation: Explanation) -> list[_Line]:
    classes = [label_and_score(explanation, target) for target in explanation.top[:3]]
    return [
        _Line(image_name(explanation), colour=TEXT, is_title=True),
        _Line(*classes[0], colour=TEXT),
        *(_Line(*label) for label in classes[1:]),
    ]


def _map_caption(explanation: Explanation, classes: int) -> list[_Line]:
    method, variant, *limits = method_name(explanation).split(":")
    relative_error, parenthesis, interval = explanation.precision.partition(" (")
    caption = [
        _Line(f"{method}:{variant}", "".join(f":{limit}" for limit in limits), TEXT, is_title=True, wraps=True),
        _Line(*class_and_score(explanation), TEXT),
        _Line(*cost(explanation, classes), wraps=True),
        _Line(explanation.state.upper(), colour=ALARM) if explanation.empty else _Line(explanation.state),
        _Line(relative_error, parenthesis + interval, wraps=True),
        _Line(method_settings(explanation)),
    ]
    return [line for line in caption if line.text]


def _draw_cell(
    canvas: Image.Image,
    layout: Layout,
    place: tuple[int, int],
    picture: Pixels,
    caption: Sequence[_Line],
    *,
    is_framed: bool = False,
) -> None:
    from PIL import Image, ImageDraw

    x, y = layout.corner(*place)
    height, width = picture.shape[:2]
    top = y + layout.height - height  # a picture that is less high stands at the bottom, close to its caption
    canvas.paste(Image.fromarray(picture), (x, top))
    pen = ImageDraw.Draw(canvas)
    if is_framed:
        pen.rectangle((x, top, x + width - 1, top + height - 1), outline=ALARM, width=_FRAME)
    for i, line in enumerate(_wrap(caption, layout.text, layout.width)):
        corner = (x, y + layout.height + layout.text // 2 + i * layout.line)
        font = _font(line, layout.text)
        pen.text(corner, fit_line(line.text, line.rest, font, layout.width), line.colour, font=font)


def _wrap(caption: Sequence[_Line], text_size: int, width: int) -> list[_Line]:
    """Return a caption in which each line that wraps, and does not fit into `width` pixels, has become two."""
    lines: list[_Line] = []
    for line in caption:
        is_too_long = _font(line, text_size).getlength(drawable(line.text + line.rest)) > width
        if line.wraps and line.rest and is_too_long:
            lines += [replace(line, rest=""), replace(line, text=line.rest.lstrip(" ·:"), rest="")]
        else:
            lines.append(line)
    return lines


def _font(line: _Line, text_size: int) -> Font:
    return load_font(round(text_size * 1.15) if line.is_title else text_size)


def _fit(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return ``(height, width)`` with the same aspect ratio, the longer one `side`."""
    longest = max(shape[:2])
    return max(1, round(shape[0] * side / longest)), max(1, round(shape[1] * side / longest))
