"""The layouts that datasets come in, and how to tell which of them lies at a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from onnx_cam.errors import DatasetError, did_you_mean
from onnx_cam.evaluation.datasets.classes import ClassList, read_classes
from onnx_cam.evaluation.datasets.coco import is_coco, read_coco
from onnx_cam.evaluation.datasets.csv_file import is_csv, read_csv
from onnx_cam.evaluation.datasets.folders import are_class_folders, is_image_folder, read_class_folders, read_images
from onnx_cam.evaluation.datasets.ilsvrc import is_ilsvrc, read_ilsvrc
from onnx_cam.evaluation.datasets.index import is_index, read_index
from onnx_cam.evaluation.datasets.sample import Dataset
from onnx_cam.evaluation.datasets.voc import is_voc, read_voc

__all__ = ["FORMATS", "Format", "open_dataset"]


@dataclass(frozen=True)
class Format:
    """A layout of datasets.

    Attributes
    ----------
    kind : str
        The name that ``--kind`` takes.
    recognises : callable
        Tells whether a dataset of this layout lies at a path.
    read : callable
        Takes ``(path, images, classes)`` and returns a `Dataset`.

    Examples
    --------
    >>> Format("csv", is_csv, read_csv).recognises("photos.csv")
    True
    """

    kind: str
    recognises: Callable[[str], bool]
    read: Callable[[str, str | None, ClassList | None], Dataset]


FORMATS: tuple[Format, ...] = (
    Format("ilsvrc", is_ilsvrc, read_ilsvrc),
    Format("csv", is_csv, read_csv),
    Format("index", is_index, read_index),
    Format("coco", is_coco, read_coco),
    Format("voc", is_voc, read_voc),
    Format("images", is_image_folder, read_images),
    Format("folders", are_class_folders, read_class_folders),
)
"""The layouts in the order in which they are recognised: annotations come before the images that they annotate."""


def open_dataset(
    path: str | os.PathLike[str],
    kind: str = "auto",
    images: str | os.PathLike[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read which images a dataset has, with their labels and boxes. The images themselves are not opened.

    Parameters
    ----------
    path : path
        A folder of images, of class folders or of annotations, or an annotation file.
    kind : str
        The name of a layout in `FORMATS`; ``auto`` recognises it by the files at `path`.
    images : path, optional
        The folder of the images that an annotation file names, where they do not lie beside it.
    classes : path, optional
        A class list: ``LOC_synset_mapping.txt``, one name a line, or JSON.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetError
        There is nothing at `path`, it cannot be read or is of no known layout, none of its images exists, or an
        annotation is invalid.

    Examples
    --------
    >>> dataset = open_dataset("photos.csv")
    >>> dataset.samples[1].name, dataset.samples[1].label
    ('dog.jpg', 'dog')
    """
    path = os.fspath(path)
    layout = _format(path, kind)
    class_list = None if classes is None else read_classes(os.fspath(classes))
    return layout.read(path, None if images is None else os.fspath(images), class_list)


def _format(path: str, kind: str) -> Format:
    if not os.path.exists(path):
        raise DatasetError(f"no dataset '{path}'; expected a folder of images or an annotation file")
    kinds = [layout.kind for layout in FORMATS]
    if kind == "auto":
        layout = next((layout for layout in FORMATS if layout.recognises(path)), None)
        if layout is None:
            is_folder = os.path.isdir(path)
            content = "images, class folders or annotations in it" if is_folder else "a .csv or .json file, or a folder"
            raise DatasetError(f"'{path}' is not a dataset of a known layout ({', '.join(kinds)}); expected {content}")
    else:
        layout = next((layout for layout in FORMATS if layout.kind == kind), None)
        if layout is None:
            hint = did_you_mean(kind, kinds)
            raise DatasetError(f"unknown kind of dataset {kind!r}{hint} Expected auto, {', '.join(kinds)}")
    return layout
