"""COCO's ``instances_*.json``."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import Any

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
from onnx_cam.evaluation.datasets.boxes import Box, find_fault
from onnx_cam.evaluation.datasets.classes import ClassList, image_label, read_label
from onnx_cam.evaluation.datasets.image_paths import ImagePaths
from onnx_cam.evaluation.datasets.sample import Dataset, Sample, add_sample

__all__ = ["is_coco", "read_coco"]

_IN_FOLDER = ("instances_*.json", "annotations/instances_*.json", "_annotations.coco.json")
_LISTS = ("images", "annotations", "categories")

Entry = dict[str, Any]


def is_coco(path: str) -> bool:
    """Tell whether a path is a JSON object, or a folder with COCO's files of instances.

    Examples
    --------
    >>> is_coco("photos.csv")
    False
    """
    if os.path.isdir(path):
        return bool(_files(path))
    return path.lower().endswith(".json") and os.path.isfile(path) and first_characters(path).startswith("{")


def read_coco(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read COCO's images, annotations and categories. A box is ``[x, y, width, height]``, from the upper left corner.

    Crowds and boxes without an area are left out, with a note. An image without annotations has no label.

    Parameters
    ----------
    path : str
        The file, or a folder with one.
    images : str or None
        The folder of the images, where they do not lie where COCO puts them.
    classes : ClassList or None

    Raises
    ------
    DatasetError

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> content = {
    ...     "images": [{"id": 1, "file_name": "cat.jpg"}],
    ...     "annotations": [{"id": 7, "image_id": 1, "category_id": 17, "bbox": [8, 4, 28, 24]}],
    ...     "categories": [{"id": 17, "name": "cat"}],
    ... }
    >>> _ = Path("instances_val.json").write_text(json.dumps(content))
    >>> read_coco("instances_val.json", None, None).samples[0].boxes
    (Box(x0=8.0, y0=4.0, x1=36.0, y1=28.0, label='cat'),)
    """
    source = _file(path)
    image_entries, annotations, categories = _lists(source)
    check_count(len(image_entries), source)
    names = {
        number: _name(entry, where, classes) for number, entry, where in _numbered(categories, "categories", source)
    }
    paths = ImagePaths(_folder(source), images, _below(source))
    by_image: dict[int, Entry] = {number: entry for number, entry, _ in _numbered(image_entries, "images", source)}
    boxes: dict[int, list[tuple[Box, int]]] = {number: [] for number in by_image}
    left_out = {"crowd annotations": 0, "boxes without an area": 0}  # COCO's own files have some of both
    for position, entry in enumerate(annotations):
        where = f"'{source}', annotations[{position}]"
        if _is_crowd(entry, where):
            left_out["crowd annotations"] += 1
            continue
        image, box = _listed_id(entry, "image_id", boxes, where), _box(entry, names, where)
        if box.area == 0:
            left_out["boxes without an area"] += 1
        else:
            boxes[image].append((box, position))
    samples = _samples(by_image, boxes, paths, source)
    paths.check(len(samples), source)
    category_names = tuple(str(names[number]) for number in sorted(names))
    notes = tuple(f"{count} {kind} were left out" for kind, count in left_out.items() if count)
    return Dataset(path, "coco", samples, classes.names if classes else category_names or None, notes)


def _files(folder: str) -> list[str]:
    return sorted(path for name in _IN_FOLDER for path in glob.glob(os.path.join(glob.escape(folder), name)))


def _file(path: str) -> str:
    if not os.path.isdir(path):
        return path
    files = _files(path)
    if len(files) != 1:
        listed = ", ".join(f"'{file}'" for file in files) or "none"
        raise DatasetError(f"'{path}' holds {len(files)} files of COCO instances ({listed}); give one of them")
    return files[0]


def _folder(source: str) -> str:
    """Return the dataset's folder: the one that holds ``annotations``, if the file lies in such a folder."""
    folder = os.path.dirname(source) or "."
    return os.path.dirname(folder) or "." if os.path.basename(folder) == "annotations" else folder


def _below(source: str) -> tuple[str, ...]:
    """Return the folders in which COCO puts the images."""
    split = os.path.splitext(os.path.basename(source))[0].removeprefix("instances_")
    return ("", split, "images", f"images/{split}", "annotations")


def _lists(source: str) -> tuple[list[Any], list[Any], list[Any]]:
    content = read_json(source)
    for name in _LISTS:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise DatasetError(f"'{source}' has no list \"{name}\"; expected COCO's instances")
    if not content["images"]:
        raise DatasetError(f"'{source}' lists no image; expected at least one")
    return content["images"], content["annotations"], content["categories"]


def _numbered(entries: list[Any], kind: str, source: str) -> list[tuple[int, Entry, str]]:
    """Return entries with their ``id`` and their place in the file."""
    numbered: dict[int, tuple[int, Entry, str]] = {}
    for position, entry in enumerate(entries):
        where = f"'{source}', {kind}[{position}]"
        number = entry.get("id") if isinstance(entry, dict) else None
        if not is_integer(number):
            raise DatasetError(f'{where}: {quoted(entry)} has no "id"; expected a whole number')
        if number in numbered:
            raise DatasetError(f"{where}: the id {quoted(number)} is listed twice; give each entry an id of its own")
        numbered[number] = number, entry, where
    return list(numbered.values())


def _name(entry: Entry, where: str, classes: ClassList | None) -> int | str:
    label = read_label(entry.get("name"), classes, where)
    if label is None:
        raise DatasetError(f'{where}: the category has no "name"; expected one')
    return label


def _is_crowd(entry: object, where: str) -> bool:
    if not isinstance(entry, dict):
        raise DatasetError(f"{where}: invalid annotation {quoted(entry)}: expected image_id, category_id and bbox")
    return entry.get("iscrowd") in (1, True)


def _listed_id(entry: Entry, key: str, listed: Mapping[int, object], where: str) -> int:
    number = entry.get(key)
    if not is_integer(number) or number not in listed:
        raise DatasetError(f'{where}: "{key}" is {quoted(number)}; expected an id that the file lists')
    return number


def _box(entry: Entry, names: dict[int, int | str], where: str) -> Box:
    label = names[_listed_id(entry, "category_id", names, where)]
    x, y, width, height = read_box(entry.get("bbox"), where)
    return Box(x, y, x + width, y + height, label)


def _samples(
    by_image: dict[int, Entry], boxes: dict[int, list[tuple[Box, int]]], paths: ImagePaths, source: str
) -> tuple[Sample, ...]:
    samples: dict[str, Sample] = {}
    for number, entry in by_image.items():
        where = f"'{source}', image {number}"
        if not isinstance(entry.get("file_name"), str):
            raise DatasetError(f'{where}: no "file_name"; expected the image\'s path')
        path, name = paths.find([entry["file_name"]], where)
        size = stated_size(entry.get("width"), entry.get("height"))
        for box, position in boxes[number]:
            if find_fault([box], size):
                valid_boxes([box], f"'{source}', annotations[{position}] ({quoted(name)})", size)
        of_image = tuple(box for box, _ in boxes[number])
        add_sample(samples, Sample(path, name, image_label(of_image), of_image, size), where)
    return tuple(samples.values())
