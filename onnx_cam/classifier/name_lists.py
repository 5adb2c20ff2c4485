"""Lists of class names, as they lie in lists and mappings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "KEYS",
    "NameList",
    "as_key",
    "find_held",
    "is_index",
    "is_whole",
    "kind_of",
    "names_by_index",
    "names_in",
    "names_in_records",
]

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
    if isinstance(content, Mapping):
        return _in_mapping(content, depth)
    if isinstance(content, list | tuple):
        return _in_list(content, depth)
    raise ValueError(f"expected a list of names, got {kind_of(content)}")


def _in_list(items: Sequence[object], depth: int) -> NameList:
    if not items:
        raise ValueError("the list is empty")
    if all(isinstance(item, str) for item in items):
        return NameList(tuple(str(item) for item in items))
    if len(items) == 1 and isinstance(items[0], Mapping | list | tuple):  # one list for each output
        return names_in(items[0], depth + 1)
    if all(isinstance(item, Mapping) for item in items):
        return names_in_records([item for item in items if isinstance(item, Mapping)])
    kinds = sorted({kind_of(item) for item in items})
    raise ValueError(f"the list holds {' and '.join(kinds)}, not names")


def names_in_records(records: Sequence[Mapping[object, object]]) -> NameList:
    """Return the names in objects such as ``{"id": 0, "name": "cat"}``, as COCO's categories are written.

    Examples
    --------
    >>> names_in_records([{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}]).names
    ('cat', 'dog')
    """
    name_keys = [key for key in ("name", "label", "class", "title", "displayName") if all(key in r for r in records)]
    id_keys = [key for key in ("id", "index", "class_id", "value") if all(key in r for r in records)]
    if not name_keys:
        raise ValueError("the list holds objects without a name")
    names = [record[name_keys[0]] for record in records]
    if not id_keys:
        return _in_list(names, 0)
    return names_by_index([(record[id_keys[0]], name) for record, name in zip(records, names, strict=True)])


def _in_mapping(mapping: Mapping[object, object], depth: int) -> NameList:
    if not mapping:
        raise ValueError("the mapping is empty")
    if (held := find_held(mapping)) is not None:
        return names_in(held, depth + 1)
    keys, values = list(mapping), list(mapping.values())
    if all(is_index(key) for key in keys) and not all(is_whole(value) for value in values):
        return names_by_index(mapping.items())
    if all(is_whole(value) for value in values) and all(isinstance(key, str) for key in keys):
        return names_by_index((value, key) for key, value in mapping.items())
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


def names_by_index(entries: Iterable[tuple[object, object]]) -> NameList:
    """Return the names of entries in the order of their indices.

    Raises
    ------
    ValueError
        An index is given twice, or missing, or something else is in place of an index or a name.

    Examples
    --------
    >>> names_by_index([(2, "dog"), ("1", "cat")])
    NameList(names=('cat', 'dog'), first=1)
    """
    by_index: dict[int, str] = {}
    for key, value in entries:
        if not is_index(key):
            raise ValueError(f"{kind_of(key)} in place of an index")
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
        raise ValueError(f"{kind_of(value)} in place of a name")
    return value


def is_whole(value: object) -> bool:
    """Whether a value is a whole number that can be an index.

    Examples
    --------
    >>> is_whole(0), is_whole(-1), is_whole(True), is_whole("0")
    (True, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_index(key: object) -> bool:
    """Whether a key is an index, as a number or as digits.

    Examples
    --------
    >>> is_index(12), is_index("12"), is_index("twelve")
    (True, True, False)
    """
    return is_whole(key) or (isinstance(key, str) and key.isdecimal() and len(key) <= _MAX_DIGITS)


def kind_of(value: object) -> str:
    """Return what a value is, in words.

    Examples
    --------
    >>> kind_of(0.5), kind_of(["cat"]), kind_of(None)
    ('numbers', 'lists', 'null')
    """
    if value is None:
        return "null"
    kinds: dict[type, str] = {bool: "true or false", int: "numbers", float: "numbers", str: "text", dict: "objects"}
    return kinds.get(type(value), "lists" if isinstance(value, list | tuple) else type(value).__name__)
