"""Class names: where they are found, and which class a name stands for."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from onnx_cam.classifier.label_sources import label_files, name_sources, read_name_file
from onnx_cam.classifier.name_lists import NameList, names_in
from onnx_cam.errors import LabelsError, TargetError, did_you_mean, one_line, one_line_text
from onnx_cam.graph.read import ModelFile

__all__ = ["METADATA_KEY", "GivenLabels", "Labels", "find_labels", "fold", "imagenet_labels"]

METADATA_KEY = "onnx_cam.labels"
"""The metadata property that holds the class names as a JSON list."""

GivenLabels: TypeAlias = str | os.PathLike[str] | Sequence[str] | Mapping[int, str]
"""How a user can give class names: see `find_labels`."""

_IMAGENET = "imagenet"
_PLACEHOLDER = re.compile(r"(?i)(label|class)[_ ]?[0-9]+")
_MAX_DIGITS = 20  # no model has that many classes, and Python refuses to parse very long numbers
_BACKGROUND_FIRST = (1000, 1001)  # ImageNet's names, and a model whose first class is an unnamed background


@dataclass(frozen=True)
class Labels:
    """The names of a model's classes.

    Attributes
    ----------
    names : tuple of str or None
        None where nothing names the classes.
    offset : int
        The index of the class with the first name: 1 where class 0 is an unnamed background.
    classes : int
        The number of classes: the length of the model's output.
    source : str
        Where the names were found.
    notes : tuple of str
        What was found and not used, and why, a line each.

    Examples
    --------
    >>> labels = Labels(("cat", "dog, hound"), offset=0, classes=2, source="an example")
    >>> labels.name(1), labels.index("Hound"), labels.index("1")
    ('dog, hound', 1, 1)
    """

    names: tuple[str, ...] | None
    offset: int
    classes: int
    source: str
    notes: tuple[str, ...] = ()

    def name(self, index: int) -> str | None:
        """Return the name of the class of an index; None where it has none."""
        if self.names is None or not 0 <= index - self.offset < len(self.names):
            return None
        return self.names[index - self.offset] or None

    def index(self, target: int | str) -> int:
        """Return the index of a class, given as an index (also as digits) or as a name in upper or lower case.

        Raises
        ------
        TargetError
            The index is out of range, or the name is unknown or that of more than one class.
        """
        if isinstance(target, str) and not target.strip().isdecimal():
            return self._named(target.strip())
        index = int(target) if len(str(target)) <= _MAX_DIGITS else self.classes
        if not 0 <= index < self.classes:
            digits = one_line_text(str(target))[:_MAX_DIGITS]
            raise TargetError(
                f"no class {digits}; the model has {self.classes} classes: expected 0 to {self.classes - 1}"
            )
        return index

    def _named(self, name: str) -> int:
        if self.names is None:
            raise TargetError(
                f"no class names are known, so the target cannot be {name!r}; "
                "give the index of a class, or the names with --labels"
            )
        folded_name = fold(name)
        # The whole label counts first; then its synonyms, as in "tench, Tinca tinca".
        matches = [i for i, label in enumerate(self.names) if fold(label) == folded_name]
        matches = matches or [i for i, label in enumerate(self.names) if folded_name in _synonyms(label)]
        if not matches:
            hint = did_you_mean(name, self.names)
            raise TargetError(f"no class named {name!r}{hint} Expected one of the {len(self.names)} names, or an index")
        if len(matches) > 1:
            indices = ", ".join(str(i + self.offset) for i in matches)
            raise TargetError(f"{len(matches)} classes are named {name!r}; give the index of one of them: {indices}")
        return matches[0] + self.offset


def fold(name: str) -> str:
    r"""Return a name in the form in which names are compared: neither case nor how letters are composed counts.

    An accented letter is one character or two, by the system that the name was written on.

    Examples
    --------
    >>> fold("Cafe\u0301") == fold("caf\u00e9")
    True
    """
    folded_name = unicodedata.normalize("NFD", one_line_text(name)).casefold()
    return unicodedata.normalize("NFC", folded_name)


def _synonyms(label: str) -> list[str]:
    return [fold(part) for part in label.split(",")]


def imagenet_labels() -> tuple[str, ...]:
    """Return ImageNet's 1,000 class names, in the order of their indices.

    Examples
    --------
    >>> imagenet_labels()[281]
    'tabby'
    """
    text = resources.files("onnx_cam.classifier").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def find_labels(labels: GivenLabels | None, offset: int | None, model: ModelFile, classes: int) -> Labels:
    """Return a model's class names.

    Parameters
    ----------
    labels : str, path, sequence of str or mapping of int to str, optional
        A text file (one name per line, JSON, YAML or a Python literal), ``imagenet``, or the names themselves. Without
        it: the names in the model's metadata, in its graph, or in a configuration beside it (``config.json``); what
        is there and cannot be used, or does not fit the number of classes, is in the result's `notes`.
    offset : int, optional
        The index of the class with the first name; without it 0, or 1 for 1,000 names and 1,001 classes.
    model : ModelFile
    classes : int
        The number of classes: the length of the model's output.

    Raises
    ------
    LabelsError
        The names cannot be read, or their number does not fit the model.

    Examples
    --------
    >>> from onnx_cam.graph.read import read_model
    >>> find_labels("labels.txt", None, read_model("model.onnx"), 4).names
    ('bird', 'cat', 'fish', 'dog')
    """
    if offset is not None and offset < 0:
        raise LabelsError(f"invalid label offset {offset}; expected 0 or more")
    if labels is None:
        return _labels_of_model(model, classes, offset)
    if isinstance(labels, os.PathLike):
        labels = os.fspath(labels)
    if not isinstance(labels, str):
        return _fitted(_names_from(labels), offset, classes, "as given")
    if labels == _IMAGENET:
        return _fitted(NameList(imagenet_labels()), offset, classes, "ImageNet")
    return _fitted(_read_labels(Path(labels)), offset, classes, f"'{labels}'")


def _names_from(names: Sequence[str] | Mapping[int, str]) -> NameList:
    try:
        return names_in(names if isinstance(names, Mapping) else list(names))
    except (ValueError, TypeError) as error:
        raise LabelsError(
            f"the labels cannot be used ({one_line(error, 120)}); expected a list of names, "
            "or a mapping of index to name"
        ) from None


def _read_labels(path: Path) -> NameList:
    try:
        return read_name_file(path)
    except OSError as error:
        raise LabelsError(
            f"cannot read the labels '{path}': {error.strerror or error}; "
            "give a text file with one name per line, or a JSON file"
        ) from error
    except ValueError as error:
        raise LabelsError(
            f"the labels '{path}' cannot be used ({one_line(error, 120)}); expected one name per line, "
            'or JSON: a list of names, or {"0": name, …}'
        ) from None


def _labels_of_model(model: ModelFile, classes: int, offset: int | None) -> Labels:
    """Return the names in the model or beside it; what cannot be used, or does not fit, is named in a note."""
    fitting: list[Labels] = []
    notes: list[str] = []
    for source in name_sources(model):
        try:
            names = source.read()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or one_line(error, 120)
            notes.append(f"class names: {source.where} cannot be used ({reason})")
            continue
        if names is not None and (misfit := _misfit(names, offset, classes)):
            notes.append(f"class names: {source.where} holds {misfit}, and is not used")
        elif names is not None:
            fitting.append(_fitted(names, offset, classes, source.where))
    # Names such as LABEL_0 say nothing: they are only taken where there are no others.
    named = [labels for labels in fitting if not all(map(_PLACEHOLDER.fullmatch, labels.names or ()))] or fitting
    if named:
        notes += [
            f"class names: {other.source} differs from {named[0].source}, which is used"
            for other in named[1:]
            if (other.names, other.offset) != (named[0].names, named[0].offset)
        ]
        return replace(named[0], notes=tuple(notes))
    notes = [f"{note}; give them with --labels" for note in notes]
    notes += _suggestions(model, classes, offset)
    nowhere = "no names in the model or beside it; give them with --labels"
    return Labels(None, offset or 0, classes, nowhere, tuple(notes))


def _suggestions(model: ModelFile, classes: int, offset: int | None) -> Iterator[str]:
    """Yield how to use a file beside a model that holds as many names as the model has classes."""
    for path in label_files(model.path):
        try:
            misfit = _misfit(read_name_file(path), offset, classes)
        except (OSError, ValueError):
            continue
        if not misfit:
            yield f"class names: '{path}' holds {classes} names, but may be another model's: use it with --labels"


def _fitted(names: NameList, offset: int | None, classes: int, source: str) -> Labels:
    """Return the names as labels of a model.

    Raises
    ------
    LabelsError
        Their number does not fit.
    """
    if misfit := _misfit(names, offset, classes):
        raise LabelsError(
            f"the labels ({source}) are {misfit}; give the matching file with --labels, or the right --label-offset"
        )
    first = _offset(offset, names, classes)
    return Labels(tuple(one_line_text(name) for name in names.names), first, classes, source)


def _misfit(names: NameList, offset: int | None, classes: int) -> str | None:
    """Return how many names there are, where that does not fit the number of classes; None where it fits."""
    first = _offset(offset, names, classes)
    if len(names.names) + first == classes:
        return None
    return f"{len(names.names)} names at offset {first}, but the model has {classes} classes"


def _offset(offset: int | None, names: NameList, classes: int) -> int:
    """Return the offset that the user gave, the one that the names state, or the usual one for so many classes."""
    if offset is not None:
        return offset
    return names.first or int((len(names.names), classes) == _BACKGROUND_FIRST)
