"""Class names, and which class a name stands for."""

from __future__ import annotations

import json
import os
import time
import unicodedata
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.classifier.labels import METADATA_KEY, Labels, find_labels, imagenet_labels
from onnx_cam.classifier.name_lists import names_in
from onnx_cam.classifier.name_texts import parse_names
from onnx_cam.errors import LabelsError, TargetError
from onnx_cam.files import MAX_SMALL_FILE_BYTES
from onnx_cam.graph.read import ModelFile, read_model
from tests import tiny

NAMES = ("cat", "dog", "bird", "fish")


def model(folder: Path, metadata: dict[str, str] | None = None) -> ModelFile:
    return read_model(tiny.save(tiny.model(metadata=metadata), folder))


LINES = "".join(f"{name}\n" for name in NAMES)
BY_INDEX = dict(enumerate(NAMES))
TO_INDEX = {name: i for i, name in BY_INDEX.items()}
WNIDS = {str(i): [f"n{i:08}", name] for i, name in BY_INDEX.items()}

TEXTS = {
    "json-list": json.dumps(NAMES),
    "json-by-index": json.dumps({"3": "fish", "0": "cat", "1": "dog", "2": "bird"}),
    "json-to-index": json.dumps(TO_INDEX),
    "json-in-a-key": json.dumps({"version": 2, "class_names": NAMES}),
    "json-id2label": json.dumps({"id2label": BY_INDEX, "label2id": TO_INDEX}),
    "json-nested": json.dumps({"model": {"labels": NAMES}, "size": [20, 20]}),
    "json-twice": json.dumps(json.dumps(NAMES)),
    "json-records": json.dumps([{"id": i, "name": name, "supercategory": "animal"} for i, name in BY_INDEX.items()]),
    "json-records-in-any-order": json.dumps([{"id": i, "label": NAMES[i]} for i in (2, 0, 3, 1)]),
    "json-wnids": json.dumps(WNIDS),  # Keras's imagenet_class_index.json
    "literal-list": str(list(NAMES)),
    "literal-tuple": str(NAMES),
    "literal-by-index": str(BY_INDEX),  # Ultralytics
    "literal-to-index": str(TO_INDEX),
    "literal-over-lines": str(BY_INDEX).replace(", ", ",\n "),
    "literal-without-brackets": "'cat',\n'dog',\n'bird',\n'fish',",
    "literal-without-braces": "0: 'cat',\n1: 'dog',\n2: 'bird',\n3: 'fish'",
    "literal-ordered": str(OrderedDict(BY_INDEX)),
    "literal-ordered-as-pairs": f"OrderedDict({list(BY_INDEX.items())})",
    "literal-values": str(BY_INDEX.values()),
    "numpy": str(np.array(NAMES)),
    "numpy-repr": repr(np.array(NAMES)),
    "yaml-list": "- cat\n- dog\n- bird\n- fish\n",
    "yaml-by-index": "names:\n  0: cat\n  1: dog\n  2: bird\n  3: fish\n",
    "yaml-to-index": "cat: 0\ndog: 1\nbird: 2\nfish: 3\n",
    "yaml-flow": "[cat, dog, bird, fish]",
    "yaml-flow-by-index": "{0: cat, 1: dog, 2: bird, 3: fish}",
    "yaml-deep": "PostProcess:\n  Topk:\n    topk: 1\n    label_list:\n    - cat\n    - dog\n    - bird\n    - fish\n",
    "lines": LINES,
    "lines-of-windows": LINES.replace("\n", "\r\n"),
    "lines-of-old-macs": LINES.replace("\n", "\r"),
    "lines-with-indices": "0 cat\n1 dog\n2 bird\n3 fish",  # Teachable Machine
    "lines-with-indices-and-colons": "0: cat\n1: dog\n2: bird\n3: fish",
    "lines-in-quotes": '"cat"\n"dog"\n"bird"\n"fish"',
    "lines-with-indices-in-any-order": "3 fish\n0 cat\n2 bird\n1 dog",
    "lines-with-indices-behind": "cat 0\nbird 2\nfish 3\ndog 1",
    "json-lines": "".join(f'{{"id": {i}, "name": "{name}"}}\n' for i, name in BY_INDEX.items()),
    "literal-lines": "".join(f"{{{i}: '{name}'}}\n" for i, name in BY_INDEX.items()),
    "json-of-one-output": json.dumps([BY_INDEX]),  # deepness
    "words": "cat,dog, bird,fish",
    "words-with-indices": "0:cat,1:dog,2:bird,3:fish",  # vortex
}


