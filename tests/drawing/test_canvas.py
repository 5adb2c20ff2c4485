"""What all pictures share: lines of text that fit, and resizing."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_cam.drawing.canvas import ALARM, BACKGROUND, FAINT, TEXT, Colour, fit_line, load_font, resize


@pytest.mark.parametrize("text", ["a label that goes on and on, " * 20, "x" * 100_000, "short", ""], ids=len)
def test_long_labels_are_cut_and_their_scores_are_not(text: str) -> None:
    font = load_font(15)
    line = fit_line(text, " (281) · 0.523", font, 320)
    assert font.getlength(line) <= 320
    assert line.endswith(" (281) · 0.523")
    assert ("…" in line) == (len(text) > 100)


def test_what_the_font_lacks_is_not_drawn_as_a_box() -> None:
    assert fit_line("café × 鳥\ud800", " (5–9 %) · 1", load_font(15), 320) == "cafe x ?? (5-9 %) · 1"


def luminance(colour: Colour) -> float:
    """Return the relative luminance that WCAG 2 defines."""
    channels = np.array(colour) / 255
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("colour", [TEXT, FAINT, ALARM])
def test_the_colours_can_be_read(colour: Colour) -> None:
    assert (luminance(BACKGROUND) + 0.05) / (luminance(colour) + 0.05) >= 6


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_shrinking_averages_and_growing_is_bilinear(dtype: type) -> None:
    checks = np.indices((8, 8)).sum(axis=0) % 2 * np.array(200, dtype)
    shrunk = resize(checks.astype(dtype), 4, 4)
    assert shrunk.dtype == dtype
    assert (shrunk == 100).all()
    grown = resize(np.array([[0, 100]], dtype), 1, 4)
    np.testing.assert_array_equal(grown, np.array([[0, 25, 75, 100]], dtype))  # half-pixel centres


def test_the_size_that_an_image_has_already_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    np.testing.assert_array_equal(resize(image, 7, 5), image)
