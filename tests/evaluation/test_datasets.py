"""Datasets in the layouts that they come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onnx_cam.errors import DatasetError, SettingError
from onnx_cam.evaluation.datasets import FORMATS, Dataset, Sample, choose, open_dataset
from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.image.files import read_image
from tests.evaluation.datasets import coco, images, voc_xml, write_json, write_text
from tests.places import ROOT, SHARED

SHARED_IMAGES = SHARED / "images"
WNIDS = "n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n"


def named(dataset: Dataset) -> dict[str, Sample]:
    return {sample.name: sample for sample in dataset.samples}


def test_a_folder_of_images(tmp_path: Path) -> None:
    images(tmp_path, "b.png", "a.JPG", ".hidden.jpg", "notes.txt", "inside/c.jpg")
    dataset = open_dataset(tmp_path)
    assert dataset.kind == "images"
    assert [(sample.name, sample.label, sample.boxes) for sample in dataset.samples] == [
        ("a.JPG", None, ()), ("b.png", None, ()),
    ]  # fmt: skip
    assert dataset.notes == (
        "the images in 1 of the folders inside were left out",
        f"1 file that is not an image was left out: {tmp_path.name}/notes.txt",
    )
    assert read_image(dataset.samples[0].path).content == b"not opened"


def test_class_folders(tmp_path: Path) -> None:
    images(tmp_path, "dog/1.jpg", "cat/2.jpg", "cat/1.jpg", "cat/deeper/3.jpg", ".git/x.jpg", "empty/notes.txt")
    dataset = open_dataset(tmp_path)
    assert dataset.kind == "folders"
    assert [(sample.name, sample.label) for sample in dataset.samples] == [
        ("cat/1.jpg", "cat"), ("cat/2.jpg", "cat"), ("dog/1.jpg", "dog"),
    ]  # fmt: skip
    assert dataset.class_names == ("cat", "dog")
    assert dataset.notes == ("1 file that is not an image was left out: empty/notes.txt",)


def test_links_that_lead_nowhere_are_left_out_and_named(tmp_path: Path) -> None:
    images(tmp_path, "cat/1.jpg", "cat/2.psd")
    (tmp_path / "cat/loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "cat/gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop").symlink_to("loop")
    dataset = open_dataset(tmp_path)
    assert [sample.name for sample in dataset.samples] == ["cat/1.jpg"]
    (note,) = dataset.notes
    assert note == (
        f"4 files that are not images were left out: cat/2.psd, cat/gone.jpg, cat/loop.jpg, {tmp_path.name}/loop"
    )


def test_class_folders_named_by_digits_are_indices(tmp_path: Path) -> None:
    dataset = open_dataset(images(tmp_path, "10/a.jpg", "2/a.jpg"))
    assert [(sample.name, sample.label) for sample in dataset.samples] == [("10/a.jpg", 10), ("2/a.jpg", 2)]
    assert dataset.class_names is None
    assert dataset.notes == ("folders named by digits are taken for class indices",)
    mixed = open_dataset(images(tmp_path, "10/a.jpg", "2/a.jpg", "cat/a.jpg"))
    assert {sample.label for sample in mixed.samples} == {"10", "2", "cat"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOC_synset_mapping.txt", WNIDS),
        ("index.json", '{"0": ["n01440764", "tench"], "2": ["n03126707", "crane"], "1": ["n02012849", "crane"]}'),
        ("wnids.txt", "n01440764\r\nn02012849\r\nn03126707\r\n"),
        ("wnids.json", '["n01440764", "n02012849", "n03126707"]'),
    ],
)
def test_class_folders_with_a_class_list(name: str, text: str, tmp_path: Path) -> None:
    images(tmp_path / "set", "n03126707/a.jpg", "n01440764/a.jpg", "unknown/a.jpg")
    dataset = open_dataset(tmp_path / "set", classes=write_text(tmp_path / name, text))
    assert [sample.label for sample in dataset.samples] == [0, 2, "unknown"]
    assert dataset.class_names is not None
    assert len(dataset.class_names) == 3


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "", "is empty"),
        ("a.txt", "n01440764 tench\nn01440764 goldfish\n", "names n01440764 more than once"),
        ("a.json", "[1, 2]", "JSON list of names"),
        ("a.json", '{"1": "cat"}', "every index from 0"),
        ("a.json", "{}", "JSON list of names"),
        ("a.json", "[", "damaged JSON"),
    ],
)
def test_class_lists_that_cannot_be_used(name: str, text: str, says: str, tmp_path: Path) -> None:
    images(tmp_path / "set", "cat/a.jpg")
    refused(tmp_path / "set", says, classes=write_text(tmp_path / name, text))


def test_an_index(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "sub/b.jpg")
    entries = [
        {"file": "a.jpg", "imagenet_id": 281, "label": "tabby", "width": 100, "height": 80, "boxes": [[0, 0, 99, 79]]},
        {"file": "./sub/b.jpg", "imagenet_id": None, "label": None, "boxes": None},
        {"file": "gone.jpg"},
    ]
    dataset = open_dataset(write_json(tmp_path / "index.json", entries))
    assert dataset.kind == "index"
    assert dataset.samples[0] == Sample(str(tmp_path / "a.jpg"), "a.jpg", 281, (Box(0, 0, 100, 80),), (100, 80))
    assert dataset.samples[1:] == (
        Sample(str(tmp_path / "sub/b.jpg"), "sub/b.jpg", None),
        Sample(str(tmp_path / "gone.jpg"), "gone.jpg", None),
    )
    assert dataset.class_names is not None
    assert dataset.class_names[281] == "tabby"
    assert open_dataset(tmp_path).samples == dataset.samples
    assert open_dataset(tmp_path, "images").kind == "images"


def test_an_index_of_names(tmp_path: Path) -> None:
    path = write_json(images(tmp_path, "a.jpg") / "x.json", [{"file": "a.jpg", "label": " cat "}])
    assert open_dataset(path).samples[0].label == "cat"
    assert open_dataset(path).class_names is None
    assert open_dataset(path, classes=write_text(tmp_path / "c.txt", "dog\nCat\n")).samples[0].label == 1


@pytest.mark.skipif(not SHARED_IMAGES.is_dir(), reason="no ../shared/images: the photos are not part of the project")
def test_the_index_of_real_photos() -> None:
    dataset = open_dataset(SHARED_IMAGES)
    assert (dataset.kind, len(dataset.samples)) == ("index", 51)
    assert sum(bool(sample.boxes) for sample in dataset.samples) == 42
    assert named(dataset)["ILSVRC2012_val_00000140.JPEG"].boxes == (Box(162, 87, 197, 199),)
    assert named(dataset)["owl.jpg"].label is None


@pytest.mark.parametrize("text", [
    "file,label,x0,y0,x1,y1\na.jpg,cat,1,2,3,4\na.jpg,cat,5,6,7,8\nb.jpg,dog,,,,\n",
    "\ufefffile;label;x0;y0;x1;y1\r\na.jpg;cat;1;2;3;4\r\n\r\na.jpg;cat;5;6;7;8\r\nb.jpg;dog;;;;\r\n",
    'file,label,boxes\na.jpg,cat,"[[1,2,3,4],[5,6,7,8]]"\nb.jpg,dog,\n',
    "File\tLabel\tBoxes\n./a.jpg\t cat\t1 2 3 4 5 6 7 8\nb.jpg\tdog\tnull",
    'file,label,boxes\na.jpg,cat,"[1,2,3,4]"\na.jpg,cat,5 6 7 8\nb.jpg,dog,[]\n',
])  # fmt: skip
def test_a_csv_file(text: str, tmp_path: Path) -> None:
    dataset = open_dataset(write_text(images(tmp_path, "a.jpg") / "set.csv", text))
    assert dataset.kind == "csv"
    assert dataset.samples == (
        Sample(str(tmp_path / "a.jpg"), "a.jpg", "cat", (Box(1, 2, 4, 5), Box(5, 6, 8, 9))),
        Sample(str(tmp_path / "b.jpg"), "b.jpg", "dog"),
    )
    assert dataset.notes == ()


def test_a_csv_file_of_several_classes_in_an_image(tmp_path: Path) -> None:
    text = "file,label,x0,y0,x1,y1,split\na.jpg,3,0,0,9,9,val\na.jpg,cat,0,0,19,19,val\na.jpg,3,0,0,9,9,val\n"
    dataset = open_dataset(write_text(images(tmp_path, "a.jpg") / "set.csv", text))
    assert dataset.samples[0].label == "cat"
    assert dataset.samples[0].boxes == (Box(0, 0, 10, 10, 3), Box(0, 0, 20, 20, "cat"))
    assert dataset.notes == ("columns that are not read: 'split'", "1 repeated rows were counted once")


@pytest.mark.parametrize("place", [
    "{}.JPEG", "val/{}.JPEG", "ILSVRC/Data/CLS-LOC/val/{}.JPEG", "ILSVRC/Data/CLS-LOC/val/n01440764/{}.JPEG",
])  # fmt: skip
def test_ilsvrc(place: str, tmp_path: Path) -> None:
    one, two = "ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"
    images(tmp_path, place.format(one))
    write_text(tmp_path / "LOC_synset_mapping.txt", WNIDS)
    solution = (
        "ImageId,PredictionString\n"
        f"{one},n01440764 111 108 441 193 n01440764 0 0 9 9 \n{two},n03126707 5 6 5 6 n01440764 1 1 3 3\n"
    )
    path = write_text(tmp_path / "LOC_val_solution.csv", solution)
    dataset = open_dataset(path)
    assert dataset.kind == "ilsvrc"
    assert dataset.class_names == ("tench, Tinca tinca", "crane", "crane")
    first = Sample(
        str(tmp_path / place.format(one)), f"{one}.JPEG", 0, (Box(111, 108, 442, 194, 0), Box(0, 0, 10, 10, 0))
    )
    assert dataset.samples[0] == first
    assert dataset.samples[1].label == 0
    assert [box.label for box in dataset.samples[1].boxes] == [2, 0]
    assert open_dataset(tmp_path).samples == dataset.samples


def test_ilsvrc_with_images_and_classes_elsewhere(tmp_path: Path) -> None:
    path = write_text(tmp_path / "set" / "a.csv", "PredictionString,ImageId\nn01440764 1 1 3 3,x\n")
    elsewhere = images(tmp_path / "photos", "x.JPEG")
    refused(path, "needs a class list; put LOC_synset_mapping.txt beside the file", images=elsewhere)
    classes = write_text(tmp_path / "classes.txt", WNIDS)
    refused(path, "none of the 1 images .* exists in .*; give their folder with --images", classes=classes)
    dataset = open_dataset(path, images=elsewhere, classes=classes)
    assert dataset.samples == (Sample(str(elsewhere / "x.JPEG"), "x.JPEG", 0, (Box(1, 1, 4, 4, 0),)),)


@pytest.mark.parametrize("inside", [True, False])
def test_voc(inside: bool, tmp_path: Path) -> None:
    """Boxes count from 1; parts of objects are none; the largest object names an image of several classes."""
    annotations = tmp_path / "Annotations" if inside else tmp_path
    images(tmp_path, "JPEGImages/a.jpg" if inside else "a.jpg")
    objects = ("cat", (1, 1, 10, 10)), ("dog", (45.5, 2, 100, 80))
    write_text(annotations / "a.xml", voc_xml(*objects))
    write_text(annotations / "b.xml", voc_xml(("cat", (1, 1, 10, 10)), filename="b.jpg"))
    write_text(annotations / "c.xml", voc_xml(filename="c.jpg", size="<size/>"))
    dataset = open_dataset(tmp_path)
    assert dataset.kind == "voc"
    sample, other, empty = dataset.samples
    assert sample.boxes == (Box(0, 0, 10, 10, "cat"), Box(44.5, 1, 100, 80, "dog"))
    assert (sample.label, sample.size, sample.name) == ("dog", (100, 80), "a.jpg")
    assert read_image(sample.path).content == b"not opened"
    assert (other.label, empty.label, empty.size) == ("cat", None, None)
    assert dataset.class_names == ("cat", "dog")
    assert open_dataset(annotations).samples[0].boxes == sample.boxes


def test_voc_with_the_ending_missing_as_in_imagenet(tmp_path: Path) -> None:
    """ImageNet's own boxes: ``<filename>`` without an ending, counted from 0."""
    xml = voc_xml(("n01440764", (0, 0, 9, 9)), filename="x_1", database="ILSVRC_2012")
    write_text(tmp_path / "xml" / "x_1.xml", xml)
    photos = images(tmp_path / "photos", "x_1.JPEG")
    classes = write_text(tmp_path / "c.txt", WNIDS)
    dataset = open_dataset(tmp_path / "xml", images=photos, classes=classes)
    assert dataset.samples == (Sample(str(photos / "x_1.JPEG"), "x_1.JPEG", 0, (Box(0, 0, 10, 10, 0),), (100, 80)),)


