"""A JSON list of images, as ``index.json`` beside them."""

from __future__ import annotations

import os
from typing import Any

from onnx_cam.classifier.labels import imagenet_labels
from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets.annotation_file import (
    check_count,
    first_characters,
    is_integer,
    quoted,
    read_box,
    read_json,
    stated_size,
    valid_boxes,
)
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.classes import ClassList, Label, read_label
from onnx_cam.evaluation.datasets.image_paths import ImagePaths
from onnx_cam.evaluation.datasets.sample import Dataset, Sample, add_sample

__all__ = ["is_index", "read_index"]


def is_index(path: str) -> bool:
    """Tell whether a path is a JSON list, or a folder with such an ``index.json``.

    Examples
    --------
    >>> is_index("photos.csv")
    False
    """
    path = _file(path)
    return path.lower().endswith(".json") and os.path.isfile(path) and first_characters(path).startswith("[")


def read_index(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read a JSON list of ``{"file", "imagenet_id" or "label", "boxes"}``. Boxes are pixels, both ends included.

    Parameters
    ----------
    path : str
        The file, or its folder.
    images : str or None
        The folder of the images, where they do not lie beside the file.
    classes : ClassList or None

    Raises
    ------
    DatasetError

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("index.json").write_text('[{"file": "cat.jpg", "imagenet_id": 281, "boxes": [[8, 4, 35, 27]]}]')
    >>> dataset = read_index("index.json", None, None)
    >>> dataset.samples[0].label, dataset.class_names[281]
    (281, 'tabby')
    """
    source = _file(path)
    entries = read_json(source)
    if not isinstance(entries, list) or not entries:
        raise DatasetError(
            f'\'{source}\' does not hold a list of images; expected [{{"file": …, "label": …, "boxes": …}}, …]'
        )
    check_count(len(entries), source)
    paths = ImagePaths(os.path.dirname(source) or ".", images)
    samples: dict[str, Sample] = {}
    for number, entry in enumerate(entries, 1):
        where = f"'{source}', entry {number}"
        add_sample(samples, _sample(entry, where, paths, classes), where)
    paths.check(len(samples), source)
    return Dataset(path, "index", tuple(samples.values()), _class_names(entries, classes))


def _file(path: str) -> str:
    return os.path.join(path, "index.json") if os.path.isdir(path) else path


def _sample(entry: object, where: str, paths: ImagePaths, classes: ClassList | None) -> Sample:
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        raise DatasetError(f'{where}: {quoted(entry)} has no "file"; expected the image\'s path')
    where = f"{where} ({quoted(entry['file'])})"
    path, name = paths.find([entry["file"]], where)
    size = stated_size(entry.get("width"), entry.get("height"))
    boxes = entry.get("boxes")
    if not isinstance(boxes, list | None):
        raise DatasetError(f'{where}: "boxes" is {quoted(boxes)}; expected a list of [x0, y0, x1, y1], or null')
    corners = [read_box(box, where) for box in boxes or ()]
    valid = valid_boxes((Box(x0, y0, x1 + 1, y1 + 1) for x0, y0, x1, y1 in corners), where, size)
    return Sample(path, name, _label(entry, where, classes), valid, size)


def _label(entry: dict[str, Any], where: str, classes: ClassList | None) -> Label:
    number = entry.get("imagenet_id")
    if number is None:
        return read_label(entry.get("label"), classes, where)
    if not is_integer(number) or not 0 <= number < 1000:
        raise DatasetError(f'{where}: "imagenet_id" is {quoted(number)}; expected 0 to 999, or null')
    return read_label(number, classes, where)


def _class_names(entries: list[dict[str, Any]], classes: ClassList | None) -> tuple[str, ...] | None:
    """Return the class list: ImageNet's if every entry with a label gives it as ``imagenet_id``."""
    if classes:
        return classes.names
    labelled = [e for e in entries if e.get("imagenet_id") is not None or e.get("label") is not None]
    by_id = bool(labelled) and all(entry.get("imagenet_id") is not None for entry in labelled)
    return imagenet_labels() if by_id else None
