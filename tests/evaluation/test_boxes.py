"""Boxes in the image and in the network's input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnx_cam.errors import DatasetError
from onnx_cam.evaluation.datasets.boxes import Box, box_mask, check_boxes, clip_boxes
from onnx_cam.image.geometry import Geometry
from onnx_cam.image.preprocessing import PRESETS, Preprocessing


@pytest.mark.parametrize(
    ("box", "what"),
    [
        (Box(5, 5, 5, 9), "empty"),
        (Box(9, 5, 5, 9), "inverted"),
        (Box(5, 9, 8, 5), "inverted"),
        (Box(5, 5, 102, 9), "outside"),
        (Box(-1.5, 5, 9, 9), "outside"),
        (Box(100, 5, 101, 9), "outside"),  # sticks out by a pixel, and nothing of it is inside
        (Box(5, -1, 9, 0), "outside"),
        (Box(5, 5, math.nan, 9), "not finite"),
        (Box(5, 5, math.inf, 9), "not finite"),
    ],
)
def test_boxes_that_do_not_fit_the_image_are_named(box: Box, what: str) -> None:
    with pytest.raises(DatasetError, match=rf"^box 2 of 2 .* {what} .*100×80 pixels; correct"):
        check_boxes([Box(0, 0, 100, 80), box], 100, 80)


def test_a_pixel_outside_is_cut_off() -> None:
    boxes = [Box(-1, -1, 101, 81, "cat")]
    check_boxes(boxes, 100, 80)
    assert clip_boxes(boxes, 100, 80) == (Box(0, 0, 100, 80, "cat"),)


def test_a_box_covers_the_pixels_whose_centre_it_holds() -> None:
    """40×20 pixels, of which the network sees the middle 20×20 as 10×10: each of its pixels is 2×2 of the image."""
    geometry = Geometry(20, 40, (10, 0, 30, 20))
    expected = np.zeros((10, 10), bool)
    expected[2:5, 0:3] = True  # image columns 6 to 15, rows 4 to 9
    np.testing.assert_array_equal(box_mask([Box(6, 4, 16, 10)], geometry, (10, 10)), expected)


def test_a_centre_on_the_edge_belongs_to_one_of_two_neighbouring_boxes() -> None:
    geometry = Geometry(20, 20, (0, 0, 20, 20))
    left, right = (box_mask([box], geometry, (10, 10)) for box in (Box(0, 0, 5, 20), Box(5, 0, 20, 20)))
    assert left.sum() == 20  # the centres are at 1, 3, 5 …
    assert (left ^ right).all()


def test_several_boxes_are_their_union() -> None:
    geometry = Geometry(10, 10, (0, 0, 10, 10))
    assert box_mask([Box(0, 0, 4, 4), Box(2, 2, 6, 6)], geometry, (10, 10)).sum() == 16 + 16 - 4
    assert not box_mask([], geometry, (10, 10)).any()


def test_a_box_outside_the_crop_marks_nothing() -> None:
    assert not box_mask([Box(0, 0, 9, 20)], Geometry(20, 40, (10, 0, 30, 20)), (10, 10)).any()


@pytest.mark.parametrize("preprocessing", [PRESETS["unit"], Preprocessing("unit", resize="stretch", scale=1 / 255)])
@pytest.mark.parametrize("shape", [(120, 200), (200, 120), (64, 64), (37, 501)])
@pytest.mark.parametrize("size", [(56, 56), (32, 64)])
def test_a_box_goes_where_its_pixels_go(
    preprocessing: Preprocessing, shape: tuple[int, int], size: tuple[int, int]
) -> None:
    """A white box on black, sent through the preprocessing itself: at most its outline differs."""
    height, width = shape
    image = np.zeros((height, width, 3), np.uint8)
    x0, y0, x1, y1 = width // 3, height // 4, width * 4 // 5, height * 2 // 3
    image[y0:y1, x0:x1] = 255
    network_input, geometry = preprocessing.apply(image, size)
    seen = network_input[0] > 0.5
    mask = box_mask([Box(x0, y0, x1, y1)], geometry, size)
    assert seen.sum() > 100
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    mine_rows, mine_columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    edges = [rows[0], rows[-1], columns[0], columns[-1]]
    mine = [mine_rows[0], mine_rows[-1], mine_columns[0], mine_columns[-1]]
    assert np.abs(np.subtract(edges, mine)).max() <= 1
