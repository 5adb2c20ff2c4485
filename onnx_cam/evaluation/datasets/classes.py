"""Labels: what annotations say, the class list that they point into, and the model's position for them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnx_cam.classifier.labels import Labels
from onnx_cam.errors import DatasetError, LabelsError, TargetError, one_line_text
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.content import is_integer, quoted, read_json, read_text
from onnx_cam.evaluation.datasets.sample import Dataset

__all__ = ["ClassList", "Label", "as_label", "class_index", "image_label", "is_wnid", "read_classes"]

Label = int | str | None

_MAX_BYTES = 1 << 24
_WNID = re.compile(r"n\d{8}")
_WNID_LINE = re.compile(r"(n\d{8})[\s,]+(\S.*)")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_BACKGROUND = ("background", "__background__", "dummy")


@dataclass(frozen=True)
class ClassList:
    """The classes of a data set in the order of their index.

    Attributes
    ----------
    names : tuple of str
    positions : dict of str to int
        By WordNet id and by name, in small letters; a name of two classes is missing.
    """

    names: tuple[str, ...]
    positions: dict[str, int]


def read_classes(path: str) -> ClassList:
    """Read a class list: ``LOC_synset_mapping.txt``, a name a line, or JSON (names, or index to name or [id, name]).

    Raises
    ------
    DatasetError
        It cannot be read, is empty, or names a WordNet id twice.
    """
    if path.lower().endswith(".json"):
        rows = _json_rows(path)
    else:
        lines = [line.strip() for line in read_text(path, _MAX_BYTES).rstrip().splitlines()]
        pairs = [_WNID_LINE.fullmatch(line) for line in lines]
        rows = [
            (pair[1], pair[2]) if pair and all(pairs) else ("", line) for line, pair in zip(lines, pairs, strict=True)
        ]
    times = Counter(key.casefold() for row in rows for key in set(row) if key)
    if twice := [wnid for wnid, _ in rows if wnid and times[wnid.casefold()] > 1]:
        raise DatasetError(f"the class list '{path}' names {twice[0]} more than once; expected a line for each class")
    positions = {key.casefold(): i for i, row in enumerate(rows) for key in row if times[key.casefold()] == 1}
    return ClassList(tuple(one_line_text(name) for _, name in rows), positions)


def _json_rows(path: str) -> list[tuple[str, str]]:
    content = read_json(path, _MAX_BYTES)
    expected = DatasetError(
        f"the class list '{path}' cannot be used; expected a JSON list of names, or "
        '{"0": name, …} or {"0": [WordNet id, name], …} with every index from 0'
    )
    if isinstance(content, dict):
        try:
            content = [content[str(i)] for i in range(len(content))]
        except KeyError:
            raise expected from None
    if not isinstance(content, list) or not content:
        raise expected
    rows = [("", row) if isinstance(row, str) else row for row in content]
    if any(not isinstance(r, list | tuple) or len(r) != 2 or not all(isinstance(s, str) for s in r) for r in rows):
        raise expected
    return [(wnid, name) for wnid, name in rows]


def as_label(value: Any, classes: ClassList | None, where: str) -> Label:
    """Return what annotations call a class: an index, a name, or None where they say nothing.

    A name that the class list knows becomes its index, and so do digits.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        text = one_line_text(value)
        if classes and text.casefold() in classes.positions:
            return classes.positions[text.casefold()]
        if not _INTEGER.fullmatch(text):
            return text
        value = int(text)
    if not is_integer(value):
        raise DatasetError(f"{where}: the label {quoted(value)} is neither an index nor a name; mend it")
    if value < 0 or (classes and value >= len(classes.names)):
        most = f"0 to {len(classes.names) - 1}, as the class list has it" if classes else "0 or more"
        raise DatasetError(f"{where}: the label {quoted(value)} is no class; expected an index of {most}, or a name")
    return value


def is_wnid(label: Label) -> bool:
    """Tell whether a label is a WordNet id such as ``n01440764``, the name of an ImageNet class."""
    return isinstance(label, str) and _WNID.fullmatch(label) is not None


def image_label(boxes: Sequence[Box]) -> Label:
    """Return the image's label: the class of its boxes if they are of one, else that of the largest box."""
    labelled = [box for box in boxes if box.label is not None]
    return max(labelled, key=lambda box: box.area).label if labelled else None


def class_index(label: int | str, labels: Labels, dataset: Dataset) -> int:
    """Return the position in a model's output that a data set's label stands for.

    An index counts from the first class that has a name: it moves by ``labels.offset``, or by 1 where the model's
    names begin with a background class that the data set's list lacks. A name is looked up among the model's
    names. A WordNet id, or any name where the model has none, is then looked up in the data set's list, if that is
    as long as the model's: other names that the model does not know may well be other classes.

    Parameters
    ----------
    label : int or str
        Of an image or of a box.
    labels : Labels
        Of the model.
    dataset : Dataset

    Raises
    ------
    LabelsError
        The label does not fit the model.
    """
    if isinstance(label, str):
        return _named(label, labels, dataset)
    listed = dataset.class_names
    if listed is None or len(listed) + labels.offset == labels.classes:
        return _positioned(label, labels.offset, labels, dataset)
    if len(listed) + 1 == labels.classes and labels.names and labels.names[0].casefold() in _BACKGROUND:
        return _positioned(label, 1, labels, dataset)
    if labels.names and 0 <= label < len(listed):
        return _named(listed[label], labels, dataset)
    raise LabelsError(
        f"the class list of '{dataset.path}' has {len(listed)} classes, the model has {labels.classes}; "
        "give the model's names with --labels, or --label-offset"
    )


def _positioned(index: int, offset: int, labels: Labels, dataset: Dataset) -> int:
    if not 0 <= index + offset < labels.classes or index < 0:
        raise LabelsError(
            f"'{dataset.path}' has the label {index}, the model has the classes 0 to {labels.classes - 1 - offset}; "
            "expected a model and a data set of the same classes"
        )
    return index + offset


def _named(name: str, labels: Labels, dataset: Dataset) -> int:
    try:
        return _among_names(name, labels)
    except TargetError as error:
        listed = dataset.class_names or () if labels.names is None or is_wnid(name) else ()
        if listed.count(name) == 1 and len(listed) + labels.offset == labels.classes:
            return listed.index(name) + labels.offset
        hint = "; a WordNet id needs LOC_synset_mapping.txt: give it with --classes" if is_wnid(name) else ""
        raise LabelsError(
            f"the label {quoted(name)} of '{dataset.path}' does not fit the model: {error}{hint}"
        ) from None


def _among_names(name: str, labels: Labels) -> int:
    names = labels.names or ()
    if not name.isdecimal():
        return labels.index(name)
    if name in names:  # digits are a name here, not the index that `Labels.index` takes them for
        return names.index(name) + labels.offset
    raise TargetError("no class has that name")
