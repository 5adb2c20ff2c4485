"""The images of a comparison: each once, with its label, and which of them get maps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnx_cam.classifier.labels import Labels
from onnx_cam.errors import DatasetError, ImageError, LabelsError, SettingError
from onnx_cam.evaluation.datasets import Dataset, class_index, open_dataset
from onnx_cam.evaluation.datasets.formats import FORMATS
from onnx_cam.image.files import STANDARD_INPUT, SUFFIXES, find_images
from onnx_cam.image.sources import as_array, is_pil, open_source

if TYPE_CHECKING:
    from onnx_cam.image.picture import ImageLike

__all__ = ["ComparedImage", "ImageSet", "Images", "check_one_dataset", "find_dataset", "read_image_set"]

Images: TypeAlias = "Dataset | ImageLike | Sequence[ImageLike]"
"""What a user can give as images."""


@dataclass(frozen=True, eq=False)
class ComparedImage:
    """An image that both builds are shown.

    Attributes
    ----------
    source : path, bytes, ndarray or PIL image
        What it can be opened from, again and again.
    name : str
        Its path, or its number among the images.
    sha256 : str
        The hash of the file's bytes, or of the array's.
    label : int or None
        Its class, as a position in the old build's output, where it is known.

    Examples
    --------
    >>> ComparedImage("cat.jpg", "cat.jpg", "00ff", label=1).label
    1
    """

    source: ImageLike
    name: str
    sha256: str
    label: int | None = None


@dataclass(frozen=True)
class ImageSet:
    """The images of a comparison.

    Attributes
    ----------
    images : tuple of ComparedImage
        Each file once, in the order given.
    left_out : mapping of str to str
        Why an image cannot be used, by its name.
    notes : tuple of str
        What the user should know, a line each.

    Examples
    --------
    >>> import shutil
    >>> images = read_image_set(["cat.jpg", "dog.jpg", shutil.copy("cat.jpg", "copy.jpg")], None)
    >>> [image.name for image in images.images], images.notes
    (['cat.jpg', 'dog.jpg'], ('1 image is the same file as another one, and counts once',))
    """

    images: tuple[ComparedImage, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]


def find_dataset(
    names: Sequence[str], kind: str = "auto", images: str | None = None, classes: str | None = None
) -> Dataset | None:
    """Return the dataset that a single path stands for; None for anything else.

    Parameters
    ----------
    names : sequence of str
        What the user gave as images.
    kind, images, classes : optional
        As for :func:`onnx_cam.evaluation.datasets.open_dataset`.

    Raises
    ------
    SettingError
        A kind, a folder of images or a class list is given, but several paths are.
    DatasetError
        The dataset cannot be read.

    Examples
    --------
    >>> find_dataset(["photos.csv"]).samples[0].label
    'cat'
    >>> find_dataset(["cat.jpg", "dog.jpg"]) is None
    True
    """
    is_dataset = check_one_dataset(names, kind, images, classes)
    if len(names) != 1:
        return None
    (path,) = names
    if is_dataset or (os.path.exists(path) and any(layout.recognises(path) for layout in FORMATS)):
        return open_dataset(path, kind, images, classes)
    return None


def check_one_dataset(names: Sequence[str], kind: str, images: str | None, classes: str | None) -> bool:
    """Return whether a user says how to read a dataset, once it is one path that this can be said of.

    Raises
    ------
    SettingError
        Several paths are given.

    Examples
    --------
    >>> check_one_dataset(["photos.csv"], "csv", None, None)
    True
    """
    is_dataset = kind != "auto" or images is not None or classes is not None
    if is_dataset and len(names) != 1:
        raise SettingError(f"--kind, --images and --classes are for one dataset; got {len(names)} paths: give one")
    return is_dataset


def read_image_set(images: Images, labels: Labels | None, suffixes: Sequence[str] = SUFFIXES) -> ImageSet:
    """Return the images that a user gave, each with its hash and its label.

    Parameters
    ----------
    images : Dataset, image or sequence of images
        A path may also be a folder, a pattern, or a dataset.
    labels : Labels, optional
        Of the old build: what a dataset's labels stand for.
    suffixes : sequence of str
        The endings that count as images in a folder.

    Raises
    ------
    ImageError
        None of them can be used.
    DatasetError
        A dataset cannot be read. Labels that do not fit the old build are not used, and a note says why.

    Examples
    --------
    >>> import onnx_cam
    >>> labels = onnx_cam.load("model.onnx", preprocess="unit").labels
    >>> [(image.name, image.label) for image in read_image_set("photos.csv", labels).images]
    [('cat.jpg', 1), ('dog.jpg', 3)]
    """
    listed, notes = _list(images, labels, suffixes)
    found: dict[str, ComparedImage] = {}
    left_out: dict[str, str] = {}
    twins = 0
    for name, source, label in listed:
        try:
            image = _identify(name, source, label)
        except ImageError as error:
            left_out[name] = str(error)
            continue
        twins += image.sha256 in found
        found.setdefault(image.sha256, image)
    if not found and not left_out:
        raise ImageError("no image was given; expected at least one image file, a folder, or a dataset")
    if not found:
        raise ImageError(
            f"none of the {len(left_out)} images can be used, the first because: {next(iter(left_out.values()))}"
        )
    return ImageSet(tuple(found.values()), left_out, (*notes, *_twins(twins)))


def _twins(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    if count == 1:
        return ("1 image is the same file as another one, and counts once",)
    return (f"{count} images are the same file as another one, and count once",)


_Listed: TypeAlias = "list[tuple[str, ImageLike, int | None]]"


def _list(images: object, labels: Labels | None, suffixes: Sequence[str]) -> tuple[_Listed, tuple[str, ...]]:
    """Return the name, the source and the label of each image, and what the user should know."""
    if not isinstance(images, Dataset | list | tuple):
        images = [images]
    if isinstance(images, Sequence):
        paths = [os.fsdecode(one) for one in images if isinstance(one, str | os.PathLike)]
        if len(paths) != len(images):
            return _list_sources(images), ()
        dataset = find_dataset(paths)
        if dataset is None:
            found = find_images(paths, suffixes)
            return [(path, path, None) for path in found.paths], found.notes
        images = dataset
    assert isinstance(images, Dataset)
    indices, notes = _label_indices(images, labels)
    listed: _Listed = [(s.name, s.path, None if s.label is None else indices.get(s.label)) for s in images.samples]
    return listed, (*images.notes, *notes)


def _label_indices(dataset: Dataset, labels: Labels | None) -> tuple[dict[int | str, int], tuple[str, ...]]:
    """Return what a dataset's labels stand for in the old build; where one does not fit, none, and why."""
    known = {sample.label for sample in dataset.samples if sample.label is not None}
    try:
        return {label: class_index(label, labels, dataset) for label in known} if labels else {}, ()
    except (DatasetError, LabelsError) as error:
        return {}, (f"the labels of the dataset are not used: {error}",)


def _list_sources(images: Sequence[object]) -> _Listed:
    """Return images of which not all are paths, named by their number where they have no path."""
    return [
        (os.fsdecode(one) if isinstance(one, str | os.PathLike) else f"image-{number}", one, None)  # type: ignore[misc]
        for number, one in enumerate(images, 1)
    ]


def _identify(name: str, source: ImageLike, label: int | None) -> ComparedImage:
    """Return an image with its hash; what can be read only once is read here."""
    file = open_source(source)
    if file is not None:
        is_path = isinstance(source, str | os.PathLike) and name != STANDARD_INPUT
        kept = source if is_path else file.content
        return ComparedImage(kept, name, file.sha256, label)
    array = np.ascontiguousarray(source if is_pil(source) else as_array(source, "an image"))
    return ComparedImage(source, name, hashlib.sha256(array.tobytes()).hexdigest(), label)
