"""Lists of class names, in the forms in which models and files hold them.

A form is read by a parser of its own, or not at all: a text that no parser takes is an error, and is never cut into
pieces that look like names.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from onnx_cam.classifier.python_literals import parse_literal
from onnx_cam.graph.file_kinds.pointers import pointer_kind
from onnx_cam.image.configurations.yaml_subset import parse_yaml

__all__ = ["KEYS", "NameList", "as_key", "decode_names", "find_held", "name_or_index", "names_in", "parse_names"]

KEYS = (
    "onnxcamlabels",
    "labels",
    "names",
    "classes",
    "classnames",
    "classlabels",
    "id2label",
    "idx2label",
    "indextolabel",
    "idxtoclass",
    "indextoname",
    "indextoclass",
    "labelnames",
    "labellist",
    "labelmap",
    "categories",
    "label2id",
    "label2idx",
    "labeltoindex",
    "classtoidx",
    "classtoindex",
    "label",
)
"""Under which keys names are found, the likeliest first; in the form of `as_key`."""

_MAX_DEPTH = 4
_MAX_DIGITS = 9  # no model has that many classes, and Python refuses to parse very long numbers
_WNID = re.compile(r"n[0-9]{8}")
_INDEX_FIRST = re.compile(r"(?P<index>[0-9]{1,9})(?:\s*[:=,]\s*|\s+)(?P<name>\S.*)")
_INDEX_LAST = re.compile(r"(?P<name>.*\S)(?:\s*[:=,]\s*|\s+)(?P<index>[0-9]{1,9})")
_QUOTED = re.compile(r"'[^'\\]*'|\"[^\"\\]*\"")
_WORD = re.compile(r"[^\W_][\w.+/&-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x7f]")
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OPENING, _CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class NameList:
    """Class names in the order of their indices.

    Attributes
    ----------
    names : tuple of str
    first : int or None
        The index of the first name, where the list says so.
    """

    names: tuple[str, ...]
    first: int | None = None


def as_key(text: str) -> str:
    """Return a key without what differs from author to author: its case, and what separates its words.

    Examples
    --------
    >>> as_key("Class Names"), as_key("class_names"), as_key("onnx_cam.labels")
    ('classnames', 'classnames', 'onnxcamlabels')
    """
    return re.sub(r"[\W_]", "", text.casefold())


# --- from what is parsed already


def names_in(content: object, depth: int = 0) -> NameList:
    """Return the names in a list, a mapping of index to name or of name to index, or something that holds one of these.

    Raises
    ------
    ValueError
        There are none; the message says why.

    Examples
    --------
    >>> names_in({"1": "dog", "0": "cat"})
    NameList(names=('cat', 'dog'), first=0)
    >>> names_in({"names": {"cat": 0, "dog": 1}}).names
    ('cat', 'dog')
    >>> names_in([0, 1])
    Traceback (most recent call last):
        ...
    ValueError: the list holds numbers, not names
    """
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(content, str):
        return parse_names(content, depth=depth + 1)
    if isinstance(content, Mapping):
        return _in_mapping(content, depth)
    if isinstance(content, list | tuple):
        return _in_list(content, depth)
    raise ValueError(f"expected a list of names, got {_kind(content)}")


def _in_list(items: Sequence[object], depth: int) -> NameList:
    if not items:
        raise ValueError("the list is empty")
    if all(isinstance(item, str) for item in items):
        return NameList(tuple(str(item) for item in items))
    if len(items) == 1 and isinstance(items[0], Mapping | list | tuple):  # one list for each output
        return names_in(items[0], depth + 1)
    if all(isinstance(item, Mapping) for item in items):
        return _in_records([item for item in items if isinstance(item, Mapping)])
    kinds = sorted({_kind(item) for item in items})
    raise ValueError(f"the list holds {' and '.join(kinds)}, not names")


def _in_records(records: Sequence[Mapping[object, object]]) -> NameList:
    """Read ``{"id": 0, "name": "cat"}``, as COCO's categories are written."""
    name_keys = [key for key in ("name", "label", "class", "title", "displayName") if all(key in r for r in records)]
    id_keys = [key for key in ("id", "index", "class_id", "value") if all(key in r for r in records)]
    if not name_keys:
        raise ValueError("the list holds objects without a name")
    names = [record[name_keys[0]] for record in records]
    if not id_keys:
        return _in_list(names, 0)
    return _by_index([(record[id_keys[0]], name) for record, name in zip(records, names, strict=True)])


