"""A CSV file of images, labels and boxes."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onnx_cam.errors import DatasetError, one_line
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.classes import ClassList, Label, as_label, image_label
from onnx_cam.evaluation.datasets.content import check_count, checked, coordinates, quoted, read_text
from onnx_cam.evaluation.datasets.places import Places
from onnx_cam.evaluation.datasets.sample import Dataset, Sample

__all__ = ["groups", "is_table", "read_table", "rows_of"]

_DELIMITERS = (",", ";", "\t")
_EDGES = ("x0", "y0", "x1", "y1")
_KNOWN = ("file", "label", "boxes", *_EDGES)

Row = tuple[int, dict[str, str]]


def is_table(path: str) -> bool:
    """Tell whether a path is a CSV file."""
    return os.path.isfile(path) and path.lower().endswith((".csv", ".tsv"))


def rows_of(path: str) -> tuple[list[str], Iterator[Row]]:
    """Return a CSV file's column names in small letters, and its rows with their line.

    The separator is the comma, semicolon or tab that the first line has most of.

    Raises
    ------
    DatasetError
        Unreadable, no CSV, or a row with more or fewer fields than the first line.
    """
    text = read_text(path).lstrip("\r\n")
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=first.count))
    columns = [name.strip().casefold() for name in _next(reader, path) or []]
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise DatasetError(f"'{path}', line 1: the column {quoted(twice[0])} is listed twice; list each column once")
    return columns, _rows(reader, columns, path)


def _rows(reader: Iterator[list[str]], columns: list[str], path: str) -> Iterator[Row]:
    while (fields := _next(reader, path)) is not None:
        line = reader.line_num  # type: ignore[attr-defined]
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(columns):
            raise DatasetError(f"'{path}', line {line}: {len(fields)} fields; expected {len(columns)}, as in line 1")
        yield line, dict(zip(columns, (field.strip() for field in fields), strict=True))


def _next(reader: Iterator[list[str]], path: str) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        line = reader.line_num  # type: ignore[attr-defined]
        raise DatasetError(f"'{path}', line {line}: damaged CSV: {one_line(error)}; mend that line") from None


@dataclass(frozen=True)
class _Entry:
    """A row as it is understood."""

    path: str
    name: str
    label: Label
    boxes: tuple[Box, ...]
    where: str


def read_table(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read ``file,label,boxes`` or ``file,label,x0,y0,x1,y1``; boxes are pixels, both ends included."""
    columns, rows = rows_of(path)
    if "file" not in columns or len(set(_EDGES) & set(columns)) not in (0, len(_EDGES)):
        raise DatasetError(
            f"'{path}', line 1: the columns are {quoted(', '.join(columns))}; expected file,label,boxes or "
            "file,label,x0,y0,x1,y1"
        )
    places = Places(os.path.dirname(path) or ".", images)
    by_name: dict[str, dict[tuple[Label, tuple[Box, ...]], _Entry]] = {}
    repeated = 0
    for line, row in rows:
        entry = _entry(row, f"'{path}', line {line}", places, classes)
        known = by_name.setdefault(entry.name, {})
        repeated += (entry.label, entry.boxes) in known
        known[entry.label, entry.boxes] = entry
        check_count(len(by_name), path)
    if not by_name:
        raise DatasetError(f"'{path}' has a first line alone; expected a line for each image or box")
    places.check(len(by_name), path)
    samples = tuple(_joined(list(entries.values())) for entries in by_name.values())
    return Dataset(path, "csv", samples, classes.names if classes else None, _notes(columns, repeated))


def _notes(columns: list[str], repeated: int) -> tuple[str, ...]:
    unread = [name for name in columns if name not in _KNOWN]
    notes = [f"columns that are not read: {quoted(', '.join(unread))}"] if unread else []
    if repeated:
        notes.append(f"{repeated} repeated rows were counted once")
    return tuple(notes)


def _entry(row: dict[str, str], where: str, places: Places, classes: ClassList | None) -> _Entry:
    path, name = places.find([row["file"]], where)
    where = f"{where} ({quoted(name)})"
    edges = [row.get(edge, "") for edge in _EDGES]
    found = [coordinates(edges, where, as_text=True)] if any(edges) else []
    found += _boxes(row.get("boxes", ""), where)
    boxes = checked((Box(x0, y0, x1 + 1, y1 + 1) for x0, y0, x1, y1 in found), where)
    return _Entry(path, name, as_label(row.get("label"), classes, where), boxes, where)


def _boxes(text: str, where: str) -> list[tuple[float, float, float, float]]:
    """Return the boxes of a cell: JSON, or numbers with spaces between them."""
    if text.casefold() in ("", "null", "none"):
        return []
    if not text.startswith("["):
        return [coordinates(words, where, as_text=True) for words in groups(text, 4, where)]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise DatasetError(f"{where}: the boxes {quoted(text)} are no JSON; expected [[x0, y0, x1, y1], …]")
    return [coordinates(box, where) for box in (found if not found or isinstance(found[0], list) else [found])]


def groups(text: str, length: int, where: str) -> list[list[str]]:
    """Return a text's words in groups of a length."""
    words = text.split()
    if len(words) % length:
        raise DatasetError(f"{where}: {quoted(text)} has {len(words)} words; expected {length} for each box")
    return [words[i : i + length] for i in range(0, len(words), length)]


def _joined(entries: list[_Entry]) -> Sample:
    """Return the sample of a file's rows: boxes have a label of their own where the rows have several."""
    first = entries[0]
    boxes = tuple(box for entry in entries for box in entry.boxes)
    labels = dict.fromkeys(entry.label for entry in entries if entry.label is not None)
    if len(labels) <= 1:
        return Sample(first.path, first.name, next(iter(labels), None), boxes)
    if bare := [entry for entry in entries if not entry.boxes]:
        raise DatasetError(f"{bare[0].where}: the image has {len(labels)} labels; expected one, or a box for each")
    boxes = tuple(replace(box, label=entry.label) for entry in entries for box in entry.boxes)
    return Sample(first.path, first.name, image_label(boxes), boxes)
