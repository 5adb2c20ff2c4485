"""A comparison with what was kept of the old build gives what one with its file gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx_cam
from onnx_cam.builds.baseline import is_baseline, read_baseline
from onnx_cam.errors import ImageError, ModelError, OutputError, SettingError
from tests.builds.made import NAMES, noisy, write_build, write_photos

COUNT = 10


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_build(tmp_path, "old.onnx", names=NAMES)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write_build(tmp_path, "new.onnx", names=NAMES, w2=noisy(0.3))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", COUNT)


@pytest.fixture
def baseline(old: Path, photos: Path, tmp_path: Path) -> Path:
    onnx_cam.save_baseline(old, [str(photos)], tmp_path / "kept", preprocess="unit")
    return tmp_path / "kept"


def test_the_figures_are_those_of_the_old_file(baseline: Path, old: Path, new: Path, photos: Path) -> None:
    old_file = onnx_cam.diff(old, new, [str(photos)], preprocess="unit")
    old.unlink()
    kept = onnx_cam.diff(baseline, new, [str(photos)], preprocess="unit")
    assert kept.record() == old_file.record()
    assert (kept.figures["map_distance"].value or 0) > 0


def test_it_is_recognised_by_its_content_and_holds_no_pickle(baseline: Path, old: Path, tmp_path: Path) -> None:
    assert is_baseline(baseline)
    assert not is_baseline(old)
    assert not is_baseline(tmp_path / "missing")
    assert all(json.loads(line) for line in baseline.read_text().splitlines())


def test_only_the_drawn_images_have_maps_and_the_figures_are_over_them(
    old: Path, new: Path, photos: Path, tmp_path: Path
) -> None:
    saved = onnx_cam.save_baseline(old, [str(photos)], tmp_path / "kept", preprocess="unit", maps=6, seed=3)
    assert (saved.images, saved.maps) == (COUNT, 6)
    result = onnx_cam.diff(tmp_path / "kept", new, [str(photos)], preprocess="unit")
    assert (result.figures["flips"].n, result.figures["map_distance"].n, len(result.worst)) == (COUNT, 6, 6)
    # The random half of a comparison with the file is among them.
    half = onnx_cam.diff(old, new, [str(photos)], preprocess="unit", maps=6, seed=3)
    drawn = [{image.name for image in one.images if image.is_drawn} for one in (half, result)]
    assert len(drawn[0]) == 3
    assert drawn[0] < drawn[1]


def test_other_images_are_an_error(baseline: Path, new: Path, photos: Path) -> None:
    (photos / "00.png").unlink()
    with pytest.raises(ImageError, match="for other images: 0 of the 9 given are not in it, and 1 of its 10 are not"):
        onnx_cam.diff(baseline, new, [str(photos)])
    write_photos(photos, COUNT + 1)
    with pytest.raises(ImageError, match="for other images: 1 of the 11 given are not in it"):
        onnx_cam.diff(baseline, new, [str(photos)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "cam"}, "made with gradcam:paper, not cam:paper"),
        ({"method": "sscam2", "samples": 2}, "not sscam2:range:samples=2"),
        ({"seed": 1}, "made with seed=0, not seed=1"),
        ({"maps": 5}, "made with maps of 10 images, not 5"),
        ({"layer": "relu1"}, "made with layer 'relu2', not 'relu1'"),
    ],
)
def test_other_settings_are_an_error(
    settings: dict[str, Any], message: str, baseline: Path, new: Path, photos: Path
) -> None:
    with pytest.raises(SettingError, match=message):
        onnx_cam.diff(baseline, new, [str(photos)], **settings)


def test_the_same_settings_may_be_repeated(baseline: Path, new: Path, photos: Path) -> None:
    given: dict[str, Any] = {"method": "gradcam", "seed": 0, "maps": COUNT, "layer": "relu2", "preprocess": "unit"}
    assert len(onnx_cam.diff(baseline, new, [str(photos)], **given).images) == COUNT


def test_another_version_is_an_error(baseline: Path, new: Path, photos: Path) -> None:
    baseline.write_text(baseline.read_text().replace('"onnx_cam_baseline": 1', '"onnx_cam_baseline": 2', 1))
    with pytest.raises(ModelError, match=r"has version 2; expected 1: save it again"):
        onnx_cam.diff(baseline, new, [str(photos)])


@pytest.mark.parametrize("cut", [40, -300, -1])
def test_a_damaged_file_is_an_error(cut: int, baseline: Path) -> None:
    lines = baseline.read_text().splitlines()
    if cut == -1:
        baseline.write_text("\n".join(lines[:-1]))  # the last image is missing
    else:
        baseline.write_text(baseline.read_text()[:cut])
    with pytest.raises(ModelError, match=r"the baseline '.*kept' is damaged \(.*--save-baseline"):
        read_baseline(baseline)


def test_a_baseline_cannot_be_the_new_build(baseline: Path, old: Path, photos: Path) -> None:
    with pytest.raises(ModelError, match="is a baseline, not a model that can be run; give it as the old build"):
        onnx_cam.diff(old, baseline, [str(photos)])


def test_a_damaged_image_is_left_out_on_both_sides(old: Path, new: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    saved = onnx_cam.save_baseline(old, [str(photos)], tmp_path / "kept", preprocess="unit")
    assert [Path(name).name for name in saved.left_out] == ["bad.png"]
    result = onnx_cam.diff(tmp_path / "kept", new, [str(photos)], preprocess="unit")
    assert len(result.images) == COUNT
    assert [Path(name).name for name in result.left_out] == ["bad.png"]


def test_a_class_that_only_the_old_build_has_is_named_where_it_was_predicted(photos: Path, tmp_path: Path) -> None:
    """The old build's first class is a background without a name, which wins; the new build lacks it."""
    path = write_build(tmp_path, "background.onnx", b3=lambda bias: bias + np.array([50, 0, 0, 0]))
    old = onnx_cam.load(path, preprocess="unit", labels=NAMES[:3], label_offset=1)
    onnx_cam.save_baseline(old, [str(photos)], tmp_path / "kept")
    three = write_build(tmp_path, "three.onnx", w3=lambda weight: weight[1:], b3=lambda bias: bias[1:])
    new = onnx_cam.load(three, preprocess="unit", labels=NAMES[:3])
    with pytest.raises(ModelError, match=r"the old build predicts class 0 for .*, which the new build does not have"):
        onnx_cam.diff(tmp_path / "kept", new, [str(photos)])
    # With the old file itself, the likeliest of the classes that both builds have is compared.
    result = onnx_cam.diff(old, new, [str(photos)])
    assert all(image.old.predicted > 0 for image in result.images)
    assert result.figures["flips"].value == 0


def test_of_the_files_that_are_there_only_a_baseline_is_replaced(
    baseline: Path, old: Path, new: Path, photos: Path
) -> None:
    onnx_cam.save_baseline(new, [str(photos)], baseline, preprocess="unit")
    before = old.read_bytes()
    with pytest.raises(OutputError, match=r"old\.onnx' already exists and is not a baseline; choose another file"):
        onnx_cam.save_baseline(new, [str(photos)], old, preprocess="unit")
    assert old.read_bytes() == before
