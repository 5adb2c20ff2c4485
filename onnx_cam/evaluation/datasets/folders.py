"""A folder of images, and a folder with a folder of images for each class."""

from __future__ import annotations

import os
from collections.abc import Iterable

from onnx_cam.errors import DatasetError, one_line, one_line_text
from onnx_cam.evaluation.datasets.annotation_file import check_count
from onnx_cam.evaluation.datasets.classes import ClassList, read_label
from onnx_cam.evaluation.datasets.sample import Dataset, Sample
from onnx_cam.image.files import SUFFIXES, SYSTEM_FILES, listed

__all__ = ["are_class_folders", "is_image_folder", "read_class_folders", "read_images"]


def is_image_folder(path: str) -> bool:
    """Tell whether images lie directly in a folder.

    Examples
    --------
    >>> is_image_folder(".")
    True
    """
    return os.path.isdir(path) and bool(_images_in(path))


def are_class_folders(path: str) -> bool:
    """Tell whether a folder holds folders with images directly in them.

    Examples
    --------
    >>> are_class_folders(".")
    False
    """
    return os.path.isdir(path) and any(_images_in(os.path.join(path, name)) for name in _folders_in(path))


def read_images(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read a folder with images directly in it. They have no labels and no boxes.

    Examples
    --------
    >>> [sample.name for sample in read_images(".", None, None).samples]
    ['cat.jpg', 'cat.png', 'dog.jpg']
    """
    _refuse_images(images)
    paths = _images_in(path)
    if not paths:
        raise DatasetError(f"no image in '{path}'; expected files ending in {', '.join(SUFFIXES)}")
    check_count(len(paths), path)
    inner = [name for name in _folders_in(path) if _images_in(os.path.join(path, name))]
    notes = [f"the images in {len(inner)} of the folders inside were left out"] if inner else []
    notes += _left_out([path])
    samples = tuple(Sample(image, os.path.basename(image), None) for image in paths)
    return Dataset(path, "images", samples, classes.names if classes else None, tuple(notes))


def read_class_folders(path: str, images: str | None, classes: ClassList | None) -> Dataset:
    """Read a folder with a folder of images for each class. The folder's name is the label.

    Examples
    --------
    >>> import pathlib, shutil
    >>> for name in ("cat", "dog"):
    ...     pathlib.Path("pets", name).mkdir(parents=True)
    ...     _ = shutil.copy(f"{name}.jpg", f"pets/{name}/1.jpg")
    >>> [(sample.name, sample.label) for sample in read_class_folders("pets", None, None).samples]
    [('cat/1.jpg', 'cat'), ('dog/1.jpg', 'dog')]
    """
    _refuse_images(images)
    by_class = {name: _images_in(os.path.join(path, name)) for name in _folders_in(path)}
    by_class = {name: paths for name, paths in by_class.items() if paths}
    if not by_class:
        raise DatasetError(f"no class folder with images in '{path}'; expected PATH/CLASS/IMAGE")
    check_count(sum(map(len, by_class.values())), path)
    labels = {name: read_label(name, classes, f"the class folder '{os.path.join(path, name)}'") for name in by_class}
    by_index = all(isinstance(label, int) for label in labels.values())
    if not classes and not by_index:
        labels = {name: one_line_text(name) for name in by_class}
    samples = tuple(
        Sample(image, f"{name}/{os.path.basename(image)}", labels[name])
        for name, paths in by_class.items()
        for image in paths
    )
    notes = _left_out([path, *(os.path.join(path, name) for name in _folders_in(path))])
    if classes:
        return Dataset(path, "folders", samples, classes.names, tuple(notes))
    if by_index:
        notes = ["folders named by digits are taken for class indices", *notes]
        return Dataset(path, "folders", samples, None, tuple(notes))
    return Dataset(path, "folders", samples, tuple(map(str, labels.values())), tuple(notes))


def _refuse_images(images: str | None) -> None:
    if images is not None:
        raise DatasetError("--images is for annotation files; a folder of images is the dataset itself: leave it out")


def _images_in(folder: str) -> list[str]:
    paths = (entry.path for entry in _entries(folder) if entry.name.lower().endswith(SUFFIXES))
    return sorted(path for path in paths if os.path.isfile(path))


def _left_out(folders: Iterable[str]) -> list[str]:
    """Return a note on the files that do not count as images, links that lead nowhere among them; none for none."""
    names = [
        os.path.join(os.path.basename(folder), entry.name)
        for folder in folders
        for entry in _entries(folder)
        if not os.path.isdir(entry.path)
        and not (entry.name.lower().endswith(SUFFIXES) and os.path.isfile(entry.path))
        and entry.name.lower() not in SYSTEM_FILES
    ]
    if not names:
        return []
    what = "1 file that is not an image was" if len(names) == 1 else f"{len(names)} files that are not images were"
    return [f"{what} left out: {listed(sorted(names))}"]


def _folders_in(folder: str) -> list[str]:
    return sorted(
        entry.name for entry in _entries(folder) if not entry.name.startswith("__") and os.path.isdir(entry.path)
    )


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DatasetError(f"cannot read the folder '{folder}': {one_line(error)}") from error
