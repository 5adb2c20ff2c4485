"""A dataset's labels as positions in a model's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import DatasetError, LabelsError, SettingError
from onnx_cam.evaluation.datasets import Dataset, Sample, class_index

__all__ = ["SampleLabels", "read_labels"]


class SampleLabels(NamedTuple):
    """The class of an image and of each of its boxes, as positions in the model's output; None where there is none.

    Examples
    --------
    >>> SampleLabels(281, (281, None)).image
    281
    """

    image: int | None
    boxes: tuple[int | None, ...]


def read_labels(
    classifier: Classifier, dataset: Dataset, samples: Sequence[Sample], *, ignore: bool, needed: bool
) -> Mapping[str, SampleLabels]:
    """Return the labels of each sample, by the sample's name.

    Parameters
    ----------
    classifier : Classifier
    dataset : Dataset
    samples : sequence of Sample
    ignore : bool
        Whether to leave the labels out, for a model of other classes.
    needed : bool
        Whether each sample must have a label.

    Raises
    ------
    DatasetError, LabelsError
        A label is missing, or does not fit the model.
    SettingError
        Both `ignore` and `needed`.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation.datasets import open_dataset
    >>> model, dataset = onnx_cam.load("model.onnx", preprocess="unit"), open_dataset("photos.csv")
    >>> labels = read_labels(model, dataset, dataset.samples, ignore=False, needed=True)
    >>> labels["dog.jpg"].image
    3
    """
    if ignore and needed:
        raise SettingError("only_correct needs the labels that ignore_labels leaves out; set one of the two")
    if ignore:
        return {sample.name: SampleLabels(None, (None,) * len(sample.boxes)) for sample in samples}
    unlabelled = [sample.name for sample in samples if sample.label is None]
    if needed and unlabelled:
        raise DatasetError(
            f"{len(unlabelled)} images have no label, for example '{unlabelled[0]}'; --only-correct needs a label for "
            "each image: leave it out, or add the labels"
        )

    def index(label: int | str | None) -> int | None:
        return None if label is None else class_index(label, classifier.labels, dataset)

    try:
        return {s.name: SampleLabels(index(s.label), tuple(index(box.label) for box in s.boxes)) for s in samples}
    except (DatasetError, LabelsError) as error:
        raise type(error)(f"{error} (or leave the labels out with --ignore-labels)") from error
