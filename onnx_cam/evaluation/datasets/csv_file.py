"""A CSV file of images, labels and boxes."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onnx_cam.errors import DatasetError, one_line
from onnx_cam.evaluation.datasets.annotation_file import check_count, quoted, read_box, read_text, valid_boxes
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.classes import ClassList, Label, image_label, read_label
from onnx_cam.evaluation.datasets.image_paths import ImagePaths
from onnx_cam.evaluation.datasets.sample import Dataset, Sample

__all__ = ["is_csv", "read_csv", "read_rows", "word_groups"]

_DELIMITERS = (",", ";", "\t")
_EDGES = ("x0", "y0", "x1", "y1")
_COLUMNS = ("file", "label", "boxes", *_EDGES)

Row = tuple[int, dict[str, str]]
"""The number of a line, and its fields by the name of their column."""


def is_csv(path: str) -> bool:
    """Tell whether a path is a CSV file.

    Examples
    --------
    >>> is_csv("photos.csv")
    True
    """
    return os.path.isfile(path) and path.lower().endswith((".csv", ".tsv"))


def read_rows(path: str) -> tuple[list[str], Iterator[Row]]:
    """Return a CSV file's column names in lower case, and its rows with the number of their line.

    The separator is the comma, semicolon or tab that the first line has most of.

    Raises
    ------
    DatasetError
        The file is unreadable or damaged, or a row has more or fewer fields than the first line.

    Examples
    --------
    >>> columns, rows = read_rows("photos.csv")
    >>> columns
    ['file', 'label', 'x0', 'y0', 'x1', 'y1']
    >>> next(rows)
    (2, {'file': 'cat.jpg', 'label': 'cat', 'x0': '8', 'y0': '4', 'x1': '35', 'y1': '27'})
    """
    text = read_text(path).lstrip("\r\n")
    first_line = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=first_line.count))
    columns = [name.strip().casefold() for name in _next_fields(reader, path) or []]
    if repeated := [name for name in columns if name and columns.count(name) > 1]:
        raise DatasetError(f"'{path}', line 1: the column {quoted(repeated[0])} is listed twice; list each column once")
    return columns, _rows(reader, columns, path)


def _rows(reader: Iterator[list[str]], columns: list[str], path: str) -> Iterator[Row]:
    while (fields := _next_fields(reader, path)) is not None:
        line = reader.line_num  # type: ignore[attr-defined]
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(columns):
            raise DatasetError(f"'{path}', line {line}: {len(fields)} fields; expected {len(columns)}, as in line 1")
        yield line, dict(zip(columns, (field.strip() for field in fields), strict=True))


def _next_fields(reader: Iterator[list[str]], path: str) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        line = reader.line_num  # type: ignore[attr-defined]
        raise DatasetError(f"'{path}', line {line}: damaged CSV: {one_line(error)}; correct that line") from None


@dataclass(frozen=True)
class _Entry:
    """A row, read and checked."""

    path: str
    name: str
    label: Label
    boxes: tuple[Box, ...]
    where: str


def read_csv(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read ``file,label,boxes`` or ``file,label,x0,y0,x1,y1``. Boxes are pixels, both ends included.

    Parameters
    ----------
    path : str
    images : str or None
        The folder of the images, where they do not lie beside the file.
    classes : ClassList or None

    Raises
    ------
    DatasetError

    Examples
    --------
    >>> read_csv("photos.csv", None, None).samples[0].boxes
    (Box(x0=8.0, y0=4.0, x1=36.0, y1=28.0, label=None),)
    """
    columns, rows = read_rows(path)
    if "file" not in columns or len(set(_EDGES) & set(columns)) not in (0, len(_EDGES)):
        raise DatasetError(
            f"'{path}', line 1: the columns are {quoted(', '.join(columns))}; expected file,label,boxes or "
            "file,label,x0,y0,x1,y1"
        )
    paths = ImagePaths(os.path.dirname(path) or ".", images)
    # The entries of each image, without those that say the same again.
    by_name: dict[str, dict[tuple[Label, tuple[Box, ...]], _Entry]] = {}
    repeated = 0
    for line, row in rows:
        entry = _entry(row, f"'{path}', line {line}", paths, classes)
        of_image = by_name.setdefault(entry.name, {})
        repeated += (entry.label, entry.boxes) in of_image
        of_image[entry.label, entry.boxes] = entry
        check_count(len(by_name), path)
    if not by_name:
        raise DatasetError(f"'{path}' has only a first line; expected a line for each image or box")
    paths.check(len(by_name), path)
    samples = tuple(_joined(list(entries.values())) for entries in by_name.values())
    return Dataset(path, "csv", samples, classes.names if classes else None, _notes(columns, repeated))


def _notes(columns: list[str], repeated: int) -> tuple[str, ...]:
    unread = [name for name in columns if name not in _COLUMNS]
    notes = [f"columns that are not read: {quoted(', '.join(unread))}"] if unread else []
    if repeated:
        notes.append(f"{repeated} repeated rows were counted once")
    return tuple(notes)


def _entry(row: dict[str, str], where: str, paths: ImagePaths, classes: ClassList | None) -> _Entry:
    path, name = paths.find([row["file"]], where)
    where = f"{where} ({quoted(name)})"
    edges = [row.get(edge, "") for edge in _EDGES]
    corners = [read_box(edges, where, as_text=True)] if any(edges) else []
    corners += _cell_boxes(row.get("boxes", ""), where)
    boxes = valid_boxes((Box(x0, y0, x1 + 1, y1 + 1) for x0, y0, x1, y1 in corners), where)
    return _Entry(path, name, read_label(row.get("label"), classes, where), boxes, where)


def _cell_boxes(text: str, where: str) -> list[tuple[float, float, float, float]]:
    """Return the boxes of a cell: JSON, or numbers with spaces between them."""
    if text.casefold() in ("", "null", "none"):
        return []
    if not text.startswith("["):
        return [read_box(words, where, as_text=True) for words in word_groups(text, 4, where)]
    try:
        boxes = json.loads(text)
    except (ValueError, RecursionError):
        boxes = None
    if not isinstance(boxes, list):
        raise DatasetError(f"{where}: the boxes {quoted(text)} are not valid JSON; expected [[x0, y0, x1, y1], …]")
    return [read_box(box, where) for box in (boxes if not boxes or isinstance(boxes[0], list) else [boxes])]


def word_groups(text: str, length: int, where: str) -> list[list[str]]:
    """Return a text's words in groups of a length.

    Examples
    --------
    >>> word_groups("1 2 3 4", 2, "'photos.csv', line 2")
    [['1', '2'], ['3', '4']]
    """
    words = text.split()
    if len(words) % length:
        raise DatasetError(f"{where}: {quoted(text)} has {len(words)} words; expected {length} for each box")
    return [words[i : i + length] for i in range(0, len(words), length)]


def _joined(entries: list[_Entry]) -> Sample:
    """Return the sample of an image's rows; each box keeps its row's label where the rows have several."""
    first = entries[0]
    boxes = tuple(box for entry in entries for box in entry.boxes)
    labels = dict.fromkeys(entry.label for entry in entries if entry.label is not None)
    if len(labels) <= 1:
        return Sample(first.path, first.name, next(iter(labels), None), boxes)
    if unboxed := [entry for entry in entries if not entry.boxes]:
        raise DatasetError(f"{unboxed[0].where}: the image has {len(labels)} labels; expected one, or a box for each")
    boxes = tuple(replace(box, label=entry.label) for entry in entries for box in entry.boxes)
    return Sample(first.path, first.name, image_label(boxes), boxes)
