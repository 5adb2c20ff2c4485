"""Annotation files that nobody has vouched for: read within limits, refused in one line."""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TypeGuard

from onnx_cam.errors import DatasetError, one_line, one_line_text
from onnx_cam.evaluation.datasets.boxes import Box, find_fault
from onnx_cam.files import read_at_most

__all__ = [
    "MAX_BYTES",
    "MAX_SAMPLES",
    "beginning",
    "check_count",
    "checked",
    "coordinates",
    "is_integer",
    "quoted",
    "read_bytes",
    "read_json",
    "read_text",
    "said_size",
]

MAX_BYTES = 512 << 20
"""Larger annotation files are refused; COCO's largest has 450 MB."""

MAX_SAMPLES = 1_000_000
"""Larger data sets are refused."""

_MAX_SHOWN = 80

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _MAX_SHOWN


def read_bytes(path: str, limit: int = MAX_BYTES) -> bytes:
    """Return an annotation file's bytes.

    Raises
    ------
    DatasetError
        Missing, unreadable, empty, no regular file, or larger than `limit`.
    """
    if os.path.isdir(path):
        raise DatasetError(f"'{path}' is a folder; expected an annotation file")
    if os.path.exists(path) and not os.path.isfile(path):
        raise DatasetError(f"'{path}' is no regular file; expected an annotation file")
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
        raise DatasetError(f"'{path}' is larger than {limit >> 20} MiB; split it")
    return content


def read_text(path: str, limit: int = MAX_BYTES) -> str:
    """Return an annotation file as text, without a byte order mark."""
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"'{path}' is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def read_json(path: str, limit: int = MAX_BYTES) -> Any:
    """Return a JSON file's content; NaN and infinity, which are no JSON, are refused."""
    text = read_text(path, limit)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise DatasetError(f"'{path}' is nested too deeply; expected a data set's annotations") from None
    except ValueError as error:
        raise DatasetError(f"'{path}' is damaged JSON: {one_line(error, 120)}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def beginning(path: str) -> str:
    """Return the first 4 KiB of a text file, without a byte order mark and white space in front."""
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("utf-8-sig", errors="replace").lstrip()
    except OSError as error:
        raise DatasetError(f"cannot read '{path}': {one_line(error)}") from error


def quoted(value: Any) -> str:
    """Return a value from an annotation file for a message: on one line, cut short however large or deep it is."""
    text = one_line_text(_SHORT.repr(value))
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def check_count(count: int, path: str) -> None:
    """Refuse a data set of more than `MAX_SAMPLES`."""
    if count > MAX_SAMPLES:
        raise DatasetError(f"'{path}' holds {count:,} images; expected at most {MAX_SAMPLES:,}: split it")


def coordinates(values: Any, where: str, *, as_text: bool = False) -> tuple[float, float, float, float]:
    """Return four finite numbers, or say where there are none.

    Parameters
    ----------
    values : sequence
    where : str
        The place in the file, for the message.
    as_text : bool
        They are texts, from CSV or XML; else they must be numbers.
    """
    if not isinstance(values, list | tuple) or len(values) != 4:
        raise DatasetError(f"{where}: the box {quoted(values)} is not made of four numbers; mend it")
    try:
        a, b, c, d = (_number(value, as_text) for value in values)
    except (ValueError, OverflowError):
        raise DatasetError(f"{where}: the box {quoted(values)} is not made of four finite numbers; mend it") from None
    return a, b, c, d


def _number(value: Any, as_text: bool) -> float:
    is_text = isinstance(value, str)
    if is_text != as_text or (is_text and "_" in value) or not isinstance(value, str | int | float):
        raise ValueError("no number")
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError("not finite")
    return number


def checked(boxes: Iterable[Box], where: str, size: tuple[int, int] | None = None) -> tuple[Box, ...]:
    """Return boxes that could be those of an image, of a size (width, height) where that is known."""
    found = tuple(boxes)
    if fault := find_fault(found, size):
        raise DatasetError(f"{where}: {fault}; mend or remove that box")
    return found


def is_integer(value: Any) -> TypeGuard[int]:
    """Tell whether a value from JSON is a whole number; Python takes true and false for 1 and 0, too."""
    return isinstance(value, int) and not isinstance(value, bool)


def said_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Return the (width, height) that annotations state; None where they state none, or 0 as some tools do."""
    sides: Sequence[Any] = (width, height)
    if not all(is_integer(side) and side > 0 for side in sides):
        return None
    return width, height