@pytest.mark.parametrize("form", TEXTS)
def test_every_form_of_names_in_metadata_and_files(form: str, tmp_path: Path) -> None:
    text = TEXTS[form]
    labels = find_labels(None, None, model(tmp_path, {"Class Names": text}), 4)
    assert (labels.names, labels.source, labels.notes) == (NAMES, "the model's metadata, Class Names", ())
    (tmp_path / "names.txt").write_text(text, encoding="utf-8-sig", newline="")
    if not form.startswith("words"):  # in a file of one name per line, that is one name
        assert find_labels(tmp_path / "names.txt", None, model(tmp_path), 4).names == NAMES


@pytest.mark.parametrize("key", [METADATA_KEY, "labels", "names", "classes", "id2label", "CLASS_NAMES", "class_to_idx"])
def test_keys_of_the_metadata(key: str, tmp_path: Path) -> None:
    labels = find_labels(None, None, model(tmp_path, {key: json.dumps(NAMES)}), 4)
    assert (labels.names, labels.source) == (NAMES, f"the model's metadata, {key}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_files_in_the_encodings_of_unicode(encoding: str, tmp_path: Path) -> None:
    names = ("Käse", "été", "dog", "cat")
    (tmp_path / "names.txt").write_bytes("\r\n".join(names).encode(encoding))
    assert find_labels(tmp_path / "names.txt", None, model(tmp_path), 4).names == names


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp437"])
def test_files_in_other_encodings_are_refused(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("\n".join(("Käse", "été", "dog", "cat")).encode(encoding))
    with pytest.raises(LabelsError, match="not UTF-8 text; save it as UTF-8"):
        find_labels(tmp_path / "names.txt", None, model(tmp_path), 4)


def test_a_line_ends_where_a_line_ends(tmp_path: Path) -> None:
    """Not at what only Unicode calls the end of a line."""
    assert parse_names("cat\x85dog\nbird\u2028fish\x0b!").names == ("cat\x85dog", "bird\u2028fish\x0b!")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('["cat", "dog", "bird", "fish"', "neither JSON, a Python literal nor YAML"),
        ("{0: 'cat', 1: 'dog', 2: 'bird', 3: 'fish'", "neither JSON, a Python literal nor YAML"),
        ("{0: 'cat', 2: 'dog', 3: 'bird', 4: 'fish'}", "index 1 is missing"),
        ('{"cat": 0, "dog": 1, "bird": 1, "fish": 2}', "index 1 is given twice"),
        ('{"0": "cat", "0": "dog", "1": "bird", "2": "fish", "3": "x"}', "neither JSON"),
        ("{0: 'cat', 0: 'dog', 1: 'bird', 2: 'fish', 3: 'x'}", "neither JSON"),
        ("['cat', 'dog' 'bird', 'fish', 'x']", "neither JSON"),
        ("['cat' 'dog' ... 'bird' 'fish']", "neither JSON"),
        ("[0, 1, 2, 3]", "the list holds numbers, not names"),
        ("[true, false, null, 1]", "the list holds null and numbers and true or false, not names"),
        ('[["cat"], ["dog"], ["bird"], ["fish"]]', "the list holds lists, not names"),
        ('[{"id": 0}, {"id": 1}, {"id": 2}, {"id": 3}]', "objects without a name"),
        ('{"0": 0.1, "1": 0.2, "2": 0.3, "3": 0.4}', "numbers in place of a name"),
        ('{"width": 3.5, "height": 4}', "neither of index to name nor of name to index"),
        ('{"a": {"labels": ["x"]}, "b": {"labels": ["y"]}}', "several lists of names"),
        ("cat, a house cat, dog, bird", "neither a list of names nor one name per line"),
        ("tench, Tinca tinca, goldfish, Carassius auratus", "neither a list of names nor one name per line"),
        ("cat;dog;bird;fish", "neither a list of names nor one name per line"),
        ("labels.txt", "neither a list of names nor one name per line"),
        ("cat,\ndog,\nbird,\nfish,", "lines that end with commas"),
        ("item {\n  id: 1\n  name: 'cat'\n}", "it holds brackets"),
        ("3 cat\n1 dog\n2 bird\n4 fish", "numbered from 1, in another order"),
        (json.dumps([BY_INDEX, BY_INDEX]), "objects without a name"),
        ("open('names.txt').read()", "neither a list of names nor one name per line"),
        ("[" * 100_000, "neither JSON"),
        ('{"a": ' * 100_000 + "1" + "}" * 100_000, "neither JSON"),
        ("-" * 100_000 + "1", "neither a list of names nor one name per line"),
        ("0.5", "expected a list of names, got numbers"),
        ("cat\x00dog\nbird\nfish", "control characters"),
        ("[]", "the list is empty"),
        ("{}", "the mapping is empty"),
        (json.dumps(NAMES[:3]), "holds 3 names at offset 0, but the model has 4 classes, and is not used"),
        (json.dumps([*NAMES, "cow"]), "holds 5 names at offset 0, but the model has 4 classes, and is not used"),
        ("{1: 'cat', 2: 'dog', 3: 'bird', 4: 'fish'}", "holds 4 names at offset 1, but the model has 4 classes"),
        ("a,b", "holds 2 names at offset 0, but the model has 4 classes, and is not used"),
    ],
)
def test_what_does_not_parse_or_fit_is_named_and_not_used(text: str, reason: str, tmp_path: Path) -> None:
    labels = find_labels(None, None, model(tmp_path, {"names": text}), 4)
    assert labels.names is None
    (note,) = labels.notes
    assert note.startswith("class names: the model's metadata, names ")
    assert reason in note
    assert "\n" not in note
    assert "--labels" in note


