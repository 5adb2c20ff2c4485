"""A dataset, whatever layout it came in."""

from __future__ import annotations

from dataclasses import dataclass

from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets.annotation_file import quoted
from onnx_cam.evaluation.datasets.boxes import Box

__all__ = ["Dataset", "Sample", "add_sample"]


@dataclass(frozen=True)
class Sample:
    """An image with its annotations. The image itself has not been opened.

    Attributes
    ----------
    path : str
        Where the image can be opened.
    name : str
        Its path relative to the dataset, unique, with ``/`` between folders.
    label : int, str or None
        Its class: an index of the class list, or a name. None where the dataset does not say.
    boxes : tuple of Box
        The boxes around its objects, in pixels of the image.
    size : tuple of int or None
        ``(width, height)`` of the image that the annotations were made for, where they state it.

    Examples
    --------
    >>> Sample("photos/cat.jpg", "cat.jpg", "cat", (Box(8, 4, 36, 28),))
    Sample(path='photos/cat.jpg', name='cat.jpg', label='cat', boxes=(Box(x0=8, y0=4, x1=36, y1=28, label=None),),
    size=None)
    """

    path: str
    name: str
    label: int | str | None
    boxes: tuple[Box, ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Dataset:
    """Images, labels and boxes.

    Attributes
    ----------
    path : str
        The path that was given.
    kind : str
        The name of the layout, one of `onnx_cam.names.DATASET_KINDS`.
    samples : tuple of Sample
        At least one, in the order of the annotations or of the names.
    class_names : tuple of str or None
        The class list that integer labels are an index of; None where the dataset lists no classes.
    notes : tuple of str
        What was left out or assumed, one line each.

    Examples
    --------
    >>> from onnx_cam.evaluation.datasets import open_dataset
    >>> dataset = open_dataset("photos.csv")
    >>> dataset.kind, [(sample.name, sample.label) for sample in dataset.samples]
    ('csv', [('cat.jpg', 'cat'), ('dog.jpg', 'dog')])
    """

    path: str
    kind: str
    samples: tuple[Sample, ...]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def add_sample(samples: dict[str, Sample], sample: Sample, where: str) -> None:
    """Add a sample to those of a dataset, under its name.

    Parameters
    ----------
    samples : dict of str to Sample
        The samples so far. It is changed.
    sample : Sample
    where : str
        The place in the annotations, for the message.

    Raises
    ------
    DatasetError
        There is a sample of that name already.

    Examples
    --------
    >>> samples = {}
    >>> add_sample(samples, Sample("cat.jpg", "cat.jpg", "cat"), "'photos.csv', line 2")
    >>> list(samples)
    ['cat.jpg']
    """
    if sample.name in samples:
        raise DatasetError(f"{where}: {quoted(sample.name)} is listed twice; list each image once")
    samples[sample.name] = sample
