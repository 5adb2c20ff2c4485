"""A comparison as a web page: one file that loads nothing from elsewhere and runs no script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx_cam.comparison.captions import (
    Row,
    class_and_score,
    classes_of_rows,
    cost,
    count_methods,
    image_name,
    label_and_score,
    method_name,
    method_settings,
    model_and_layer,
)
from onnx_cam.comparison.grid import draw_picture, draw_thumbnail
from onnx_cam.drawing.canvas import Pixels
from onnx_cam.drawing.overlay import encode_png
from onnx_cam.drawing.templates import make_environment
from onnx_cam.errors import one_line_text
from onnx_cam.explanation.result import Explanation

__all__ = ["write_page"]

_TEMPLATE = "page.html.jinja"


@dataclass(frozen=True)
class _Picture:
    """An image element: a PNG file's content, its size in pixels, and what it shows in words."""

    png: bytes
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class _ImageCell:
    """The first cell of a row: the image as given, and the classes that the model predicts, the most likely first."""

    picture: _Picture
    name: str
    classes: Sequence[str]


@dataclass(frozen=True)
class _MapCell:
    """A cell with a method's map, and the lines of its caption."""

    picture: _Picture
    method: str
    target: str
    cost: str
    state: str
    is_empty: bool
    notes: Sequence[str]


@dataclass(frozen=True)
class _PageRow:
    """The cells of one image and one class: the image itself, then a map for each method."""

    image: _ImageCell
    maps: Sequence[_MapCell]


def write_page(rows: Sequence[Row], record: Mapping[str, Any], *, alpha: float, colormap: str, side: int) -> str:
    """Return a comparison as HTML.

    Parameters
    ----------
    rows : sequence of sequence of Explanation
        All of the same length, the number of methods.
    record : mapping
        How the comparison was made, as plain JSON values.
    alpha : float
        Opacity of the maps' colours, in [0, 1].
    colormap : str
        One of `onnx_cam.names.COLORMAPS`.
    side : int
        The longest side of a picture, in pixels.

    Examples
    --------
    >>> import onnx_cam
    >>> comparison = onnx_cam.compare("model.onnx", "cat.jpg", methods="scorecam,cam")
    >>> page = write_page(comparison.rows, comparison.record(), alpha=0.5, colormap="turbo", side=320)
    >>> "<h1>2 methods on 1 image</h1>" in page
    True
    """
    images = len({id(row[0].pixels) for row in rows})  # rows of one image share its pixels

    def map_cell(explanation: Explanation, classes: int) -> _MapCell:
        return _map_cell(explanation, draw_thumbnail(explanation, side, alpha=alpha, colormap=colormap), classes)

    page = (
        make_environment("comparison")
        .get_template(_TEMPLATE)
        .render(
            title=f"{_count(count_methods(rows[0]), 'method')} on {_count(images, 'image')}",
            side=side,
            about=model_and_layer(rows[0][0]),
            columns=[one_line_text(f"{method_name(e)} {method_settings(e)}") for e in rows[0]],
            rows=[
                _PageRow(_image_cell(row[0], side), [map_cell(explanation, classes) for explanation in row])
                for row, classes in zip(rows, classes_of_rows(rows), strict=True)
            ],
            facts=[(one_line_text(name), one_line_text(value)) for name, value in _facts(rows, record)],
            has_errors=any(explanation.precision for row in rows for explanation in row),
            record=json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False),
        )
    )
    return page.lstrip()


def _image_cell(explanation: Explanation, side: int) -> _ImageCell:
    name = image_name(explanation)
    classes = ["".join(label_and_score(explanation, target)) for target in explanation.top[:3]]
    picture = _picture(draw_picture(explanation, side), f"{name}, as given; the model predicts {classes[0]}")
    return _ImageCell(picture, name, classes)


def _map_cell(explanation: Explanation, thumbnail: Pixels, classes: int) -> _MapCell:
    method = one_line_text(method_name(explanation))
    target = "".join(class_and_score(explanation))
    kind = "Empty map" if explanation.empty else "Map"
    return _MapCell(
        picture=_picture(thumbnail, f"{kind} by {method} on {image_name(explanation)}, class {target}"),
        method=method,
        target=target,
        cost="".join(cost(explanation, classes)),
        state=one_line_text(explanation.state),
        is_empty=explanation.empty,
        notes=[one_line_text(note) for note in (explanation.precision, *explanation.warnings) if note],
    )


def _picture(pixels: Pixels, alt: str) -> _Picture:
    height, width = pixels.shape[:2]
    return _Picture(encode_png(pixels), width, height, one_line_text(alt))


def _facts(rows: Sequence[Row], record: Mapping[str, Any]) -> list[tuple[str, str]]:
    first = rows[0][0]
    providers = dict.fromkeys(explanation.provider for row in rows for explanation in row)
    preprocessing = first.preprocessing
    return [
        ("model", first.record()["model"]),
        ("SHA-256", first.model_sha256),
        ("layer", f"{first.layer}, {'×'.join(map(str, first.layer_shape))}"),
        ("preprocessing", f"{preprocessing.get('name')}: {preprocessing.get('source', '')}"),
        ("provider", ", ".join(providers)),
        ("seed", str(first.seed)),
        *((method_name(e), _parameters(e)) for e in rows[0]),
        *((f"{name}, left out", reason) for name, reason in record["left_out"].items()),
        ("versions", ", ".join(f"{name} {version}" for name, version in first.versions.items())),
    ]


def _parameters(explanation: Explanation) -> str:
    return ", ".join(f"{name} {'none' if value is None else value}" for name, value in explanation.parameters.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
