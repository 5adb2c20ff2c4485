"""Class names: where they are found, and which class a name stands for."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from onnx_cam.errors import LabelsError, TargetError, did_you_mean, one_line, one_line_text
from onnx_cam.files import read_small_file
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.configurations.files_beside import json_beside

__all__ = ["METADATA_KEY", "GivenLabels", "Labels", "find_labels", "imagenet_labels"]

METADATA_KEY = "onnx_cam.labels"
"""The metadata property that holds the class names as a JSON list."""

GivenLabels: TypeAlias = str | os.PathLike[str] | Sequence[str] | Mapping[int, str]
"""How a user can give class names: see `find_labels`."""

_IMAGENET = "imagenet"
_METADATA_KEYS = (METADATA_KEY, "labels", "names", "classes", "class_names", "id2label")
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

    def name(self, index: int) -> str | None:
        """Return the name of the class of an index; None where it has none."""
        if self.names is None or not 0 <= index - self.offset < len(self.names):
            return None
        return self.names[index - self.offset]

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
        folded_name = name.casefold()
        # The whole label counts first; then its synonyms, as in "tench, Tinca tinca".
        matches = [i for i, label in enumerate(self.names) if label.casefold() == folded_name]
        matches = matches or [i for i, label in enumerate(self.names) if folded_name in _synonyms(label)]
        if not matches:
            hint = did_you_mean(name, self.names)
            raise TargetError(f"no class named {name!r}{hint} Expected one of the {len(self.names)} names, or an index")
        if len(matches) > 1:
            indices = ", ".join(str(i + self.offset) for i in matches)
            raise TargetError(f"{len(matches)} classes are named {name!r}; give the index of one of them: {indices}")
        return matches[0] + self.offset


def _synonyms(label: str) -> list[str]:
    return [part.strip().casefold() for part in label.split(",")]


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
        A text file (one name per line) or a JSON file (a list, or a mapping of index to name), ``imagenet``, or the
        names themselves. Without it: the names in the model's metadata, then those of ``id2label`` or ``label_names``
        in a ``config.json`` beside it.
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
        return _fitted(imagenet_labels(), offset, classes, "ImageNet")
    return _fitted(_read_labels(Path(labels)), offset, classes, f"'{labels}'")


def _names_from(names: Sequence[str] | Mapping[int, str]) -> tuple[str, ...]:
    try:
        return _as_names(names if isinstance(names, Mapping) else list(names))
    except (ValueError, TypeError) as error:
        raise LabelsError(
            f"the labels cannot be used ({error}); expected a list of names, or a mapping of index to name"
        ) from None


def _labels_of_model(model: ModelFile, classes: int, offset: int | None) -> Labels:
    """Return the names in the model's metadata or in a file beside it; those whose number does not fit are ignored."""
    for names, source in _candidates(model):
        if len(names) + _offset(offset, names, classes) == classes:
            return _fitted(names, offset, classes, source)
    return Labels(None, offset or 0, classes, "no names in the model or beside it; give them with --labels")


def _candidates(model: ModelFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield lists of names, and where each was found."""
    for key in _METADATA_KEYS:
        if names := _parse_metadata(model.metadata.get(key, "")):
            yield names, f"the model's metadata, {key}"
    for path in json_beside(model.path):
        if names := _in_config(path):
            yield names, str(path)


def _parse_metadata(text: str) -> tuple[str, ...]:
    """Return the names in a metadata property: JSON, a Python literal, lines, or a list with commas."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return _as_names(parse(text))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    lines = text.splitlines() if "\n" in text.strip() else text.split(",")
    return tuple(line.strip() for line in lines) if len(lines) > 1 else ()


def _in_config(path: Path) -> tuple[str, ...]:
    try:
        config = json.loads(read_small_file(path))
        timm = config.get("pretrained_cfg") or {}
        return _as_names(config.get("id2label") or config.get("label_names") or timm.get("label_names") or [])
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return ()  # the user did not ask for this file, so that it cannot be used is not an error


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        text = read_small_file(path).decode("utf-8-sig")
    except OSError as error:
        raise LabelsError(
            f"cannot read the labels '{path}': {error.strerror or error}; "
            "give a text file with one name per line, or a JSON file"
        ) from error
    except UnicodeDecodeError:
        raise LabelsError(f"the labels '{path}' are not UTF-8 text; expected one name per line, or JSON") from None
    if path.suffix.lower() != ".json":
        return tuple(line.strip() for line in text.rstrip("\r\n").splitlines())
    try:
        content = json.loads(text)
        return _as_names(content.get("id2label", content) if isinstance(content, dict) else content)
    except (ValueError, TypeError, RecursionError) as error:
        raise LabelsError(
            f"the labels '{path}' cannot be used ({one_line(error, 80)}); expected a JSON list of names, "
            'or {"0": name, …}'
        ) from None


def _as_names(content: Any) -> tuple[str, ...]:
    """Return the names in parsed JSON: a list, or a mapping of index to name that has every index from 0 on."""
    if isinstance(content, Mapping):
        by_index = {int(key): value for key, value in content.items()}
        if sorted(by_index) != list(range(len(by_index))):
            raise ValueError("the indices are not 0, 1, 2 …")
        content = [by_index[i] for i in range(len(by_index))]
    if not isinstance(content, list | tuple) or not all(isinstance(name, str) for name in content):
        raise ValueError("not a list of names")
    return tuple(content)


def _fitted(names: tuple[str, ...], offset: int | None, classes: int, source: str) -> Labels:
    """Return the names as labels of a model.

    Raises
    ------
    LabelsError
        Their number does not fit.
    """
    offset = _offset(offset, names, classes)
    if len(names) + offset != classes:
        raise LabelsError(
            f"the labels ({source}) are {len(names)} names at offset {offset}, but the model has {classes} classes; "
            "give the matching file with --labels, or the right --label-offset"
        )
    return Labels(tuple(one_line_text(name) for name in names), offset, classes, source)


def _offset(offset: int | None, names: tuple[str, ...], classes: int) -> int:
    """Return the offset that the user gave, or the usual one for so many names and classes."""
    return int((len(names), classes) == _BACKGROUND_FIRST) if offset is None else offset
