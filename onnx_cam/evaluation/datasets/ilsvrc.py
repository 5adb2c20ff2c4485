"""ILSVRC's boxes as Kaggle distributes them: ``LOC_val_solution.csv``."""

from __future__ import annotations

import os

from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets.annotation_file import check_count, first_characters, quoted, read_box, valid_boxes
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.classes import ClassList, image_label, is_wnid, read_classes, read_label
from onnx_cam.evaluation.datasets.csv_file import is_csv, read_rows, word_groups
from onnx_cam.evaluation.datasets.image_paths import ImagePaths
from onnx_cam.evaluation.datasets.sample import Dataset, Sample, add_sample

__all__ = ["is_ilsvrc", "read_ilsvrc"]

_SOLUTION = "LOC_val_solution.csv"
_SYNSETS = "LOC_synset_mapping.txt"
_COLUMNS = ("imageid", "predictionstring")
_BELOW = ("", "val", *(f"{root}Data/CLS-LOC/{split}" for split in ("val", "train") for root in ("ILSVRC/", "")))


def is_ilsvrc(path: str) -> bool:
    """Tell whether a path is a solution file, or a folder with one.

    Examples
    --------
    >>> is_ilsvrc("photos.csv")
    False
    """
    path = _file(path)
    if not is_csv(path):
        return False
    first_line = first_characters(path).split("\n", 1)[0].casefold()
    return all(column in first_line for column in _COLUMNS)


def read_ilsvrc(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    r"""Read ``ImageId,PredictionString`` with ``wnid x0 y0 x1 y1 …``. Boxes are pixels from 0, both ends included.

    Parameters
    ----------
    path : str
        The file, or its folder.
    images : str or None
        The folder of the images, where they do not lie beside the file.
    classes : ClassList or None
        ``LOC_synset_mapping.txt`` beside the file by default.

    Raises
    ------
    DatasetError

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("LOC_val_solution.csv").write_text("ImageId,PredictionString\ncat.jpg,n02123045 8 4 35 27\n")
    >>> tabby = ClassList(("tabby",), {"n02123045": 0})
    >>> read_ilsvrc("LOC_val_solution.csv", None, tabby).samples[0].boxes
    (Box(x0=8.0, y0=4.0, x1=36.0, y1=28.0, label=0),)
    """
    source = _file(path)
    columns, rows = read_rows(source)
    if not set(_COLUMNS) <= set(columns):
        raise DatasetError(f"'{source}', line 1: expected the columns ImageId,PredictionString")
    folder = os.path.dirname(source) or "."
    classes = classes or _classes_beside(folder)
    paths = ImagePaths(folder, images, _BELOW)
    samples: dict[str, Sample] = {}
    for line, row in rows:
        where = f"'{source}', line {line} ({quoted(row['imageid'])})"
        add_sample(samples, _sample(row, where, paths, classes), where)
        check_count(len(samples), source)
    if not samples:
        raise DatasetError(f"'{source}' has only a first line; expected a line for each image")
    paths.check(len(samples), source)
    return Dataset(path, "ilsvrc", tuple(samples.values()), classes.names if classes else None)


def _file(path: str) -> str:
    return os.path.join(path, _SOLUTION) if os.path.isdir(path) else path


def _classes_beside(folder: str) -> ClassList | None:
    path = os.path.join(folder, _SYNSETS)
    return read_classes(path) if os.path.isfile(path) else None


def _sample(row: dict[str, str], where: str, paths: ImagePaths, classes: ClassList | None) -> Sample:
    objects = word_groups(row["predictionstring"], 5, where)
    boxes = valid_boxes((_box(words, where, classes) for words in objects), where)
    image = row["imageid"]
    file = image if os.path.splitext(image)[1] else f"{image}.JPEG"
    wnids = dict.fromkeys([words[0] for words in objects] + [image.split("_")[0]])
    path, _ = paths.find([file, *(f"{wnid}/{file}" for wnid in wnids)], where)  # val sorted into classes, or train
    return Sample(path, file.replace("\\", "/"), image_label(boxes), boxes)


def _box(words: list[str], where: str, classes: ClassList | None) -> Box:
    label = read_label(words[0], classes, where)
    if is_wnid(label):
        problem = "is not in the class list" if classes else "needs a class list"
        raise DatasetError(f"{where}: the class {label} {problem}; put {_SYNSETS} beside the file, or give --classes")
    x0, y0, x1, y1 = read_box(words[1:], where, as_text=True)
    return Box(x0, y0, x1 + 1, y1 + 1, label)
