"""Invalid datasets: one line that names the file and the place in it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets import annotation_file, open_dataset
from onnx_cam.evaluation.datasets.voc import parse_xml
from tests.evaluation.datasets import coco, images, voc_xml, write_json, write_text
from tests.evaluation.test_datasets import WNIDS, refused

BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><annotation><filename>&c;</filename></annotation>'
OUTSIDE = ["../secret.jpg", "sub/../../secret.jpg", "/etc/passwd", "C:/secret.jpg", "..\\secret.jpg"]


def entry(**changes: Any) -> list[dict[str, Any]]:
    return [{"file": "a.jpg", "label": 1, "boxes": [[1, 2, 3, 4]], "width": 100, "height": 80} | changes]


def test_nothing_there(tmp_path: Path) -> None:
    refused(tmp_path / "gone", "no dataset '.*gone'; expected a folder")
    refused(tmp_path, "not a dataset of a known layout .*; expected images, class folders or annotations")
    refused(write_text(tmp_path / "a.txt", "x"), "not a dataset of a known layout .*; expected a .csv or .json file")
    refused(tmp_path, "unknown kind of dataset 'foldres'; did you mean 'folders'", kind="foldres")
    refused(tmp_path, "no image in", kind="images")
    refused(tmp_path, "no class folder with images", kind="folders")
    refused(tmp_path, "no XML file", kind="voc")
    refused(tmp_path, "0 files of COCO", kind="coco")
    refused(tmp_path, "no file '.*index.json'", kind="index")
    refused(tmp_path, "is a folder; expected an annotation file", kind="csv")
    refused(images(tmp_path, "a.jpg"), "--images is for annotation files", images=tmp_path)
    refused(write_json(tmp_path / "i.json", entry()), "no folder '.*gone'", images=tmp_path / "gone")


@pytest.mark.parametrize("kind", ["csv", "index", "coco", "ilsvrc"])
def test_an_empty_file(kind: str, tmp_path: Path) -> None:
    refused(write_text(tmp_path / "a", " \r\n"), "'.*a' is empty", kind=kind)
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00file")
    refused(tmp_path / "b", "not UTF-8 text", kind=kind)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"images": 1}, "does not hold a list of images"),
        ([], "does not hold a list of images"),
        ([3], "entry 1: 3 has no \"file\""),
        ([{"file": 3}], "entry 1: .* has no \"file\""),
        (entry() * 2, "entry 2: 'a.jpg' is listed twice"),
        (entry(file=""), "invalid file name .*: expected the path of an image"),
        (entry(file="a\0.jpg"), "invalid file name .*: expected the path of an image"),
        (entry(file="\ud800.jpg"), "invalid file name .*: expected text"),
        (entry(label=[1]), r"entry 1 \('a.jpg'\): invalid label \[1\]: expected the index or the name"),
        (entry(label=1.5), "invalid label 1.5: expected the index or the name"),
        (entry(label=True), "invalid label True: expected the index or the name"),
        (entry(label=-1), "invalid label -1: expected an index of at least 0, or a name"),
        (entry(label="-1"), "invalid label -1: expected an index"),
        (entry(imagenet_id=1000), "\"imagenet_id\" is 1000; expected 0 to 999"),
        (entry(imagenet_id="5"), "\"imagenet_id\" is '5'"),
        (entry(boxes=3), "\"boxes\" is 3; expected a list"),
        (entry(boxes=[1, 2, 3, 4]), "invalid box 1: expected four numbers"),
        (entry(boxes=[[1, 2, 3]]), r"invalid box \[1, 2, 3\]: expected four numbers"),
        (entry(boxes=[[1, 2, 3, "4"]]), "four finite numbers"),
        (entry(boxes=[["1", "2", "3", "4"]]), "four finite numbers"),
        (entry(boxes=[[1, 2, 3, True]]), "four finite numbers"),
        (entry(boxes=[[1, 2, 3, None]]), "four finite numbers"),
        (entry(boxes=[[1, 2, 3, 10**400]]), "four finite numbers"),
        (entry(boxes=[[5, 2, 4, 9]]), r"entry 1 \('a.jpg'\): box 1 of 1 .* is empty"),
        (entry(boxes=[[5, 2, 3, 9]]), r"entry 1 \('a.jpg'\): box 1 of 1 .* is inverted"),
        (entry(boxes=[[1, 2, 101, 9]]), r"entry 1 \('a.jpg'\): box 1 of 1 .* outside the image of 100×80 pixels"),
        (entry(boxes=[[-3, 2, 9, 9]], width=None), "lies outside the image; correct"),
    ],
)  # fmt: skip
def test_bad_indices(entries: Any, says: str, tmp_path: Path) -> None:
    refused(write_json(images(tmp_path, "a.jpg") / "bad.json", entries), f"'.*bad.json'.*{says}", kind="index")


@pytest.mark.parametrize("text", ['[{"file": "a.jpg", "boxes": [[1, 2, NaN, 4]]}]', '[{"file": Infinity}]', "[1, 2"])
def test_numbers_that_json_does_not_know(text: str, tmp_path: Path) -> None:
    refused(write_text(tmp_path / "bad.json", text), "'.*bad.json' is damaged JSON")


def test_deep_and_large_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = write_text(tmp_path / "deep.json", "[" * 200_000)
    refused(deep, "nested too deeply|damaged JSON")
    closed = write_text(tmp_path / "closed.json", '[{"file": ' + "[" * 900 + "]" * 900 + "}]")
    refused(closed, 'has no "file"')
    monkeypatch.setattr(annotation_file, "MAX_SAMPLES", 3)
    refused(write_json(images(tmp_path, "a.jpg") / "many.json", entry() * 4), "holds 4 images; expected at most 3")
    refused(images(tmp_path / "many", "1.jpg", "2.jpg", "3.jpg", "4.jpg"), "holds 4 images")
    with pytest.raises(DatasetError, match="is larger than 1 MiB"):
        annotation_file.read_bytes(str(write_text(tmp_path / "large", "x" * ((1 << 20) + 1))), 1 << 20)


@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_that_lead_out(name: str, tmp_path: Path) -> None:
    images(tmp_path, "secret.jpg", "set/a.jpg", "set/sub/a.jpg")
    folder = tmp_path / "set"
    refused(write_json(folder / "a.json", entry(file=name)), r"'.*a.json', entry 1 .*outside")
    refused(write_text(folder / "a.csv", f"file\n{name}\n"), r"'.*a.csv', line 2.*outside")
    refused(write_text(folder / "b.csv", f"ImageId,PredictionString\n{name},\n"), "line 2 .*outside")
    refused(write_json(folder / "c.json", coco(images=[{"id": 1, "file_name": name}])), "image 1: .*outside")
    write_text(tmp_path / "voc" / "a.xml", voc_xml(filename=name))
    refused(tmp_path / "voc", "a.xml': .*outside")


def test_links_that_lead_out(tmp_path: Path) -> None:
    photos, folder = images(tmp_path / "photos", "a.jpg", "b.jpg"), images(tmp_path / "set", "a.jpg")
    (folder / "link.jpg").symlink_to(photos / "b.jpg")
    (folder / "links").symlink_to(photos)
    (folder / "inside.jpg").symlink_to("a.jpg")
    for name in ("link.jpg", "links/b.jpg"):
        refused(write_json(folder / "x.json", entry(file=name)), "lies outside")
    assert len(open_dataset(write_json(folder / "x.json", entry(file="inside.jpg"))).samples) == 1
    found = open_dataset(write_json(folder / "x.json", entry(file=str(photos / "b.jpg"))), images=photos)
    assert [(sample.name, sample.path) for sample in found.samples] == [("b.jpg", str(photos / "b.jpg"))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,label\na.jpg,1\n", "line 1: the columns are 'name, label'; expected file,label,boxes"),
        ("file,label,x0,y0\na.jpg,1,2,3\n", "line 1: the columns are"),
        ("file,file\na.jpg,a.jpg\n", "line 1: the column 'file' is listed twice"),
        ("file,label\n", "has only a first line"),
        ("file,label\na.jpg\n", "line 2: 1 fields; expected 2"),
        ("file,label\na.jpg,1,2\n", "line 2: 3 fields; expected 2"),
        ("file,label\na.jpg,cat\n\na.jpg,dog\n", "line 2 .*the image has 2 labels"),
        ("file,label,x0,y0,x1,y1\na.jpg,cat,1,2,3,\n", r"line 2 \('a.jpg'\): invalid box .* four finite"),
        ("file,label,x0,y0,x1,y1\na.jpg,cat,1,2,3,nan\n", "four finite"),
        ("file,label,x0,y0,x1,y1\na.jpg,cat,1,2,3,inf\n", "four finite"),
        ("file,label,x0,y0,x1,y1\na.jpg,cat,1,2,3,1_0\n", "four finite"),
        ("file,label,x0,y0,x1,y1\na.jpg,cat,9,2,3,4\n", "box 1 of 1 .* is inverted"),
        ("file,label,boxes\na.jpg,cat,1 2 3\n", "has 3 words; expected 4 for each box"),
        ("file,label,boxes\na.jpg,cat,[[1\n", "are not valid JSON"),
        ('file,label,boxes\na.jpg,cat,"[[1,2,3,NaN]]"\n', "four finite"),
        ("file,label,boxes\na.jpg,cat," + "[" * 50_000 + "\n", "are not valid JSON"),
        ("file,label\na.jpg," + "x" * 200_000 + "\n", "line 2: damaged CSV: field larger than"),
        ("file,label\n,cat\n", "line 2: invalid file name '': expected the path of an image"),
    ],
)
def test_bad_csv_files(text: str, says: str, tmp_path: Path) -> None:
    refused(write_text(images(tmp_path, "a.jpg") / "bad.csv", text), f"'.*bad.csv'.*{says}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,n01440764 1 2 3\n", "line 2 .*has 4 words; expected 5"),
        ("x,n01440764 1 2 3 a\n", "line 2 .*four finite"),
        ("x,n01440764 9 9 1 1\n", "line 2 .*box 1 of 1 .* inverted"),
        ("x,n99999999 1 1 9 9\n", "the class n99999999 is not in the class list"),
        ("x,\nx,\n", "line 3 .*is listed twice"),
        ("", "has only a first line"),
    ],
)
def test_bad_ilsvrc_files(text: str, says: str, tmp_path: Path) -> None:
    write_text(images(tmp_path, "x.JPEG") / "LOC_synset_mapping.txt", WNIDS)
    refused(write_text(tmp_path / "bad.csv", f"ImageId,PredictionString\n{text}"), f"'.*bad.csv'.*{says}")


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        (BOMB, "document type or an entity"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "document type or an entity"),
        ("<annotation>&undefined;</annotation>", "damaged XML: undefined entity"),
        ("<annotation>", "damaged XML: no element found"),
        ("<annotation/><b/>", "damaged XML: junk"),
        ("<html/>", "the root is <'html'>; expected an <annotation>"),
        ("<a>" * 100_000, "nested too deeply"),
        ("", "is empty"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "damaged XML: unknown encoding"),
        ("<annotation><object><name>cat</name></object></annotation>", "has no <bndbox>"),
        (voc_xml(("cat", (1, 1, "x", 9))), "four finite"),
        (voc_xml(("cat", (1, 1, "nan", 9))), "four finite"),
        (voc_xml(("cat", (9, 1, 5, 9))), "box 1 of 1 .* is inverted"),
        (voc_xml(("cat", (1, 1, 102, 9))), "outside the image of 100×80 pixels"),
        (voc_xml(("-3", (1, 1, 9, 9))), "invalid label -3: expected an index"),
    ],
)
def test_bad_voc_files(xml: str, says: str, tmp_path: Path) -> None:
    write_text(images(tmp_path, "a.jpg") / "bad.xml", xml)
    refused(tmp_path, f"'.*bad.xml'.*{says}", kind="voc")


def test_a_document_type_in_utf_16_is_refused_too() -> None:
    with pytest.raises(DatasetError, match="document type"):
        parse_xml(BOMB.encode("utf-16"), "'a.xml'")
    assert parse_xml("<annotation>ü</annotation>".encode("utf-16"), "'a.xml'").text == "ü"


def test_two_voc_files_of_one_image(tmp_path: Path) -> None:
    for name in ("a.xml", "b.xml"):
        write_text(images(tmp_path, "a.jpg") / name, voc_xml())
    refused(tmp_path, "b.xml': 'a.jpg' is listed twice")


def changed(kind: str, **changes: Any) -> dict[str, Any]:
    content = coco()
    content[kind][0] |= changes
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"images": []}, "no list \"annotations\""),
        (coco(images={}), "no list \"images\""),
        (coco(images=[]), "lists no image"),
        (coco(images=[3]), r"images\[0\]: 3 has no \"id\""),
        (coco(annotations=[3]), r"annotations\[0\]: invalid annotation 3"),
        (changed("images", id=2), r"images\[1\]: the id 2 is listed twice"),
        (changed("images", id="1"), r"images\[0\]: .* has no \"id\""),
        (changed("images", file_name=None), "image 1: no \"file_name\""),
        (changed("images", file_name="b.jpg"), "image 2: 'b.jpg' is listed twice"),
        (changed("categories", name=None), r"categories\[0\]: the category has no \"name\""),
        (changed("annotations", image_id=9), r"annotations\[0\]: \"image_id\" is 9; expected an id"),
        (changed("annotations", image_id=[1]), r"\"image_id\" is \[1\]"),
        (changed("annotations", category_id=9), "\"category_id\" is 9"),
        (changed("annotations", bbox=None), r"annotations\[0\]: invalid box None"),
        (changed("annotations", bbox=[1, 2, 3, "4"]), "four finite"),
        (changed("annotations", bbox=[1, 2, -3, 4]), r"annotations\[0\] \('a.jpg'\): box 1 of 1 .* is inverted"),
        (changed("annotations", bbox=[1, 2, -3, 4]), "is inverted"),
        (changed("annotations", bbox=[90, 2, 12, 4]), "outside the image of 100×80 pixels"),
    ],
)  # fmt: skip
def test_bad_coco_files(content: dict[str, Any], says: str, tmp_path: Path) -> None:
    refused(write_json(images(tmp_path, "a.jpg") / "bad.json", content), f"'.*bad.json'.*{says}", kind="coco")


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    refused(tmp_path / "a.csv", "is not a regular file", kind="csv")


def test_every_message_survives_control_characters(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.json", json.dumps(entry(file="a\n\x1b[31m.jpg", boxes=3)))
    refused(path, '"boxes" is 3')
