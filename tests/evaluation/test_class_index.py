"""A dataset's label as a position in the model's output."""

from __future__ import annotations

import pytest

from onnx_cam.classifier.labels import Labels, imagenet_labels
from onnx_cam.errors import LabelsError
from onnx_cam.evaluation.datasets import Dataset, Sample, class_index

NAMES = ("cat", "dog", "crane", "crane")


def dataset(*class_names: str) -> Dataset:
    return Dataset("set", "csv", (Sample("a", "a", None),), class_names or None)


def labels(*names: str, offset: int = 0, classes: int | None = None) -> Labels:
    return Labels(names or None, offset, classes or len(names) + offset, "as given")


@pytest.mark.parametrize(
    ("label", "model", "listed", "expected"),
    [
        (2, labels(*NAMES), (), 2),
        (2, labels(*NAMES, offset=1), (), 3),  # a background class without a name, before the others
        (2, labels("background", "a", "b", "c"), ("a", "b", "c"), 3),  # one with a name, which the dataset lacks
        (2, labels("background", "a", "b"), ("background", "a", "b"), 2),
        ("dog", labels(*NAMES), (), 1),
        ("DOG", labels(*NAMES, offset=1), (), 2),
        ("dog", labels(*NAMES), ("bird", "dog"), 1),
        (1, labels(*NAMES), ("bird", "dog"), 1),  # the list is another one: by the name of its second class
        (0, labels(*NAMES), ("dog", "bird"), 1),
        ("dog", labels(classes=3), ("ant", "bee", "dog"), 2),
        ("dog", labels(classes=4, offset=1), ("ant", "bee", "dog"), 3),
        ("n2", labels("7", "n2"), (), 1),
        ("7", labels("8", "7"), (), 1),
        ("n02012849", labels("tench", "crane"), ("n01440764", "n02012849"), 1),
    ],
)
def test_where_a_label_is_in_the_output(
    label: int | str, model: Labels, listed: tuple[str, ...], expected: int
) -> None:
    assert class_index(label, model, dataset(*listed)) == expected


@pytest.mark.parametrize(
    ("label", "model", "listed", "says"),
    [
        (4, labels(*NAMES), (), "the label 4, the model has the classes 0 to 3"),
        (3, labels(*NAMES[:3], offset=1), (), "the label 3, the model has the classes 0 to 2"),
        (-1, labels(*NAMES, offset=1), (), "the label -1"),
        ("bird", labels(*NAMES), (), "the label 'bird' of 'set' does not fit the model: no class named 'bird'"),
        ("crane", labels(*NAMES), (), "2 classes are named 'crane'; give the index of one of them: 2, 3"),
        ("cats", labels("dog", "cat"), ("cats", "dogs"), "no class named 'cats'"),  # 0 would be the dog
        ("dog", labels(classes=4), ("ant", "bee", "dog"), "no class names are known"),
        ("5", labels(*NAMES), (), "no class has that name"),
        ("n01440764", labels("tench"), (), "LOC_synset_mapping.txt: give it with --classes"),
        (1, labels(classes=4), ("ant", "bee", "dog"), "has 3 classes, the model has 4; .* --label-offset"),
        (1, labels(*NAMES), ("ant", "bee"), "no class named 'bee'"),
    ],
)
def test_labels_that_do_not_fit_the_model(label: int | str, model: Labels, listed: tuple[str, ...], says: str) -> None:
    with pytest.raises(LabelsError, match=says) as caught:
        class_index(label, model, dataset(*listed))
    assert "\n" not in str(caught.value)


def test_imagenet_on_a_model_with_a_background_class() -> None:
    names = imagenet_labels()
    assert class_index(281, Labels(names, 1, 1001, ""), dataset(*names)) == 282
    assert class_index(281, Labels(("background", *names), 0, 1001, ""), dataset(*names)) == 282
    assert class_index(281, Labels(None, 0, 1000, ""), dataset(*names)) == 281
    with pytest.raises(LabelsError, match="--label-offset"):
        class_index(281, Labels(None, 0, 1001, ""), dataset(*names))
