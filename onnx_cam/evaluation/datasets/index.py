"""A JSON list of images, as ``index.json`` beside them."""

from __future__ import annotations

import os
from typing import Any

from onnx_cam.classifier.labels import imagenet_labels
from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.classes import ClassList, Label, as_label
from onnx_cam.evaluation.datasets.content import (
    beginning,
    check_count,
    checked,
    coordinates,
    is_integer,
    quoted,
    read_json,
    said_size,
)
from onnx_cam.evaluation.datasets.places import Places
from onnx_cam.evaluation.datasets.sample import Dataset, Sample, add_sample

__all__ = ["is_index", "read_index"]


def is_index(path: str) -> bool:
    """Tell whether a path is a JSON list, or a folder with such an ``index.json``."""
    path = _file(path)
    return path.lower().endswith(".json") and os.path.isfile(path) and beginning(path).startswith("[")


def read_index(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read a JSON list of ``{"file", "imagenet_id" or "label", "boxes"}``; boxes are pixels, both ends included."""
    source = _file(path)
    entries = read_json(source)
    if not isinstance(entries, list) or not entries:
        raise DatasetError(f'\'{source}\' is no list of images; expected [{{"file": …, "label": …, "boxes": …}}, …]')
    check_count(len(entries), source)
    places = Places(os.path.dirname(source) or ".", images)
    samples: dict[str, Sample] = {}
    for number, entry in enumerate(entries, 1):
        where = f"'{source}', entry {number}"
        add_sample(samples, _sample(entry, where, places, classes), where)
    places.check(len(samples), source)
    return Dataset(path, "index", tuple(samples.values()), _class_names(entries, classes))


def _file(path: str) -> str:
    return os.path.join(path, "index.json") if os.path.isdir(path) else path


def _sample(entry: Any, where: str, places: Places, classes: ClassList | None) -> Sample:
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        raise DatasetError(f'{where}: {quoted(entry)} has no "file"; expected the image\'s path')
    where = f"{where} ({quoted(entry['file'])})"
    path, name = places.find([entry["file"]], where)
    size = said_size(entry.get("width"), entry.get("height"))
    boxes = entry.get("boxes")
    if not isinstance(boxes, list | None):
        raise DatasetError(f'{where}: "boxes" is {quoted(boxes)}; expected a list of [x0, y0, x1, y1], or null')
    found = [coordinates(box, where) for box in boxes or ()]
    inside = checked((Box(x0, y0, x1 + 1, y1 + 1) for x0, y0, x1, y1 in found), where, size)
    return Sample(path, name, _label(entry, where, classes), inside, size)


def _label(entry: dict[str, Any], where: str, classes: ClassList | None) -> Label:
    number = entry.get("imagenet_id")
    if number is None:
        return as_label(entry.get("label"), classes, where)
    if not is_integer(number) or not 0 <= number < 1000:
        raise DatasetError(f'{where}: "imagenet_id" is {quoted(number)}; expected 0 to 999, or null')
    return as_label(number, classes, where)


def _class_names(entries: list[dict[str, Any]], classes: ClassList | None) -> tuple[str, ...] | None:
    if classes:
        return classes.names
    labelled = [e for e in entries if e.get("imagenet_id") is not None or e.get("label") is not None]
    by_id = bool(labelled) and all(entry.get("imagenet_id") is not None for entry in labelled)
    return imagenet_labels() if by_id else None
