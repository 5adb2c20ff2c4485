"""The images of a comparison: which there are, and which of them get maps."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onnx_cam
from onnx_cam.builds.draw import draw_images
from onnx_cam.builds.images import read_image_set
from onnx_cam.errors import DatasetError, ImageError, SettingError
from tests import tiny
from tests.builds.made import noisy, write_build, write_photos

COUNT = 12


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", COUNT)


@pytest.fixture
def builds(tmp_path: Path) -> tuple[Path, Path]:
    return write_build(tmp_path, "old.onnx"), write_build(tmp_path, "new.onnx", w2=noisy(0.3))


def test_the_random_half_is_drawn_first_and_the_other_half_moved_most(builds: tuple[Path, Path], photos: Path) -> None:
    result = onnx_cam.diff(*builds, [str(photos)], preprocess="unit", maps=7)
    drawn = {image.name for image in result.images if image.is_drawn}
    mapped = {image.name for image in result.images if image.distance is not None}
    assert (len(drawn), len(mapped)) == (4, 7)
    others = [image for image in result.images if not image.is_drawn]
    moved = sorted(others, key=lambda image: -image.drift)[:3]
    assert mapped - drawn == {image.name for image in moved}
    assert (result.figures["flips"].n, result.figures["map_distance"].n, result.figures["changed"].n) == (COUNT, 4, 4)
    # The same images are drawn for a build that moves other scores: nothing that is known decides about it.
    other = onnx_cam.diff(builds[0], builds[0], [str(photos)], preprocess="unit", maps=7)
    assert {image.name for image in other.images if image.is_drawn} == drawn


def test_up_to_as_many_images_all_have_maps(photos: Path) -> None:
    images = read_image_set([str(photos)], None).images
    draw = draw_images(images, COUNT, seed=0)
    assert (set(draw.drawn), draw.others) == ({image.sha256 for image in images}, 0)


def test_the_draw_depends_on_the_seed_and_not_on_the_folder(photos: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(photos, tmp_path / "copied"))
    draws = [
        draw_images(read_image_set([str(one)], None).images, 4, seed) for one in (photos, copied) for seed in (0, 1)
    ]
    assert draws[0] == draws[2] != draws[1] == draws[3]


def test_a_file_given_twice_counts_once(photos: Path) -> None:
    shutil.copy(photos / "00.png", photos / "again.png")
    images = read_image_set([str(photos)], None)
    assert len(images.images) == COUNT
    assert images.notes == ("1 image is the same file as another one, and counts once",)


def test_arrays_pictures_and_bytes_are_images_too(builds: tuple[Path, Path], photos: Path) -> None:
    paths = sorted(photos.iterdir())
    with Image.open(paths[0]) as first, Image.open(paths[1]) as second, open(paths[3], "rb") as file:
        given: list[Any] = [np.asarray(first), second, paths[2].read_bytes(), file, paths[4]]
        result = onnx_cam.diff(*builds, given, preprocess="unit")
    from_files = onnx_cam.diff(*builds, list(paths[:5]), preprocess="unit")
    assert not result.left_out
    assert [image.distance for image in result.images] == [image.distance for image in from_files.images]
    assert [image.name for image in result.images] == ["image-1", "image-2", "image-3", "image-4", str(paths[4])]


def test_network_inputs_are_images_without_preprocessing(builds: tuple[Path, Path], tmp_path: Path) -> None:
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", tiny.image(number))
    result = onnx_cam.diff(*builds, [str(tmp_path / "*.npy")], preprocess="none")
    assert len(result.images) == 6
    assert 0 < (result.figures["noise_floor"].value or 0) < (result.figures["map_distance"].value or 0)


def test_a_class_folder_is_a_dataset_with_labels(builds: tuple[Path, Path], photos: Path, tmp_path: Path) -> None:
    for path in photos.iterdir():
        folder = tmp_path / "classes" / str(int(path.stem) % tiny.CLASSES)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    result = onnx_cam.diff(*builds, str(tmp_path / "classes"), preprocess="unit")
    assert {Path(image.name).name: image.image.label for image in result.images} == {
        path.name: int(path.stem) % tiny.CLASSES for path in photos.iterdir()
    }
    right = sum(image.image.label == image.old.predicted for image in result.images)
    assert result.figures["negative_flips"].n == right > 0


def test_folders_that_are_no_classes_of_the_old_build_give_images_without_labels(
    builds: tuple[Path, Path], photos: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(photos, tmp_path / "albums" / "holidays").parent
    result = onnx_cam.diff(*builds, str(folder), preprocess="unit")
    assert len(result.images) == COUNT
    assert all(image.image.label is None for image in result.images)
    assert result.notes[0].startswith("the labels of the dataset are not used: ")
    assert "holidays" in result.notes[0]


# --- bad input


def test_images_that_cannot_be_used_are_left_out(builds: tuple[Path, Path], photos: Path) -> None:
    (photos / "cut.png").write_bytes((photos / "00.png").read_bytes()[:60])
    result = onnx_cam.diff(*builds, [str(photos), "missing.jpg"], preprocess="unit")
    assert len(result.images) == COUNT
    assert [Path(name).name for name in result.left_out] == ["missing.jpg", "cut.png"]


def test_no_usable_image_is_an_error(builds: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    with pytest.raises(ImageError, match="none of the 1 images can be used, the first because"):
        onnx_cam.diff(*builds, [str(tmp_path / "cut.png")], preprocess="unit")
    with pytest.raises(ImageError, match="no image was given"):
        onnx_cam.diff(*builds, [], preprocess="unit")


def test_fewer_than_five_images_give_figures_and_judge_no_gate(builds: tuple[Path, Path], photos: Path) -> None:
    paths = sorted(map(str, photos.iterdir()))[:4]
    result = onnx_cam.diff(builds[0], builds[0], paths, preprocess="unit", new_preprocess="tf", fail_if=["maps>0"])
    assert (result.figures["maps"].low or 0) > 0
    assert [judged.failed for judged in result.gates] == [None]
    assert not result.failed
    assert "4 images: too few to judge a gate, which takes at least 5" in result.notes


def test_a_gate_on_negative_flips_needs_labels(builds: tuple[Path, Path], photos: Path) -> None:
    with pytest.raises(DatasetError, match=r"'negative-flips>1%' needs labels, and the images have none"):
        onnx_cam.diff(*builds, [str(photos)], preprocess="unit", fail_if=["negative-flips>1%"])


def test_settings_are_judged_before_a_model_is_loaded() -> None:
    wrong: list[dict[str, Any]] = [
        {"maps": 0},
        {"seed": -1},
        {"method": "gradcan"},
        {"samples": 3},
        {"fail_if": ["flips"]},
    ]
    for settings in wrong:
        with pytest.raises(SettingError):
            onnx_cam.diff("missing.onnx", "missing.onnx", ["missing.png"], **settings)


def test_numbers_that_are_no_probabilities_are_an_error(builds: tuple[Path, Path], photos: Path) -> None:
    raw = onnx_cam.load(builds[0], preprocess="unit", head="raw")
    with pytest.raises(SettingError, match=r"old.onnx gives numbers that are not probabilities \(head raw\)"):
        onnx_cam.diff(raw, builds[1], [str(photos)])