def _in_mapping(mapping: Mapping[object, object], depth: int) -> NameList:
    if not mapping:
        raise ValueError("the mapping is empty")
    if (held := find_held(mapping)) is not None:
        return names_in(held, depth + 1)
    keys, values = list(mapping), list(mapping.values())
    if all(_is_index(key) for key in keys) and not all(_is_whole(value) for value in values):
        return _by_index(mapping.items())
    if all(_is_whole(value) for value in values) and all(isinstance(key, str) for key in keys):
        return _by_index((value, key) for key, value in mapping.items())
    raise ValueError("the mapping is neither of index to name nor of name to index")


def find_held(mapping: Mapping[object, object], depth: int = 0) -> object | None:
    """Return the list or the mapping that a configuration holds under one of `KEYS`, or deeper in it; None for none.

    Raises
    ------
    ValueError
        Several parts of it hold such lists.

    Examples
    --------
    >>> find_held({"architecture": "resnet18", "pretrained_cfg": {"label_names": ["cat", "dog"]}})
    ['cat', 'dog']
    """
    by_key = {as_key(key): value for key, value in mapping.items() if isinstance(key, str)}
    for key in KEYS:
        if by_key.get(key) and isinstance(by_key[key], Mapping | list | tuple):
            return by_key[key]
    if depth > _MAX_DEPTH:
        return None
    inner = [find_held(value, depth + 1) for value in mapping.values() if isinstance(value, Mapping)]
    lists = [value for value in inner if value is not None]
    if len(lists) > 1:
        raise ValueError("it holds several lists of names")
    return lists[0] if lists else None


def _by_index(entries: Iterable[tuple[object, object]]) -> NameList:
    by_index: dict[int, str] = {}
    for key, value in entries:
        if not _is_index(key):
            raise ValueError(f"{_kind(key)} in place of an index")
        index = int(str(key))
        if index in by_index:
            raise ValueError(f"index {index} is given twice")
        by_index[index] = _name(value)
    first, last = min(by_index), max(by_index)
    if last - first + 1 != len(by_index):
        missing = next(index for index in range(first, last) if index not in by_index)
        raise ValueError(f"index {missing} is missing")
    return NameList(tuple(by_index[index] for index in range(first, last + 1)), first)


def _name(value: object) -> str:
    """Return a name; Keras lists ImageNet's as ``["n01440764", "tench"]``."""
    if isinstance(value, list | tuple) and len(value) == 2 and _WNID.fullmatch(str(value[0])):
        value = value[1]
    if not isinstance(value, str):
        raise ValueError(f"{_kind(value)} in place of a name")
    return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_index(key: object) -> bool:
    return _is_whole(key) or (isinstance(key, str) and key.isdecimal() and len(key) <= _MAX_DIGITS)


def _kind(value: object) -> str:
    """Return what a value is, in words."""
    if value is None:
        return "null"
    kinds: dict[type, str] = {bool: "true or false", int: "numbers", float: "numbers", str: "text", dict: "objects"}
    return kinds.get(type(value), "lists" if isinstance(value, list | tuple) else type(value).__name__)


# --- from text


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
        The text has none of these forms.

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
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("not UTF-8 text")
    if _CONTROL.search(text):
        raise ValueError("not text: it holds control characters")
    if not text.strip():
        raise ValueError("empty")
    content = _structured(text.strip(), required=_is_bracketed(text.strip()))
    if content is not None:
        return names_in(content, depth)
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
        raise ValueError(f"expected a list of names, got {_kind(content)}")
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
        is_names = all(map(_is_index, content)) or all(map(_is_whole, content.values()))
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
        return _by_index(entry for mapping in mappings for entry in mapping.items())
    return _in_records(mappings)


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
        return _by_index(entries)
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


# --- from bytes


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
