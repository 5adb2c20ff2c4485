"""ILSVRC's boxes as Kaggle hands them out: ``LOC_val_solution.csv``."""

from __future__ import annotations

import os

from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.classes import ClassList, as_label, image_label, is_wnid, read_classes
from onnx_cam.evaluation.datasets.content import beginning, check_count, checked, coordinates, quoted
from onnx_cam.evaluation.datasets.places import Places
from onnx_cam.evaluation.datasets.sample import Dataset, Sample, add_sample
from onnx_cam.evaluation.datasets.table import groups, is_table, rows_of

__all__ = ["is_ilsvrc", "read_ilsvrc"]

_SOLUTION = "LOC_val_solution.csv"
_SYNSETS = "LOC_synset_mapping.txt"
_COLUMNS = ("imageid", "predictionstring")
_BELOW = ("", "val", *(f"{root}Data/CLS-LOC/{split}" for split in ("val", "train") for root in ("ILSVRC/", "")))


def is_ilsvrc(path: str) -> bool:
    """Tell whether a path is a solution file, or a folder with one."""
    path = _file(path)
    if not is_table(path):
        return False
    line = beginning(path).split("\n", 1)[0].casefold()
    return all(column in line for column in _COLUMNS)


def read_ilsvrc(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read ``ImageId,PredictionString`` with ``wnid x0 y0 x1 y1 …``; boxes are pixels from 0, both ends included."""
    source = _file(path)
    columns, rows = rows_of(source)
    if not set(_COLUMNS) <= set(columns):
        raise DatasetError(f"'{source}', line 1: expected the columns ImageId,PredictionString")
    folder = os.path.dirname(source) or "."
    classes = classes or _beside(folder)
    places = Places(folder, images, _BELOW)
    samples: dict[str, Sample] = {}
    for line, row in rows:
        where = f"'{source}', line {line} ({quoted(row['imageid'])})"
        add_sample(samples, _sample(row, where, places, classes), where)
        check_count(len(samples), source)
    if not samples:
        raise DatasetError(f"'{source}' has a first line alone; expected a line for each image")
    places.check(len(samples), source)
    return Dataset(path, "ilsvrc", tuple(samples.values()), classes.names if classes else None)


def _file(path: str) -> str:
    return os.path.join(path, _SOLUTION) if os.path.isdir(path) else path


def _beside(folder: str) -> ClassList | None:
    path = os.path.join(folder, _SYNSETS)
    return read_classes(path) if os.path.isfile(path) else None


def _sample(row: dict[str, str], where: str, places: Places, classes: ClassList | None) -> Sample:
    objects = groups(row["predictionstring"], 5, where)
    boxes = checked((_box(words, where, classes) for words in objects), where)
    image = row["imageid"]
    file = image if os.path.splitext(image)[1] else f"{image}.JPEG"
    wnids = dict.fromkeys([words[0] for words in objects] + [image.split("_")[0]])
    path, _ = places.find([file, *(f"{wnid}/{file}" for wnid in wnids)], where)  # val sorted into classes, or train
    return Sample(path, file.replace("\\", "/"), image_label(boxes), boxes)


def _box(words: list[str], where: str, classes: ClassList | None) -> Box:
    label = as_label(words[0], classes, where)
    if is_wnid(label):
        listed = "is not in the class list" if classes else "needs a class list"
        raise DatasetError(f"{where}: the class {label} {listed}; put {_SYNSETS} beside the file, or give --classes")
    x0, y0, x1, y1 = coordinates(words[1:], where, as_text=True)
    return Box(x0, y0, x1 + 1, y1 + 1, label)
