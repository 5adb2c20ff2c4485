"""Upsampling and min-max against cv2 and torch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from onnx_cam.runtime.masks import Masking, interpolation_matrix, is_dead, masks, upsample

MAPS = np.random.default_rng(0).standard_normal((3, 7, 5), np.float32)


@pytest.mark.parametrize("size", [(224, 224), (48, 192), (9, 5), (7, 5)])
def test_upsampling_is_cv2s(size: tuple[int, int]) -> None:
    expected = np.stack([cv2.resize(a, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) for a in MAPS])
    np.testing.assert_allclose(upsample(MAPS, size), expected, atol=1e-6)


def test_aligned_corners_are_torchs() -> None:
    expected = torch.nn.UpsamplingBilinear2d(size=(40, 30))(torch.from_numpy(MAPS[None]))[0].numpy()
    np.testing.assert_allclose(upsample(MAPS, (40, 30), align_corners=True), expected, atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("source", "target"), [(1, 1), (1, 9), (2, 9), (7, 224)])
def test_every_row_is_a_weighted_mean(source: int, target: int, align_corners: bool) -> None:
    matrix = interpolation_matrix(source, target, align_corners)
    assert matrix.shape == (target, source)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)


def test_masks_span_zero_to_one_after_upsampling() -> None:
    made = masks(MAPS, (20, 20), Masking())
    np.testing.assert_allclose(made.min(axis=(1, 2)), 0, atol=1e-7)
    np.testing.assert_allclose(made.max(axis=(1, 2)), 1, atol=1e-6)
    before = masks(MAPS, (20, 20), Masking(normalise="before"))
    assert (before.max(axis=(1, 2)) < 1).any()  # bilinear upsampling does not reach the corners' values


def test_a_constant_map_is_dead() -> None:
    maps = np.stack([MAPS[0], np.full((7, 5), 0.7, np.float32), np.zeros((7, 5), np.float32)])
    np.testing.assert_array_equal(is_dead(maps), [False, True, True])
