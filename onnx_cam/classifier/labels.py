"""Class names: where they come from, and what a target's name stands for."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from onnx_cam.errors import LabelsError, TargetError, did_you_mean, one_line, one_line_text
from onnx_cam.files import read_small_file
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.find_preprocessing import json_beside

__all__ = ["METADATA_KEY", "Labels", "find_labels", "imagenet_labels"]

METADATA_KEY = "onnx_cam.labels"
"""The metadata property that holds the class names as a JSON list."""

_METADATA_KEYS = (METADATA_KEY, "labels", "names", "classes", "class_names", "id2label")
_MAX_DIGITS = 20
_BACKGROUND_FIRST = (1000, 1001)  # ImageNet's names for a model with a background class in front


@dataclass(frozen=True)
class Labels:
    """The names of a model's classes.

    Attributes
    ----------
    names : tuple of str or None
        None where nothing names the classes.
    offset : int
        The position in the output of the first name: 1 where class 0 is an unnamed background.
    classes : int
        The length of the output.
    source : str
        Where the names were found.
    """

    names: tuple[str, ...] | None
    offset: int
    classes: int
    source: str

    def name(self, index: int) -> str | None:
        """Return the name of the class at a position of the output; None where it has none."""
        if self.names is None or not 0 <= index - self.offset < len(self.names):
            return None
        return self.names[index - self.offset]

    def index(self, target: int | str) -> int:
        """Return the position of a class: digits are an index, anything else a name, whatever its case.

        Raises
        ------
        TargetError
            Out of range, unknown, or the name of more than one class.
        """
        if isinstance(target, str) and not target.strip().isdecimal():
            return self._named(target.strip())
        index = int(target) if len(str(target)) <= _MAX_DIGITS else self.classes
        if not 0 <= index < self.classes:
            given = one_line_text(str(target))[:_MAX_DIGITS]
            raise TargetError(f"no class {given}; the model has {self.classes}: expected 0 to {self.classes - 1}")
        return index

    def _named(self, name: str) -> int:
        if self.names is None:
            raise TargetError(
                f"no class names are known, so {name!r} names no class; give its index, or the names with --labels"
            )
        wanted = name.casefold()
        found = [i for i, label in enumerate(self.names) if label.casefold() == wanted]
        found = found or [i for i, label in enumerate(self.names) if wanted in _synonyms(label)]
        if not found:
            hint = did_you_mean(name, self.names)
            raise TargetError(f"no class named {name!r}{hint} Expected one of the {len(self.names)} names, or an index")
        if len(found) > 1:
            indices = ", ".join(str(i + self.offset) for i in found)
            raise TargetError(f"{len(found)} classes are named {name!r}; give the index of one of them: {indices}")
        return found[0] + self.offset


def _synonyms(label: str) -> list[str]:
    return [part.strip().casefold() for part in label.split(",")]


def imagenet_labels() -> tuple[str, ...]:
    """Return ImageNet's 1,000 class names, in the order of the index."""
    text = resources.files("onnx_cam.classifier").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def find_labels(
    said: str | os.PathLike[str] | Sequence[str] | Mapping[int, str] | None,
    offset: int | None,
    model: ModelFile,
    classes: int,
) -> Labels:
    """Return a model's class names.

    Parameters
    ----------
    said : str, path or sequence of str, optional
        A text file (a name a line) or JSON file (a list, or index to name), ``imagenet``, or the names themselves.
        Without it: the model's metadata, then ``id2label`` or ``label_names`` in a ``config.json`` beside it.
    offset : int, optional
        The position in the output of the first name; without it 0, or 1 for 1,000 names of 1,001 classes.
    model : ModelFile
    classes : int
        The length of the output.

    Raises
    ------
    LabelsError
        The names cannot be read, or their number does not fit.
    """
    if offset is not None and offset < 0:
        raise LabelsError(f"label offset {offset}; expected 0 or more")
    if said is None:
        return _found_labels(model, classes, offset)
    if isinstance(said, os.PathLike):
        said = os.fspath(said)
    if not isinstance(said, str):
        return _fitted(_given_names(said), offset, classes, "as given")
    if said == "imagenet":
        return _fitted(imagenet_labels(), offset, classes, "ImageNet")
    return _fitted(_read_labels(Path(said)), offset, classes, f"'{said}'")


def _given_names(names: Any) -> tuple[str, ...]:
    try:
        return _as_names(names if isinstance(names, Mapping) else list(names))
    except (ValueError, TypeError) as error:
        raise LabelsError(
            f"the labels cannot be used ({error}); expected names, or a mapping of index to name"
        ) from None


def _found_labels(model: ModelFile, classes: int, offset: int | None) -> Labels:
    """Return names that nobody asked for: where their number does not fit they are passed over."""
    for names, source in _candidates(model):
        assumed = int((len(names), classes) == _BACKGROUND_FIRST) if offset is None else offset
        if len(names) + assumed == classes:
            return _fitted(names, offset, classes, source)
    return Labels(None, offset or 0, classes, "nothing names the classes; give them with --labels")


def _candidates(model: ModelFile) -> list[tuple[tuple[str, ...], str]]:
    found = []
    for key in _METADATA_KEYS:
        if names := _parse_metadata(model.metadata.get(key, "")):
            found.append((names, f"the model's metadata, {key}"))
    for path in json_beside(model.path):
        if names := _in_config(path):
            found.append((names, str(path)))
    return found


def _parse_metadata(text: str) -> tuple[str, ...]:
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
        return ()  # nobody asked for this file: what cannot be read there names nothing


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        text = read_small_file(path).decode("utf-8-sig")
    except OSError as error:
        raise LabelsError(
            f"cannot read the labels '{path}': {error.strerror or error}; "
            "give a text file with one name per line, or a JSON file"
        ) from error
    except UnicodeDecodeError:
        raise LabelsError(f"the labels '{path}' are not UTF-8 text; expected a name a line, or JSON") from None
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
    if isinstance(content, Mapping):
        by_index = {int(key): value for key, value in content.items()}
        if sorted(by_index) != list(range(len(by_index))):
            raise ValueError("the indices are not 0, 1, 2 …")
        content = [by_index[i] for i in range(len(by_index))]
    if not isinstance(content, list | tuple) or not all(isinstance(name, str) for name in content):
        raise ValueError("no list of names")
    return tuple(content)


def _fitted(names: tuple[str, ...], offset: int | None, classes: int, source: str) -> Labels:
    if offset is None:
        offset = 1 if (len(names), classes) == _BACKGROUND_FIRST else 0
    if len(names) + offset != classes:
        raise LabelsError(
            f"the labels ({source}) are {len(names)} names at offset {offset}, the model has {classes} classes; "
            "give the right file with --labels, or --label-offset"
        )
    return Labels(tuple(one_line_text(name) for name in names), offset, classes, source)
