"""Annotation files come from anywhere: they are read within limits, and a bad one is refused with one line."""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections.abc import Iterable
from typing import Any, NoReturn, TypeGuard

from onnx_cam.errors import DatasetError, one_line, one_line_text
from onnx_cam.evaluation.datasets.boxes import Box, find_fault
from onnx_cam.files import read_at_most

__all__ = [
    "MAX_BYTES",
    "MAX_SAMPLES",
    "check_count",
    "first_characters",
    "is_integer",
    "quoted",
    "read_box",
    "read_bytes",
    "read_json",
    "read_text",
    "stated_size",
    "valid_boxes",
]

MAX_BYTES = 512 << 20
"""Larger annotation files are refused; COCO's largest has 450 MB."""

MAX_SAMPLES = 1_000_000
"""Datasets of more images are refused."""

_MAX_SHOWN = 80  # characters of a value that a message quotes

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _MAX_SHOWN


def read_bytes(path: str, limit: int = MAX_BYTES) -> bytes:
    """Return the content of an annotation file.

    Raises
    ------
    DatasetError
        The file is missing, unreadable, empty, not a regular file, or larger than `limit` bytes.

    Examples
    --------
    >>> read_bytes("photos.csv")[:10]
    b'file,label'
    """
    if os.path.isdir(path):
        raise DatasetError(f"'{path}' is a folder; expected an annotation file")
    if os.path.exists(path) and not os.path.isfile(path):
        raise DatasetError(f"'{path}' is not a regular file; expected an annotation file")
    try:
        with open(path, "rb") as file:
            content = read_at_most(file, limit)
    except FileNotFoundError:
        raise DatasetError(f"no file '{path}'; expected an annotation file") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read '{path}': {one_line(error)}") from error
    if not content.strip():
        raise DatasetError(f"'{path}' is empty; expected annotations")
    if len(content) > limit:
        raise DatasetError(f"'{path}' is larger than {limit >> 20} MiB; split it into smaller datasets")
    return content


def read_text(path: str, limit: int = MAX_BYTES) -> str:
    """Return an annotation file as text, without a byte order mark.

    Raises
    ------
    DatasetError
        As for `read_bytes`, or the file is not UTF-8.

    Examples
    --------
    >>> read_text("photos.csv").splitlines()[1]
    'cat.jpg,cat,8,4,35,27'
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"'{path}' is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def read_json(path: str, limit: int = MAX_BYTES) -> Any:
    """Return the content of a JSON file. NaN and infinity, which JSON does not have, are refused.

    Raises
    ------
    DatasetError
        As for `read_text`, or the file is damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("index.json").write_text('[{"file": "cat.jpg"}]')
    >>> read_json("index.json")
    [{'file': 'cat.jpg'}]
    """
    text = read_text(path, limit)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise DatasetError(f"'{path}' is nested too deeply; expected the annotations of a dataset") from None
    except ValueError as error:
        raise DatasetError(f"'{path}' is damaged JSON: {one_line(error, 120)}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def first_characters(path: str) -> str:
    """Return the first 4 KiB of a text file, without a byte order mark and leading white space.

    Examples
    --------
    >>> first_characters("photos.csv")[:4]
    'file'
    """
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("utf-8-sig", errors="replace").lstrip()
    except OSError as error:
        raise DatasetError(f"cannot read '{path}': {one_line(error)}") from error


def quoted(value: object) -> str:
    r"""Return a value for a message: on one line, and cut short however large or deep it is.

    Examples
    --------
    >>> quoted("a\nb")
    "'a\\nb'"
    >>> len(quoted("x" * 10_000)) <= 80
    True
    """
    text = one_line_text(_SHORT.repr(value))
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def check_count(count: int, path: str) -> None:
    """Refuse a dataset of more than `MAX_SAMPLES` images.

    Examples
    --------
    >>> check_count(2_000_000, "photos.csv")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.DatasetError: 'photos.csv' holds 2,000,000 images; expected at most 1,000,000: split it
    """
    if count > MAX_SAMPLES:
        raise DatasetError(f"'{path}' holds {count:,} images; expected at most {MAX_SAMPLES:,}: split it")


def read_box(values: object, where: str, *, as_text: bool = False) -> tuple[float, float, float, float]:
    """Return the four numbers of a box.

    Parameters
    ----------
    values : sequence
        The numbers in the order of the layout.
    where : str
        The place in the file, for the message.
    as_text : bool
        Whether they are text, as in CSV or XML, rather than numbers, as in JSON.

    Raises
    ------
    DatasetError
        They are not four finite numbers.

    Examples
    --------
    >>> read_box(["8", "4", "35.5", "27"], "'photos.csv', line 2", as_text=True)
    (8.0, 4.0, 35.5, 27.0)
    """
    if not isinstance(values, list | tuple) or len(values) != 4:
        raise DatasetError(f"{where}: invalid box {quoted(values)}: expected four numbers")
    try:
        a, b, c, d = (_number(value, as_text) for value in values)
    except (ValueError, OverflowError):
        raise DatasetError(f"{where}: invalid box {quoted(values)}: expected four finite numbers") from None
    return a, b, c, d


def _number(value: object, as_text: bool) -> float:
    if not isinstance(value, str | int | float) or isinstance(value, str) != as_text:
        raise ValueError("not a number")
    if isinstance(value, str) and "_" in value:  # Python reads 1_0 as 10
        raise ValueError("not a number")
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError("not finite")
    return number


def valid_boxes(boxes: Iterable[Box], where: str, size: tuple[int, int] | None = None) -> tuple[Box, ...]:
    """Return boxes after a check that they can be those of an image.

    Parameters
    ----------
    boxes : iterable of Box
    where : str
        The place in the file, for the message.
    size : tuple of int, optional
        ``(width, height)`` of the image, where it is known.

    Raises
    ------
    DatasetError
        As for :func:`onnx_cam.evaluation.datasets.boxes.check_boxes`.

    Examples
    --------
    >>> valid_boxes([Box(0, 0, 9, 9)], "'photos.csv', line 2", size=(5, 5))
    Traceback (most recent call last):
        ...
    onnx_cam.errors.DatasetError: 'photos.csv', line 2: box 1 of 1 (x0, y0, x1, y1: 0, 0, 9, 9) lies outside the image
    of 5×5 pixels; correct or remove that box
    """
    checked = tuple(boxes)
    if fault := find_fault(checked, size):
        raise DatasetError(f"{where}: {fault}; correct or remove that box")
    return checked


def is_integer(value: object) -> TypeGuard[int]:
    """Tell whether a value from JSON is a whole number. Python takes true and false for 1 and 0, but they are not.

    Examples
    --------
    >>> is_integer(3), is_integer(True), is_integer("3")
    (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool)


def stated_size(width: object, height: object) -> tuple[int, int] | None:
    """Return the ``(width, height)`` that annotations state; None where they state none, or 0 as some tools do.

    Examples
    --------
    >>> stated_size(640, 480), stated_size(0, 0), stated_size(None, None)
    ((640, 480), None, None)
    """
    return (width, height) if is_integer(width) and is_integer(height) and width > 0 and height > 0 else None