@pytest.mark.parametrize(
    ("source", "photo"),
    [("instances_val.json", "a.jpg"), ("annotations/instances_val.json", "val/a.jpg"), ("x.json", "images/a.jpg")],
)
def test_coco(source: str, photo: str, tmp_path: Path) -> None:
    images(tmp_path, photo)
    crowd = {"id": 9, "image_id": 2, "category_id": 17, "bbox": [0, 0, 1, 1], "iscrowd": 1}
    flat = {"id": 10, "image_id": 2, "category_id": 17, "bbox": [3, 4, 5, 0], "iscrowd": 0}
    content = coco(annotations=[*coco()["annotations"], crowd, flat])
    path = write_json(tmp_path / source, content)
    dataset = open_dataset(path)
    assert dataset.kind == "coco"
    boxes = (Box(10, 20, 15.5, 26, "cat"), Box(0, 0, 50, 40, "dog"))
    assert dataset.samples[0] == Sample(str(tmp_path / photo), "a.jpg", "dog", boxes, (100, 80))
    assert (dataset.samples[1].label, dataset.samples[1].boxes) == (None, ())
    assert dataset.class_names == ("cat", "dog")
    assert dataset.notes == ("1 crowd annotations were left out", "1 boxes without an area were left out")
    if source != "x.json":
        assert open_dataset(tmp_path).samples == dataset.samples


