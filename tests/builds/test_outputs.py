"""The files of a comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import onnx_cam
from onnx_cam.builds.result import Diff
from tests.builds.made import NAMES, noisy, rotated, write_build, write_photos

COUNT = 12
FIGURES = {"flips", "negative_flips", "drift", "map_distance", "noise_floor", "maps", "changed"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def result(tmp_path: Path, out: Path) -> Diff:
    photos = write_photos(tmp_path / "photos", COUNT)
    for path in list(photos.iterdir()):
        path.rename(photos / f"photo|{path.name}")
    old = write_build(tmp_path, "old.onnx", names=NAMES)
    new = write_build(tmp_path, "new.onnx", names=NAMES, w3=rotated, b3=rotated)
    gates = ["flips>5%", "drift>99%", "maps>3"]
    return onnx_cam.diff(old, new, [str(photos)], preprocess="unit", maps=8, fail_if=gates, out=out)


def test_the_record_has_every_figure_the_builds_the_settings_and_the_gates(result: Diff, out: Path) -> None:
    record = json.loads((out / "diff.json").read_text(encoding="utf-8"))
    assert record == result.record()
    for name in FIGURES:
        assert set(record[name]) == {"value", "low", "high", "n"}
    assert record["negative_flips"] == {"value": None, "low": None, "high": None, "n": 0}
    assert record["flips"]["value"] == 1.0
    assert record["flips"]["n"] == COUNT
    assert record["map_distance"]["n"] == 4
    assert len({record[build]["sha256"] for build in ("old", "new")}) == 2
    assert record["settings"] == {"method": "gradcam", "variant": "paper", "seed": 0, "maps": 8, "drawn": 4}
    assert [(gate["gate"], gate["failed"]) for gate in record["gates"]] == [
        ("flips>5%", True),
        ("drift>99%", False),
        ("maps>3", None),  # over 4 images
    ]
    assert record["images"] == {"compared": COUNT, "with_maps": 8, "left_out": {}}


def test_the_table_has_a_line_for_each_image(result: Diff, out: Path) -> None:
    with open(out / "images.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [image.name for image in result.images]
    assert sum(row["distance"] != "" for row in rows) == 8
    assert sum(row["drawn"] == "1" for row in rows) == 4
    for row, image in zip(rows, result.images, strict=True):
        assert row["old_name"] == NAMES[image.old.predicted]
        assert float(row["new_score"]) == image.new.probability


def test_each_gate_is_a_test_case(result: Diff, out: Path) -> None:
    suite = ElementTree.parse(out / "junit.xml").getroot()
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["3", "1", "0", "1"]
    failure, skipped = suite.find("testcase[@name='flips>5%']/failure"), suite.find("testcase[@name='maps>3']/skipped")
    assert failure is not None
    assert failure.get("message") == result.gates[0].reason
    assert "above 5 %" in result.gates[0].reason
    assert skipped is not None


def test_the_summary_begins_with_what_failed_and_escapes_names(result: Diff, out: Path) -> None:
    text = (out / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("## onnx-cam diff: `flips>5%` failed\n")
    assert "| `flips` | 100.0 % |" in text
    assert r"| photo\|0" in text  # a bar would begin another column
    assert "photo|" not in text


def test_the_worst_images_come_first(result: Diff) -> None:
    distances = [image.distance for image in result.worst]
    assert len(distances) == 8
    assert distances == sorted(distances, reverse=True)  # type: ignore[type-var]


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_photos(tmp_path / "photos", 5)
    old, new = write_build(tmp_path, "old.onnx"), write_build(tmp_path, "new.onnx", w2=noisy(0.3))
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    result = onnx_cam.diff(old, new, [str(photos)], preprocess="unit")
    assert (result.files, sorted(tmp_path.rglob("*"))) == ((), before)
    assert repr(result).startswith("<Diff of old.onnx and new.onnx on 5 images: ")
