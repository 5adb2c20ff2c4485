"""From image to network input and from map to image: the documented constants of the presets, and the geometry."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from onnx_cam.errors import ImageError, PreprocessingError
from onnx_cam.graph.frame import Frame
from onnx_cam.image.geometry import Geometry
from onnx_cam.image.preprocessing import PRESETS, Preprocessing
from onnx_cam.image.resizing import LIBRARIES, RESIZES, Interpolation, LibraryName

GENERATOR = np.random.default_rng(0)


def picture(height: int, width: int) -> np.ndarray:
    return GENERATOR.integers(0, 256, (height, width, 3), np.uint8)


FORMULAS = {
    "imagenet": lambda rgb: (rgb / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225),
    "tf": lambda rgb: rgb / 127.5 - 1,
    "caffe": lambda rgb: rgb[..., ::-1] - (103.939, 116.779, 123.68),
    "unit": lambda rgb: rgb / 255,
    "raw": lambda rgb: rgb * 1.0,
}


def test_every_preset_has_a_formula() -> None:
    assert set(FORMULAS) == set(PRESETS)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_follow_their_formulas(name: str) -> None:
    image = picture(300, 500)
    network_input, geometry = PRESETS[name].apply(image, (224, 224))
    resized = cv2.resize(image, (round(500 * 256 / 300), 256), interpolation=cv2.INTER_LINEAR)  # 427 × 256
    crop = resized[16:240, 101:325]
    expected = np.moveaxis(FORMULAS[name](crop.astype(np.float64)), -1, 0)
    np.testing.assert_allclose(network_input, expected, atol=1e-4 if name in ("caffe", "raw") else 1e-6)
    assert network_input.dtype == np.float32
    assert geometry.crop == (
        round(101 * 500 / 427),
        round(16 * 300 / 256),
        round(325 * 500 / 427),
        round(240 * 300 / 256),
    )


def test_an_image_that_shrinks_more_than_twice_is_resized_by_area() -> None:
    image = picture(1000, 1000)
    network_input, _ = PRESETS["raw"].apply(image, (224, 224))
    resized = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA)[16:240, 16:240]
    np.testing.assert_array_equal(network_input, np.moveaxis(resized, -1, 0))


def test_a_non_square_input_is_covered() -> None:
    network_input, geometry = PRESETS["raw"].apply(picture(100, 100), (48, 192))
    assert network_input.shape == (3, 48, 192)  # scaled to 219 × 219, which covers 55 × 219
    x0, y0, x1, y1 = geometry.crop
    assert (x0, x1) == (round(13 * 100 / 219), round(205 * 100 / 219))
    assert (y1 - y0) / (x1 - x0) == pytest.approx(48 / 192, rel=0.05)


def test_one_channel_is_luma_with_the_constants_averaged() -> None:
    image = picture(64, 64)
    network_input, _ = PRESETS["imagenet"].apply(image, (56, 56), channels=1)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[4:60, 4:60]
    np.testing.assert_allclose(network_input[0], (luma / 255 - 0.449) / 0.226, atol=1e-5)


def test_four_channels_need_constants_for_alpha() -> None:
    with pytest.raises(
        PreprocessingError, match="constants for red, green and blue, and the model takes 4 channels: give"
    ):
        PRESETS["imagenet"].apply(picture(64, 64), (56, 56), channels=4)


def test_stretching_sees_the_whole_image() -> None:
    network_input, geometry = Preprocessing("custom", resize="stretch").apply(picture(30, 90), (20, 20))
    assert network_input.shape == (3, 20, 20)
    assert geometry.crop == (0, 0, 90, 30)


def test_a_needle_is_refused_before_it_is_resized() -> None:
    with pytest.raises(ImageError, match="crop it first"):
        PRESETS["imagenet"].apply(np.zeros((2, 30_000, 3), np.uint8), (224, 224))


def test_a_map_comes_back_to_where_it_was_seen() -> None:
    placed = Geometry(60, 100, (20, 10, 60, 50)).place(np.array([[0, 0], [0, 2]], np.float32))
    assert placed.shape == (60, 100)
    assert placed[49, 59] == 1
    assert placed[10, 20] == 0
    outside = placed.copy()
    outside[10:50, 20:60] = 0
    assert not outside.any()


def test_the_map_is_upsampled_then_normalised() -> None:
    cam = GENERATOR.random((7, 7), np.float32)
    upsampled = cv2.resize(cam, (30, 40))
    expected = (upsampled - upsampled.min()) / (upsampled.max() - upsampled.min())
    np.testing.assert_allclose(Geometry(40, 30, (0, 0, 30, 40)).place(cam), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(2, 2), (2, 300), (300, 3), (223, 225), (1001, 777)])
def test_any_image_fills_the_input(size: tuple[int, int]) -> None:
    network_input, geometry = PRESETS["imagenet"].apply(picture(*size), (224, 224))
    x0, y0, x1, y1 = geometry.crop
    assert network_input.shape == (3, 224, 224)
    assert 0 <= x0 < x1 <= size[1]
    assert 0 <= y0 < y1 <= size[0]


def test_a_left_right_object_is_where_its_map_is() -> None:
    """The crop is in the image's own pixels: a white bar ends up under the map's peak."""
    image = np.zeros((200, 600, 3), np.uint8)
    image[:, 300:340] = 255
    network_input, geometry = PRESETS["unit"].apply(image, (56, 56))
    heat = geometry.place(network_input.mean(axis=0))
    columns = np.flatnonzero(heat.max(axis=0) > 0.5)
    assert abs(columns.mean() - 319.5) < 3


def test_every_library_keeps_a_constant_image() -> None:
    for library in LIBRARIES:
        for resize in RESIZES:
            preprocessing = Preprocessing(
                "custom", resize=resize, library=library, interpolation="cubic", pad=(7, 7, 7)
            )
            network_input, _ = preprocessing.apply(np.full((50, 40, 3), 7, np.uint8), (24, 32))
            np.testing.assert_array_equal(network_input, np.full((3, 24, 32), 7))


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "lanczos", "area", "hamming"])
def test_pillow_averages_what_it_shrinks(interpolation: Interpolation) -> None:
    image = picture(400, 400)
    shrunk = {
        library: Preprocessing("custom", resize="stretch", library=library, interpolation=interpolation).apply(
            image, (8, 8)
        )[0]
        for library in ("pillow", "opencv")
    }
    assert shrunk["pillow"].std() < 10  # noise, of standard deviation 74
    if interpolation != "area":
        assert shrunk["opencv"].std() > 30


@pytest.mark.parametrize(("library", "start"), [("pillow", 1), ("torchvision", 2), ("opencv", 1), ("onnx-cam", 1)])
def test_libraries_round_the_start_of_a_crop_in_their_own_ways(library: LibraryName, start: int) -> None:
    _, geometry = Preprocessing("custom", resize="crop", library=library).apply(picture(23, 23), (20, 20))
    assert geometry.crop == (start, start, start + 20, start + 20)


def test_a_shorter_side_counts_alone() -> None:
    """An input of 16×48 pixels of an image whose shorter side becomes 32: the crop reaches beyond it."""
    preprocessing = Preprocessing("custom", resize="shorter-side", crop_pct=0.5, library="pillow")
    network_input, geometry = preprocessing.apply(np.full((64, 64, 3), 255, np.uint8), (16, 48))
    assert geometry.crop == (0, 16, 64, 48)
    assert geometry.cells.columns == (8 / 48, 40 / 48)
    np.testing.assert_array_equal(np.flatnonzero(network_input[0, 0]), np.arange(8, 40))


def test_a_stretched_image_is_cropped_where_a_crop_is_asked_for() -> None:
    _, geometry = Preprocessing("custom", resize="stretch-crop", crop_pct=0.5).apply(picture(40, 80), (20, 20))
    assert geometry.crop == (20, 10, 60, 30)


def test_a_crop_comes_before_the_resizing() -> None:
    image = picture(60, 100)
    network_input, geometry = Preprocessing("custom", resize="crop-first", crop_pct=0.5).apply(image, (30, 30))
    assert geometry.crop == (35, 15, 65, 45)
    np.testing.assert_array_equal(network_input, np.moveaxis(image[15:45, 35:65], -1, 0))


PADDED = Preprocessing("custom", resize="fit", crop_pct=1.0, pad=(255, 0, 0))


def test_an_image_that_fits_is_padded_in_a_colour() -> None:
    network_input, geometry = PADDED.apply(np.zeros((20, 80, 3), np.uint8), (40, 40))
    assert geometry.crop == (0, 0, 80, 20)
    assert geometry.cells == Frame(15 / 40, 0, 25 / 40, 1)
    assert network_input[:, 0, 0].tolist() == [255, 0, 0]
    assert not network_input[:, 15:25].any()


def test_a_map_of_a_padded_image_lies_where_the_image_does() -> None:
    image = np.zeros((20, 80, 3), np.uint8)
    image[:, 20:30] = 255
    network_input, geometry = Preprocessing("custom", resize="fit", crop_pct=1.0).apply(image, (40, 40))
    placed = geometry.place(network_input.mean(axis=0))
    assert placed.shape == (20, 80)
    columns = np.flatnonzero(placed.max(axis=0) > 0.5)
    assert abs(columns.mean() - 24.5) < 1
    padding = np.zeros((40, 40), np.float32)
    padding[:10], padding[30:] = 5, 5  # far from the image: the map is that of the image alone
    assert not geometry.upsample(padding).any()


def test_a_layer_that_sees_a_part_of_a_padded_image() -> None:
    geometry = PADDED.apply(np.zeros((20, 80, 3), np.uint8), (40, 40))[1]
    left_half = geometry.seen_by(Frame(0.0, 0.0, 1.0, 0.5))
    assert (left_half.crop, left_half.cells) == ((0, 0, 40, 20), Frame(15 / 40, 0, 25 / 40, 1))
    upper_part = geometry.seen_by(Frame(0.0, 0.0, 0.5, 1.0))  # half of the image, at the bottom of the map
    assert (upper_part.crop, upper_part.cells) == ((0, 0, 80, 10), Frame(0.75, 0, 1, 1))
    assert geometry.extent == (0, -30, 80, 50)


def test_a_preprocessing_is_described_without_its_notes() -> None:
    described = Preprocessing("custom", notes=("a note",)).describe()
    assert "notes" not in described
    assert described["library"] == "onnx-cam"