@pytest.mark.parametrize("text", ["", " \n", "4", "1000"])
def test_no_names_and_numbers_of_classes_are_no_reason_for_a_note(text: str, tmp_path: Path) -> None:
    labels = find_labels(None, None, model(tmp_path, {"classes": text}), 4)
    assert (labels.names, labels.notes) == (None, ())


def test_metadata_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    content = tiny.model(metadata={"names": "Käse\ndog\nbird\nfish"}).SerializeToString()
    (tmp_path / "model.onnx").write_bytes(content.replace("ä".encode(), b"\xe4-"))
    labels = find_labels(None, None, read_model(tmp_path / "model.onnx"), 4)
    assert labels.names is None
    assert "cannot be used (not UTF-8 text)" in labels.notes[0]


def test_a_note_reaches_the_user(tmp_path: Path) -> None:
    path = tiny.save(tiny.model(metadata={"names": "[1, 2"}), tmp_path)
    assert any(note.startswith("class names: ") for note in onnx_cam.load(path, device="cpu").notes)
    assert not any("names" in note for note in onnx_cam.load(path, device="cpu", labels=NAMES).notes)


def test_indices_from_1_leave_a_background_class(tmp_path: Path) -> None:
    labels = find_labels(None, None, model(tmp_path, {"names": "{1: 'cat', 2: 'dog', 3: 'bird', 4: 'fish'}"}), 5)
    assert [labels.name(i) for i in range(5)] == [None, *NAMES]


def test_digits_may_be_names_of_other_classes() -> None:
    """As torchvision's class_to_idx sorts folders: 0, 1, 10, 2."""
    assert names_in({"0": 0, "1": 1, "10": 2, "2": 3}).names == ("0", "1", "10", "2")
    with pytest.raises(ValueError, match="neither of index to name"):
        names_in({0: 0, 1: 1})
    with pytest.raises(ValueError, match="neither of index to name"):
        names_in({-1: "cat", 0: "dog"})


@pytest.mark.parametrize(
    "rows",
    [
        ("1 star", "2 stars", "3 stars", "4 stars"),
        ("0 stars", "1 star", "2 stars", "3 stars"),
        ("5 euro", "10 euro", "20 euro", "50 euro"),
        ("0", "1", "2", "3"),
        ("boeing 707", "boeing 727", "boeing 737", "boeing 747"),
        ("type 0", "type 1", "type 2", "type 3"),
        ("", "a", "", "b"),
    ],
)
def test_numbers_that_belong_to_names(rows: tuple[str, ...]) -> None:
    assert parse_names("\n".join(rows), lines=True).names == rows


