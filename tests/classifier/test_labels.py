"""Class names, and which class a name stands for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnx_cam.classifier.labels import METADATA_KEY, Labels, find_labels, imagenet_labels
from onnx_cam.errors import LabelsError, TargetError
from onnx_cam.files import MAX_SMALL_FILE_BYTES
from onnx_cam.graph.read import ModelFile, read_model
from tests import tiny

NAMES = ("cat", "dog", "bird", "fish")


def model(folder: Path, metadata: dict[str, str] | None = None) -> ModelFile:
    return read_model(tiny.save(tiny.model(metadata=metadata), folder))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "cat\ndog\nbird\nfish\n"),
        ("a.txt", "\ufeffcat\r\ndog\r\nbird\r\nfish"),
        ("a.json", json.dumps(NAMES)),
        ("a.json", json.dumps({"3": "fish", "0": "cat", "1": "dog", "2": "bird"})),
        ("a.json", json.dumps({"id2label": {"0": "cat", "1": "dog", "2": "bird", "3": "fish"}})),
    ],
)
def test_labels_from_a_file(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert find_labels(str(tmp_path / name), None, model(tmp_path), 4).names == NAMES


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (METADATA_KEY, json.dumps(NAMES)),
        ("names", "{0: 'cat', 1: 'dog', 2: 'bird', 3: 'fish'}"),  # as Ultralytics writes it
        ("classes", "cat,dog, bird,fish"),
        ("labels", "cat\ndog\nbird\nfish"),
        ("id2label", json.dumps(dict(enumerate(NAMES)))),
    ],
)
def test_labels_from_the_metadata(key: str, value: str, tmp_path: Path) -> None:
    labels = find_labels(None, None, model(tmp_path, {key: value}), 4)
    assert labels.names == NAMES
    assert key in labels.source


def test_labels_from_a_config_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": dict(enumerate(NAMES))}))
    assert find_labels(None, None, model(tmp_path), 4).names == NAMES


def test_names_in_the_model_that_do_not_fit_are_ignored(tmp_path: Path) -> None:
    assert find_labels(None, None, model(tmp_path, {"names": "a,b"}), 4).names is None


def test_imagenets_background_class_is_found_from_the_number_of_names(tmp_path: Path) -> None:
    labels = find_labels("imagenet", None, model(tmp_path), 1001)
    assert (labels.offset, labels.name(0), labels.name(1), labels.name(1000)) == (1, None, "tench", "toilet tissue")
    assert labels.index("tench") == 1
    assert labels.index("0") == 0


def test_an_offset_is_taken_from_the_user(tmp_path: Path) -> None:
    labels = find_labels(NAMES, 1, model(tmp_path), 5)
    assert [labels.name(i) for i in range(5)] == [None, *NAMES]


def test_a_file_that_is_one_line_short_does_not_shift_the_names(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="3 names at offset 0, but the model has 4 classes"):
        find_labels(NAMES[:3], None, model(tmp_path), 4)


def test_names_by_index(tmp_path: Path) -> None:
    assert find_labels(dict(enumerate(NAMES)), None, model(tmp_path), 4).names == NAMES
    with pytest.raises(LabelsError, match="cannot be used"):
        find_labels([1, 2, 3, 4], None, model(tmp_path), 4)  # type: ignore[list-item]


@pytest.mark.parametrize(("offset", "classes"), [(None, 3), (None, 5), (None, 6), (1, 4), (0, 5)])
def test_a_number_that_does_not_fit_is_refused(offset: int | None, classes: int, tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=rf"4 names at offset \d, but the model has {classes} classes"):
        find_labels(NAMES, offset, model(tmp_path), classes)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="cannot read the labels"):
        find_labels(str(tmp_path / "none.txt"), None, model(tmp_path), 4)
    (tmp_path / "bad.json").write_text('{"a": 1}')
    with pytest.raises(LabelsError, match="cannot be used"):
        find_labels(str(tmp_path / "bad.json"), None, model(tmp_path), 4)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(LabelsError, match="not UTF-8"):
        find_labels(str(tmp_path / "bad.txt"), None, model(tmp_path), 4)


def test_a_file_that_is_too_large_is_refused_and_never_cut(tmp_path: Path) -> None:
    """What fits into the limit would be four good names: cutting the file there would hide the fifth."""
    path = tmp_path / "names.txt"
    path.write_text("cat\ndog\nbird\n" + "h" * MAX_SMALL_FILE_BYTES + "\nfish\n")
    with pytest.raises(LabelsError, match=r"cannot read the labels '.*names.txt': the file is larger than 16 MiB"):
        find_labels(path, None, model(tmp_path), 4)


def test_a_config_that_is_too_large_is_ignored(tmp_path: Path) -> None:
    config = json.dumps({"id2label": dict(enumerate(NAMES))})
    (tmp_path / "config.json").write_text(config + " " * MAX_SMALL_FILE_BYTES)
    assert find_labels(None, None, model(tmp_path), 4).names is None
    (tmp_path / "config.json").write_text(config + " " * (MAX_SMALL_FILE_BYTES - len(config)))
    assert find_labels(None, None, model(tmp_path), 4).names == NAMES


def test_imagenets_two_cranes_are_an_error_that_lists_them() -> None:
    labels = Labels(imagenet_labels(), 0, 1000, "ImageNet")
    assert len(labels.names or ()) == 1000
    with pytest.raises(TargetError, match="2 classes are named 'crane'; give the index of one of them: 134, 517"):
        labels.index("crane")
    assert labels.index("Tabby") == 281
    assert labels.index("134") == 134
    with pytest.raises(TargetError, match="did you mean 'tiger cat'"):
        labels.index("tigr cat")


def test_a_synonym_names_a_class() -> None:
    labels = Labels(("tench, Tinca tinca", "goldfish"), 0, 2, "x")
    assert labels.index("tinca tinca") == 0


@pytest.mark.parametrize("target", [-1, 4, "4", "999", "9" * 5000])
def test_an_index_out_of_range_is_refused(target: int | str) -> None:
    with pytest.raises(TargetError, match="expected 0 to 3"):
        Labels(NAMES, 0, 4, "x").index(target)


def test_a_name_without_labels_is_refused() -> None:
    with pytest.raises(TargetError, match="no class names are known"):
        Labels(None, 0, 4, "x").index("cat")
