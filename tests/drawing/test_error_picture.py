"""A map beside its error, from arrays alone."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_cam.drawing.error_picture import draw_error

TITLES = [("scorecam paper", "relative error 27 % (90 % interval 7–81 %)"), ("deviation", ""), ("average", "open")]


def picture(height: int, width: int, titles: list[tuple[str, str]], colormap: str = "turbo") -> np.ndarray:
    image = np.full((height, width, 3), 128, np.uint8)
    above_average = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    crop = (0, 0, width, height)
    return draw_error(
        image, image, above_average, above_average, crop=crop, titles=titles, doubt=0.05, colormap=colormap
    )


@pytest.mark.parametrize(("width", "panel"), [(60, 320), (320, 320), (500, 500), (2000, 1600)])
def test_the_panels_are_wide_enough_to_read_and_no_wider_than_useful(width: int, panel: int) -> None:
    assert picture(width // 2, width, TITLES).shape[1] == 3 * panel + 2 * 12


def test_a_title_never_reaches_into_the_next_panel() -> None:
    for titles in (TITLES, [("a title that goes on and on " * 9, "and a detail that does " * 9)] * 3):
        drawn = picture(200, 320, titles)
        for gap in (slice(320, 332), slice(652, 664)):
            assert (drawn[:, gap] == 255).all()
        assert (drawn[200:, :320] != 255).any()


def test_the_error_has_a_colour_map_of_its_own() -> None:
    error = slice(332, 652)
    turbo, viridis, inferno = (picture(200, 320, TITLES, name)[:200, error] for name in ("turbo", "viridis", "inferno"))
    np.testing.assert_array_equal(turbo, inferno)  # viridis, where the map is not
    assert (viridis != inferno).any()
