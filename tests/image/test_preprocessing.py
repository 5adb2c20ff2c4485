"""From image to network input and from map to image: the documented constants of the presets, and the geometry."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from onnx_cam.errors import ImageError, PreprocessingError
from onnx_cam.image.geometry import Geometry
from onnx_cam.image.preprocessing import PRESETS, Preprocessing

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


def test_four_channels_are_refused() -> None:
    with pytest.raises(PreprocessingError, match="takes 4 channels, an image file has 3"):
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
