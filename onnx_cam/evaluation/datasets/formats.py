"""The layouts that data sets come in, and which of them lies at a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from onnx_cam.errors import DatasetError, did_you_mean
from onnx_cam.evaluation.datasets.classes import ClassList, read_classes
from onnx_cam.evaluation.datasets.coco import is_coco, read_coco
from onnx_cam.evaluation.datasets.folders import are_class_folders, is_image_folder, read_class_folders, read_images
from onnx_cam.evaluation.datasets.ilsvrc import is_ilsvrc, read_ilsvrc
from onnx_cam.evaluation.datasets.index import is_index, read_index
from onnx_cam.evaluation.datasets.sample import Dataset
from onnx_cam.evaluation.datasets.table import is_table, read_table
from onnx_cam.evaluation.datasets.voc import is_voc, read_voc

__all__ = ["FORMATS", "Format", "open_dataset"]


@dataclass(frozen=True)
class Format:
    """A layout.

    Attributes
    ----------
    kind : str
    recognises : callable
        Whether such a data set lies at a path.
    read : callable
        ``(path, images, classes)`` to `Dataset`.
    """

    kind: str
    recognises: Callable[[str], bool]
    read: Callable[[str, str | None, ClassList | None], Dataset]


FORMATS: tuple[Format, ...] = (
    Format("ilsvrc", is_ilsvrc, read_ilsvrc),
    Format("csv", is_table, read_table),
    Format("index", is_index, read_index),
    Format("coco", is_coco, read_coco),
    Format("voc", is_voc, read_voc),
    Format("images", is_image_folder, read_images),
    Format("folders", are_class_folders, read_class_folders),
)
"""The layouts in the order in which they are recognised: annotations go before the images that they annotate."""


def open_dataset(
    path: str | os.PathLike[str],
    kind: str = "auto",
    images: str | os.PathLike[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read which images a data set has, with their labels and boxes; the images themselves are not opened.

    Parameters
    ----------
    path : path
        A folder of images, of class folders or of annotations, or an annotation file.
    kind : str
        A layout of `FORMATS`; ``auto`` tells it by what lies there.
    images : path, optional
        The folder of the images that an annotation file names.
    classes : path, optional
        A class list: ``LOC_synset_mapping.txt``, a name a line, or JSON.

    Raises
    ------
    DatasetError
        Nothing there, not readable, no such layout, no image there, or an annotation that cannot be right.
    """
    path = os.fspath(path)
    chosen = _format(path, kind)
    listed = None if classes is None else read_classes(os.fspath(classes))
    return chosen.read(path, None if images is None else os.fspath(images), listed)


def _format(path: str, kind: str) -> Format:
    if not os.path.exists(path):
        raise DatasetError(f"no data set '{path}'; expected a folder of images or an annotation file")
    kinds = [known.kind for known in FORMATS]
    if kind == "auto":
        found = next((known for known in FORMATS if known.recognises(path)), None)
    else:
        found = next((known for known in FORMATS if known.kind == kind), None)
        if found is None:
            raise DatasetError(
                f"no kind of data set {kind!r}{did_you_mean(kind, kinds)} Expected auto, {', '.join(kinds)}"
            )
    if found is None:
        what = (
            "images, class folders or annotations in it" if os.path.isdir(path) else "a .csv or .json file, or a folder"
        )
        raise DatasetError(f"'{path}' is no data set that can be told; expected {what}: {', '.join(kinds)}")
    return found
