"""Labels: what annotations call a class, the class list that indices refer to, and where a class is in the output."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from onnx_cam.classifier.labels import Labels
from onnx_cam.errors import DatasetError, LabelsError, TargetError, one_line_text
from onnx_cam.evaluation.datasets.annotation_file import is_integer, quoted, read_json, read_text
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.sample import Dataset

__all__ = ["ClassList", "Label", "class_index", "image_label", "is_wnid", "read_classes", "read_label"]

Label = int | str | None
"""An index of the class list, the name of a class, or None where the annotations do not say."""

_MAX_BYTES = 1 << 24
_WNID = re.compile(r"n\d{8}")
_WNID_LINE = re.compile(r"(n\d{8})[\s,]+(\S.*)")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_BACKGROUND = ("background", "__background__", "dummy")


@dataclass(frozen=True)
class ClassList:
    """The classes of a dataset in the order of their index.

    Attributes
    ----------
    names : tuple of str
    positions : dict of str to int
        The index by WordNet id and by name, both in lower case. A name that two classes share is missing.

    Examples
    --------
    >>> ClassList(("Cat", "Dog"), {"cat": 0, "dog": 1}).positions["dog"]
    1
    """

    names: tuple[str, ...]
    positions: dict[str, int]


def read_classes(path: str) -> ClassList:
    """Read a class list.

    Parameters
    ----------
    path : str
        ``LOC_synset_mapping.txt``, a text file with one name a line, or JSON: a list of names, or an object from each
        index to a name or to ``[id, name]``.

    Raises
    ------
    DatasetError
        The file cannot be read, is empty, or names a WordNet id twice.

    Examples
    --------
    >>> read_classes("labels.txt").names
    ('bird', 'cat', 'fish', 'dog')
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
    if repeated := [wnid for wnid, _ in rows if wnid and times[wnid.casefold()] > 1]:
        raise DatasetError(f"the class list '{path}' names {repeated[0]} more than once; list each class once")
    positions = {key.casefold(): i for i, row in enumerate(rows) for key in row if times[key.casefold()] == 1}
    return ClassList(tuple(one_line_text(name) for _, name in rows), positions)


def _json_rows(path: str) -> list[tuple[str, str]]:
    """Return the WordNet id, if any, and the name of each class."""
    content = read_json(path, _MAX_BYTES)
    refusal = DatasetError(
        f"the class list '{path}' cannot be used; expected a JSON list of names, or "
        '{"0": name, …} or {"0": [WordNet id, name], …} with every index from 0'
    )
    if isinstance(content, dict):
        try:
            content = [content[str(i)] for i in range(len(content))]
        except KeyError:
            raise refusal from None
    if not isinstance(content, list) or not content:
        raise refusal
    rows = [("", row) if isinstance(row, str) else row for row in content]
    if any(not isinstance(r, list | tuple) or len(r) != 2 or not all(isinstance(s, str) for s in r) for r in rows):
        raise refusal
    return [(wnid, name) for wnid, name in rows]


def read_label(value: object, classes: ClassList | None, where: str) -> Label:
    """Return the label that a value of an annotation stands for.

    A name that the class list holds becomes its index, and so does a text of digits.

    Parameters
    ----------
    value : int, str or None
    classes : ClassList or None
    where : str
        The place in the annotations, for the message.

    Returns
    -------
    int, str or None
        None for a missing or empty value.

    Raises
    ------
    DatasetError
        The value is neither an index nor a name, or the index is out of range.

    Examples
    --------
    >>> pets = ClassList(("cat", "dog"), {"cat": 0, "dog": 1})
    >>> read_label("Dog", pets, ""), read_label("1", pets, ""), read_label("bird", pets, ""), read_label("", pets, "")
    (1, 1, 'bird', None)
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
        raise DatasetError(f"{where}: invalid label {quoted(value)}: expected the index or the name of a class")
    if value < 0 or (classes and value >= len(classes.names)):
        indices = f"from 0 to {len(classes.names) - 1}, as in the class list" if classes else "of at least 0"
        raise DatasetError(f"{where}: invalid label {quoted(value)}: expected an index {indices}, or a name")
    return value


def is_wnid(label: Label) -> bool:
    """Tell whether a label is a WordNet id, the name of an ImageNet class.

    Examples
    --------
    >>> is_wnid("n01440764"), is_wnid("tench")
    (True, False)
    """
    return isinstance(label, str) and _WNID.fullmatch(label) is not None


def image_label(boxes: Sequence[Box]) -> Label:
    """Return the image's label: the class of its boxes if they share one, otherwise that of the largest box.

    Examples
    --------
    >>> image_label([Box(0, 0, 5, 5, "cat"), Box(0, 0, 9, 9, "dog")])
    'dog'
    """
    labelled = [box for box in boxes if box.label is not None]
    return max(labelled, key=lambda box: box.area).label if labelled else None


def class_index(label: int | str, labels: Labels, dataset: Dataset) -> int:
    """Return the position in a model's output that a dataset's label stands for.

    An index counts from the first class that has a name: it moves by ``labels.offset``, or by 1 where the model's
    names begin with a background class that the dataset's list lacks. A name is looked up among the model's names. A
    WordNet id, or any name where the model has none, is then looked up in the dataset's list, if that is as long as the
    model's. Other names that the model does not have may well be other classes.

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

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation.datasets import open_dataset
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> class_index("dog", model.labels, open_dataset("photos.csv"))
    3
    """
    if isinstance(label, str):
        return _name_position(label, labels, dataset)
    listed = dataset.class_names
    if listed is None or len(listed) + labels.offset == labels.classes:
        return _shifted(label, labels.offset, labels, dataset)
    if len(listed) + 1 == labels.classes and labels.names and labels.names[0].casefold() in _BACKGROUND:
        return _shifted(label, 1, labels, dataset)
    if labels.names and 0 <= label < len(listed):
        return _name_position(listed[label], labels, dataset)
    raise LabelsError(
        f"the class list of '{dataset.path}' has {len(listed)} classes, the model has {labels.classes}; "
        "give the model's names with --labels, or --label-offset"
    )


def _shifted(index: int, offset: int, labels: Labels, dataset: Dataset) -> int:
    if not 0 <= index + offset < labels.classes or index < 0:
        raise LabelsError(
            f"'{dataset.path}' has the label {index}, the model has the classes 0 to {labels.classes - 1 - offset}; "
            "expected a model and a dataset of the same classes"
        )
    return index + offset


def _name_position(name: str, labels: Labels, dataset: Dataset) -> int:
    try:
        return _model_position(name, labels)
    except TargetError as error:
        listed = dataset.class_names or () if labels.names is None or is_wnid(name) else ()
        if listed.count(name) == 1 and len(listed) + labels.offset == labels.classes:
            return listed.index(name) + labels.offset
        hint = "; a WordNet id needs LOC_synset_mapping.txt: give it with --classes" if is_wnid(name) else ""
        raise LabelsError(
            f"the label {quoted(name)} of '{dataset.path}' does not fit the model: {error}{hint}"
        ) from None


def _model_position(name: str, labels: Labels) -> int:
    """Return the position of the class that the model calls by a name."""
    names = labels.names or ()
    if not name.isdecimal():
        return labels.index(name)
    if name in names:  # digits are a name here, not the index that `Labels.index` takes them for
        return names.index(name) + labels.offset
    raise TargetError("no class has that name")