def test_a_folder_of_two_coco_files_asks_which(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_json(tmp_path / "annotations" / f"instances_{split}.json", coco())
    refused(tmp_path, r"2 files of COCO instances \(.*train.*val.*\); give one of them")


def test_the_draw_depends_on_the_seed_and_the_names_alone() -> None:
    samples = tuple(Sample(f"{i}.jpg", f"{i:03}.jpg", None, (Box(0, 0, 1, 1),) * (i % 2)) for i in range(100))
    dataset, reordered = Dataset("x", "images", samples), Dataset("y", "images", samples[::-1])
    drawn = choose(dataset, limit=10, shuffle=True, seed=3)
    assert drawn == choose(reordered, limit=10, shuffle=True, seed=3)
    assert drawn == choose(dataset, limit=20, shuffle=True, seed=3)[:10]
    assert drawn != choose(dataset, limit=10, shuffle=True, seed=4)
    assert set(choose(dataset, shuffle=True)) == set(samples)
    assert [sample.name for sample in drawn[:3]] == ["068.jpg", "021.jpg", "058.jpg"]  # NumPy's Philox never changes
    assert choose(dataset, limit=2) == samples[:2]
    assert choose(dataset, boxed=True, limit=2) == (samples[1], samples[3])
    assert choose(dataset, limit=1000) == samples


def test_a_draw_of_nothing_is_refused() -> None:
    dataset = Dataset("x", "images", (Sample("a", "a", None),))
    with pytest.raises(DatasetError, match="no image of 'x' has boxes"):
        choose(dataset, boxed=True)
    with pytest.raises(SettingError, match="limit=0; expected at least 1"):
        choose(dataset, limit=0)
    with pytest.raises(SettingError, match="seed=-1; expected at least 0"):
        choose(dataset, shuffle=True, seed=-1)


def test_every_layout_is_documented() -> None:
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    for known in FORMATS:
        assert f"(`{known.kind}`)" in text


def refused(path: Path, says: str, **settings: Any) -> None:
    with pytest.raises(DatasetError, match=says) as caught:
        open_dataset(path, **settings)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    json.dumps(str(caught.value)).encode("ascii")