@pytest.mark.parametrize("text", ['"a\\"\n"b"', '"a" "b"\n"c"', "'it's'\n'b'"])
def test_rows_in_odd_quotes_stay_as_they_are(text: str) -> None:
    assert parse_names(text).names == tuple(text.split("\n"))


def test_openvinos_key(tmp_path: Path) -> None:
    labels = find_labels(None, None, model(tmp_path, {"model_info labels": "cat dog bird gold_fish"}), 4)
    assert labels.names == ("cat", "dog", "bird", "gold_fish")


def test_what_yaml_calls_false_is_a_name() -> None:
    assert parse_names("- yes\n- no\n- on\n- null\n").names == ("yes", "no", "on", "null")


def test_the_first_that_fits_is_used_and_what_differs_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {i: f"LABEL_{i}" for i in range(4)}}))
    assert find_labels(None, None, model(tmp_path), 4).names == tuple(f"LABEL_{i}" for i in range(4))
    file = model(tmp_path, {"names": "[1", "classes": json.dumps(NAMES), "id2label": json.dumps(BY_INDEX)})
    labels = find_labels(None, None, file, 4)
    assert labels.names == NAMES
    assert [note for note in labels.notes if "--labels" in note] == []
    assert len(labels.notes) == 1
    (tmp_path / "config.json").write_text(json.dumps({"label2id": TO_INDEX | {"cat": 1, "dog": 0}}))
    assert "differs from the model's metadata, classes, which is used" in find_labels(None, None, file, 4).notes[-1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", {"label2id": TO_INDEX}),
        ("config.json", {"num_classes": 4, "pretrained_cfg": {"mean": [0, 0, 0], "label_names": NAMES}}),
        ("signature.json", {"format": "onnx", "classes": {"Label": NAMES}, "inputs": {}}),  # Lobe
        ("metadata.json", {"tfjsVersion": "1.7", "labels": NAMES, "imageSize": 224}),  # Teachable Machine
        ("tiny.json", {"classes": NAMES}),
        ("inference.yml", {"PostProcess": {"Topk": {"topk": 1, "label_list": NAMES}}}),  # PaddleX
        ("metadata.yaml", {"task": "classify", "names": BY_INDEX}),  # Ultralytics
    ],
)
def test_configurations_beside_the_model(name: str, content: object, tmp_path: Path) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    labels = find_labels(None, None, model(tmp_path), 4)
    assert (labels.names, labels.source) == (NAMES, str(tmp_path / name))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "cannot be used (not JSON: "),
        (b"[" * 100_000, "cannot be used (not JSON: "),
        (b"\xff\xfe\xfa", "cannot be used (not UTF-8 text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:5a\n", "a Git LFS pointer"),
        (json.dumps({"id2label": {"0": "cat", "2": "dog"}}).encode(), "index 1 is missing"),
        (json.dumps({"id2label": dict.fromkeys(range(1000), "x")}).encode(), "1000 names at offset 0, but the model"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    labels = find_labels(None, None, model(tmp_path), 4)
    assert labels.names is None
    assert reason in labels.notes[0]


@pytest.mark.parametrize(
    "content", ["{}", "[]", "3", '{"id2label": {}}', '{"labels": "labels.txt"}', '{"names": null}']
)
def test_a_configuration_without_names_is_no_reason_for_a_note(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    labels = find_labels(None, None, model(tmp_path), 4)
    assert (labels.names, labels.notes) == (None, ())


def test_a_file_of_labels_beside_the_model_is_named_where_it_fits(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(LINES)
    labels = find_labels(None, None, model(tmp_path), 4)
    assert labels.names is None
    assert labels.notes == (
        f"class names: '{tmp_path}/labels.txt' holds 4 names, but may be another model's: use it with --labels",
    )
    assert find_labels(None, None, model(tmp_path), 5).notes == ()
    assert find_labels(None, None, model(tmp_path, {"names": LINES}), 4).notes == ()


def test_names_in_the_graph(tmp_path: Path) -> None:
    proto = tiny.model()
    names = [name.encode() for name in NAMES]
    proto.graph.node.append(
        helper.make_node("ZipMap", ["logits"], ["p"], domain="ai.onnx.ml", classlabels_strings=names)
    )
    assert find_labels(None, None, read_model(tiny.save(proto, tmp_path)), 4).names == NAMES
    proto.graph.node.pop()
    encoder: dict[str, Any] = {"keys_int64s": [1, 0, 2, 3], "values_strings": [NAMES[i] for i in (1, 0, 2, 3)]}
    proto.graph.node.append(helper.make_node("LabelEncoder", ["i"], ["label"], domain="ai.onnx.ml", **encoder))
    labels = find_labels(None, None, read_model(tiny.save(proto, tmp_path)), 4)
    assert (labels.names, labels.source) == (NAMES, "the graph's LabelEncoder")


def test_a_name_is_found_however_its_letters_are_composed() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Café Ö") for form in ("NFC", "NFD"))
    for mine in (composed, decomposed):
        labels = Labels(("tea", mine), 0, 2, "x")
        for target in (composed, decomposed, composed.upper(), decomposed.lower(), "Caf\u00e9\u00a0 Ö"):
            assert labels.index(target) == 1
    assert Labels(("STRASSE", "tea"), 0, 2, "x").index("straße") == 0
    assert Labels(("x²", "x2"), 0, 2, "x").index("x2") == 1


def test_a_class_without_a_name_has_none() -> None:
    assert [Labels(parse_names("cat\n\ndog").names, 0, 3, "x").name(i) for i in range(3)] == ["cat", None, "dog"]


def test_labels_behind_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    os.symlink("gone.txt", tmp_path / "labels.txt")
    with pytest.raises(LabelsError, match=r"cannot read the labels '.*labels.txt': No such file"):
        find_labels(tmp_path / "labels.txt", None, model(tmp_path), 4)


def test_a_pointer_in_place_of_labels_is_refused(tmp_path: Path) -> None:
    """It has three lines, and a model may have three classes."""
    (tmp_path / "labels.txt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:5a\nsize 9\n")
    with pytest.raises(LabelsError, match="a Git LFS pointer, not the file itself"):
        find_labels(tmp_path / "labels.txt", None, model(tmp_path), 3)


def test_a_literal_in_a_text_file_is_not_read_line_by_line(tmp_path: Path) -> None:
    """Each class on a line of its own, in a Python dictionary; cut off, it is no list of lines either."""
    text = "{" + ",\n ".join(f"{i}: '{name}, the animal'" for i, name in BY_INDEX.items()) + "}"
    (tmp_path / "labels.txt").write_text(text)
    assert find_labels(tmp_path / "labels.txt", None, model(tmp_path), 4).names == tuple(
        f"{name}, the animal" for name in NAMES
    )
    (tmp_path / "labels.txt").write_text(text[:-1])
    with pytest.raises(LabelsError, match="neither JSON, a Python literal nor YAML"):
        find_labels(tmp_path / "labels.txt", None, model(tmp_path), 4)


def test_a_first_line_in_brackets_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("[background]\n(other)\nno: dogs\nfish # 3\n")
    names = find_labels(tmp_path / "labels.txt", None, model(tmp_path), 4).names
    assert names == ("[background]", "(other)", "no: dogs", "fish # 3")


def test_labels_from_a_config_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": dict(enumerate(NAMES))}))
    assert find_labels(None, None, model(tmp_path), 4).names == NAMES


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
    (tmp_path / "bad.json").write_text('{"a": 1.5}')
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


@pytest.mark.parametrize("text", ["cat\n", "'cat', ", "- cat\n", "1: cat\n"])
def test_texts_that_would_take_long_to_parse_are_refused_soon(text: str, tmp_path: Path) -> None:
    content = text * ((5 << 20) // len(text))
    start = time.monotonic()
    with pytest.raises(ValueError, match="more than 4 Mi characters"):
        parse_names(content)
    (tmp_path / "metadata.yaml").write_text(content)
    labels = find_labels(None, None, model(tmp_path, {METADATA_KEY: content}), 4)
    assert time.monotonic() - start < 5
    assert sum("more than 4 Mi characters" in note for note in labels.notes) == 2


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
