"""The relative difference of two results."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.check import relative_difference


def test_the_difference_is_relative_to_the_largest_value() -> None:
    expected = np.array([[1.0, -4.0], [0.0, 2.0]])
    assert relative_difference(expected + np.array([[0.0, 0.0], [0.002, 0.0]]), expected) == pytest.approx(0.0005)


def test_the_difference_from_zeros_is_absolute() -> None:
    zeros = np.zeros((2, 3))
    assert relative_difference(zeros, zeros) == 0
    assert relative_difference(zeros + 0.5, zeros) == 0.5


def test_another_shape_or_nan_is_not_within_any_tolerance() -> None:
    assert relative_difference(np.ones((1, 3)), np.ones((3, 1))) == float("inf")
    assert not relative_difference(np.array([np.nan]), np.ones(1)) <= 1
