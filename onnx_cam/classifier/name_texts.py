"""The class names in a text or a file, in the forms in which programs write them.

A form is read by a parser of its own, or not at all: a text that no parser takes is an error, and is never cut into
pieces that look like names.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence

from onnx_cam.classifier.name_lists import (
    NameList,
    find_held,
    is_index,
    is_whole,
    kind_of,
    names_by_index,
    names_in,
    names_in_records,
)
from onnx_cam.classifier.python_literals import parse_literal
from onnx_cam.graph.file_kinds.pointers import pointer_kind
from onnx_cam.image.configurations.yaml_subset import parse_yaml

__all__ = ["decode_names", "name_or_index", "parse_names"]

_MAX_CHARACTERS = 4 << 20  # the 21,841 names of ImageNet-21k need less than 1 Mi; a text of 16 Mi takes 20 s to parse

_MAX_DEPTH = 4
_MAX_DIGITS = 9
_INDEX_FIRST = re.compile(r"(?P<index>[0-9]{1,9})(?:\s*[:=,]\s*|\s+)(?P<name>\S.*)")
_INDEX_LAST = re.compile(r"(?P<name>.*\S)(?:\s*[:=,]\s*|\s+)(?P<index>[0-9]{1,9})")
_QUOTED = re.compile(r"'[^'\\]*'|\"[^\"\\]*\"")
_WORD = re.compile(r"[^\W_][\w.+/&-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x7f]")
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OPENING, _CLOSING = "[{(", "]})"


def parse_names(text: str, *, lines: bool = False, depth: int = 0) -> NameList:
    r"""Return the names in a text: JSON, a Python literal, YAML, lines, or words separated by commas.

    Parameters
    ----------
    text : str
    lines : bool
        Whether a single line is a name, as it is in a file of one name per line.
    depth : int
        How many texts this one was found in.

    Raises
    ------
    ValueError
        The text has none of these forms, or is far longer than the names of any model.

    Examples
    --------
    >>> parse_names("{0: 'tench, Tinca tinca', 1: 'goldfish'}").names  # a Python literal
    ('tench, Tinca tinca', 'goldfish')
    >>> parse_names("- tiger cat\n- dog").names  # YAML
    ('tiger cat', 'dog')
    >>> parse_names("0 tiger cat\n1 dog")  # lines with their indices
    NameList(names=('tiger cat', 'dog'), first=0)
    >>> parse_names('["tiger cat", "dog"')
    Traceback (most recent call last):
        ...
    ValueError: neither JSON, a Python literal nor YAML
    """
    text = text.removeprefix("\ufeff")
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"more than {_MAX_CHARACTERS >> 20} Mi characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("not UTF-8 text")
    if _CONTROL.search(text):
        raise ValueError("not text: it holds control characters")
    if not text.strip():
        raise ValueError("empty")
    content = _structured(text.strip(), required=_is_bracketed(text.strip()))
    if isinstance(content, str):  # JSON in a string of JSON
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        return parse_names(content, depth=depth + 1)
    if content is not None:
        return names_in(content)
    return _in_lines(text, lines)


def _is_bracketed(text: str) -> bool:
    """Whether a text can only be JSON, a literal or a flow of YAML, even where it is damaged."""
    if text[0] not in _OPENING:
        return False
    first_line = text.splitlines()[0].strip()
    is_one_name = first_line != text and first_line[-1] == _CLOSING[_OPENING.index(text[0])]  # "[background]"
    return not is_one_name


def _structured(text: str, *, required: bool) -> object | None:
    """Return what JSON, a Python literal or YAML stands for; None for a text that is none of them."""
    parsers: tuple[Callable[[str], object], ...] = (_parse_json, parse_literal, _parse_yaml)
    for parse in parsers:
        try:
            content = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(content, Mapping | list | tuple) or (isinstance(content, str) and content != text):
            return content
        raise ValueError(f"expected a list of names, got {kind_of(content)}")
    if required:
        raise ValueError("neither JSON, a Python literal nor YAML")
    return None


def _parse_json(text: str) -> object:
    content: object = json.loads(text, object_pairs_hook=_without_repeated_keys)
    return content


def _without_repeated_keys(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key that is given twice")
    return mapping


def _parse_yaml(text: str) -> object:
    """Return what a YAML text stands for, where that is more than one line of text."""
    content = parse_yaml(text, name_or_index)
    if isinstance(content, Mapping):
        is_names = all(map(is_index, content)) or all(map(is_whole, content.values()))
        if not is_names and find_held(content) is None:
            raise ValueError("other YAML")  # such as lines that hold a colon
    elif not isinstance(content, list):
        raise ValueError("not YAML")
    return content


def name_or_index(scalar: str) -> object:
    """Return what an unquoted scalar of YAML stands for among names: an index, or a name, even where it is "no".

    Examples
    --------
    >>> [name_or_index(scalar) for scalar in ("12", "no", "null", "1.5")]
    [12, 'no', 'null', '1.5']
    """
    return int(scalar) if scalar.isdecimal() and len(scalar) <= _MAX_DIGITS else scalar


def _in_lines(text: str, single: bool) -> NameList:
    """Read one name per line; nothing else ends a line, and an empty line is a class without a name."""
    rows = [row.strip() for row in re.split(r"\r\n|\r|\n", text.rstrip("\r\n"))]
    if len(rows) == 1 and not single:
        return _in_words(rows[0])
    if all(row.startswith("{") for row in rows):
        return _in_objects(rows)
    if any(row in ("{", "}") or row.endswith(("{", "[")) for row in rows):
        raise ValueError("it holds brackets, and is neither JSON, a Python literal nor YAML")
    if all(row.endswith(",") for row in rows[:-1]) and len(rows) > 1:
        raise ValueError("lines that end with commas are neither JSON nor a Python literal without brackets")
    if all(map(_QUOTED.fullmatch, rows)):
        rows = [row[1:-1] for row in rows]
    return _numbered(rows, _INDEX_FIRST) or _numbered(rows, _INDEX_LAST) or NameList(tuple(rows))


def _in_objects(rows: Sequence[str]) -> NameList:
    """Read lines that are objects: ``{"id": 0, "name": "cat"}``, or ``{0: 'cat'}``."""
    objects = [_structured(row, required=True) for row in rows]
    mappings = [content for content in objects if isinstance(content, Mapping)]
    if all(len(mapping) == 1 for mapping in mappings):
        return names_by_index(entry for mapping in mappings for entry in mapping.items())
    return names_in_records(mappings)


def _numbered(rows: Sequence[str], pattern: re.Pattern[str]) -> NameList | None:
    """Return the names in rows that each hold their index, too; None for other rows, such as "1 star", "2 stars".

    Raises
    ------
    ValueError
        The numbers say another order than the rows do, and not which is the first.
    """
    matches = [pattern.fullmatch(row) for row in rows]
    entries = [(int(match["index"]), match["name"]) for match in matches if match]
    if len(entries) < max(len(rows), 2) or len({name for _, name in entries}) < len(rows):
        return None
    numbers = [number for number, _ in entries]
    if sorted(numbers) == list(range(len(rows))):
        return names_by_index(entries)
    if sorted(numbers) == list(range(1, len(rows) + 1)) != numbers:
        raise ValueError("its lines are numbered from 1, in another order")
    return None


def _in_words(row: str) -> NameList:
    """Read a line of CSV: what separates single words, or names with their indices, can only separate a list."""
    try:
        fields = [field.strip() for field in next(csv.reader([row], strict=True, skipinitialspace=True))]
    except csv.Error:
        fields = []
    if (numbered := _numbered(fields, _INDEX_FIRST)) is not None:
        return numbered
    if len(fields) < 2 or not all(_WORD.fullmatch(field) for field in fields):
        raise ValueError("neither a list of names nor one name per line")
    return NameList(tuple(fields))


def decode_names(content: bytes) -> str:
    r"""Return the text of a file of names: UTF-8, or UTF-16 or UTF-32 as Windows' programs write it.

    Raises
    ------
    ValueError
        The file is not text in one of these encodings, or a placeholder.

    Examples
    --------
    >>> decode_names("café".encode("utf-16"))
    'café'
    >>> decode_names("café".encode("latin-1"))
    Traceback (most recent call last):
        ...
    ValueError: not UTF-8 text; save it as UTF-8, e.g. with iconv -f WINDOWS-1252 -t UTF-8
    """
    if pointer := pointer_kind(content):
        raise ValueError(pointer)
    encoding = "utf-8-sig"
    if content.startswith(_UTF_32):
        encoding = "utf-32"
    elif content.startswith(_UTF_16):
        encoding = "utf-16"
    elif b"\0" in content:  # without a mark: the NULs are the other halves of ASCII
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text; save it as UTF-8, e.g. with iconv -f WINDOWS-1252 -t UTF-8") from None
