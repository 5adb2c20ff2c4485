"""The distance of two maps, also where they lie differently in the image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from onnx_cam.builds.distances import FARTHEST, map_distance
from onnx_cam.builds.views import BuildView, PlacedMap
from onnx_cam.graph.frame import Frame
from onnx_cam.image.geometry import Geometry

WHOLE = Geometry(240, 320, (0, 0, 320, 240))
CROPPED = Geometry(240, 320, (40, 0, 280, 240))


def cam(seed: int, side: int = 7) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((side, side), np.float32)


def resized(values: NDArray[np.float32], width: int, height: int, *, area: bool = False) -> NDArray[np.float32]:
    interpolation = cv2.INTER_AREA if area else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (width, height), interpolation=interpolation), np.float32)


def unit(values: NDArray[np.float32]) -> NDArray[np.float64]:
    doubles = values.astype(np.float64)
    return np.asarray(doubles / np.linalg.norm(doubles))


def test_maps_of_the_same_cells_are_compared_cell_by_cell() -> None:
    expected = np.linalg.norm(unit(cam(0)) - unit(cam(1)))
    assert map_distance(PlacedMap(cam(0), CROPPED), PlacedMap(3 * cam(1), CROPPED)) == pytest.approx(expected)


def test_an_empty_map_is_as_far_as_can_be_from_another_and_not_from_an_empty_one() -> None:
    empty, full = PlacedMap(np.zeros((7, 7), np.float32), WHOLE), PlacedMap(cam(0), WHOLE)
    assert map_distance(empty, full) == map_distance(full, empty) == FARTHEST == pytest.approx(2**0.5)
    assert map_distance(empty, empty) == 0


def test_maps_of_other_crops_are_compared_over_what_both_see() -> None:
    """Placed in the image, cut to columns 40 to 279, shrunk to 112×112."""
    placed = [resized(cam(0), 320, 240)[:, 40:280], resized(cam(1), 240, 240)]
    shrunk = [unit(resized(one, 112, 112, area=True)) for one in placed]
    expected = np.linalg.norm(shrunk[0] - shrunk[1])
    assert map_distance(PlacedMap(cam(0), WHOLE), PlacedMap(cam(1), CROPPED)) == pytest.approx(expected, abs=1e-6)


def test_the_same_map_at_another_resolution_is_near() -> None:
    fine = resized(cam(0), 28, 28)
    assert map_distance(PlacedMap(cam(0), WHOLE), PlacedMap(fine, WHOLE)) < 0.06
    assert map_distance(PlacedMap(cam(0), WHOLE), PlacedMap(resized(cam(1), 28, 28), WHOLE)) > 0.3


def test_a_graph_that_pads_sees_the_same_place_elsewhere() -> None:
    """The inner half of a map whose graph pads by half lies where another build's whole map does."""
    inner = cam(0, 8)
    padded = np.asarray(np.pad(inner, 4, mode="edge"), np.float32)
    around = Geometry(240, 320, (0, 0, 320, 240), Frame(0.25, 0.25, 0.75, 0.75))
    assert map_distance(PlacedMap(padded, around), PlacedMap(inner, WHOLE)) < 1e-3
    assert map_distance(PlacedMap(padded, WHOLE), PlacedMap(inner, WHOLE)) > 0.3


def test_crops_without_a_common_part_are_as_far_as_can_be() -> None:
    left, right = (Geometry(240, 320, (x, 0, x + 100, 240)) for x in (0, 200))
    assert map_distance(PlacedMap(cam(0), left), PlacedMap(cam(0), right)) == FARTHEST


def test_a_small_image_is_not_enlarged() -> None:
    small, part = Geometry(8, 8, (0, 0, 8, 8)), Geometry(8, 8, (0, 0, 8, 6))
    expected = np.linalg.norm(unit(resized(cam(0), 8, 8)[:6]) - unit(resized(cam(1), 8, 6)))
    assert map_distance(PlacedMap(cam(0), small), PlacedMap(cam(1), part)) == pytest.approx(expected, abs=1e-6)


def test_what_is_stored_is_what_was_made_digit_for_digit() -> None:
    geometry = Geometry(240, 320, (40, 0, 280, 240), Frame(0.1, 0.0, 0.9, 1.0))
    made = np.asarray(cam(0) / 3, np.float32)
    view = BuildView(3, 0.1 + 0.2, PlacedMap(made, geometry), 1 / 3)
    read = BuildView.from_json(view.as_json())
    assert (read.predicted, read.probability, read.floor) == (3, 0.1 + 0.2, 1 / 3)
    assert read.map is not None
    assert np.array_equal(read.map.cam, made)
    assert read.map.geometry == geometry
