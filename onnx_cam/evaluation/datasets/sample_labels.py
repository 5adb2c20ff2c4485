"""What a dataset calls its images, as positions in a model's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import DatasetError, LabelsError, SettingError
from onnx_cam.evaluation.datasets import Dataset, Sample, class_index

__all__ = ["SampleLabels", "read_labels"]


class SampleLabels(NamedTuple):
    """The class of an image, and of each of its boxes; None where there is none."""

    image: int | None
    boxes: tuple[int | None, ...]


def read_labels(
    classifier: Classifier, dataset: Dataset, samples: Sequence[Sample], *, ignore: bool, needed: bool
) -> Mapping[str, SampleLabels]:
    """Return the labels of each sample, by its name.

    Parameters
    ----------
    classifier : Classifier
    dataset : Dataset
    samples : sequence of Sample
    ignore : bool
        Do not read them.
    needed : bool
        Whether each sample must have one.

    Raises
    ------
    DatasetError, LabelsError
        A label is missing, or does not fit the model.
    SettingError
        They are needed and not to be read.
    """
    if ignore and needed:
        raise SettingError("only_correct compares labels that ignore_labels does not read; expected one of the two")
    if ignore:
        return {sample.name: SampleLabels(None, (None,) * len(sample.boxes)) for sample in samples}
    without = [sample.name for sample in samples if sample.label is None]
    if needed and without:
        raise DatasetError(
            f"{len(without)} images have no label, '{without[0]}' for one; expected one each: --only-correct compares "
            "the model with it"
        )

    def index(label: int | str | None) -> int | None:
        return None if label is None else class_index(label, classifier.labels, dataset)

    try:
        return {s.name: SampleLabels(index(s.label), tuple(index(box.label) for box in s.boxes)) for s in samples}
    except (DatasetError, LabelsError) as error:
        raise type(error)(f"{error} (or leave the labels alone with --ignore-labels)") from error
