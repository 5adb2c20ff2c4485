"""What a data set is, whatever layout it came in."""

from __future__ import annotations

from dataclasses import dataclass

from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.content import quoted

__all__ = ["Dataset", "Sample", "add_sample"]


@dataclass(frozen=True)
class Sample:
    """An image with what is known of it; the file itself has not been opened.

    Attributes
    ----------
    path : str
        As it can be opened.
    name : str
        Relative to the data set, unique, with ``/`` between folders.
    label : int, str or None
        Of the image: an index of the class list, or a name; None: unknown.
    boxes : tuple of Box
    size : tuple of int or None
        ``(width, height)`` that the annotations were made for, where they say so.
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
        As given.
    kind : str
        The layout's name: one of `FORMATS`.
    samples : tuple of Sample
        At least one; in the order of the annotations, or by name.
    class_names : tuple of str or None
        The class list that integer labels are an index of; None where nothing lists the classes.
    notes : tuple of str
        What was left out or assumed, a line each.
    """

    path: str
    kind: str
    samples: tuple[Sample, ...]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def add_sample(samples: dict[str, Sample], sample: Sample, where: str) -> None:
    """Add a sample to those of a dataset, by its name.

    Parameters
    ----------
    samples : dict of str to Sample
        Those so far; changed.
    sample : Sample
    where : str
        The place in the annotations, for the message.

    Raises
    ------
    DatasetError
        There is a sample of that name.
    """
    if sample.name in samples:
        raise DatasetError(f"{where}: {quoted(sample.name)} is listed twice; list each image once")
    samples[sample.name] = sample
