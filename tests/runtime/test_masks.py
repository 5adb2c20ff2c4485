"""Upsampling and min-max against cv2, torch and np.interp."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from onnx_cam.runtime.masks import (
    Masking,
    interpolation_matrix,
    is_dead,
    masks,
    normalised,
    upsample,
    upsampled_range,
)
from tests import oracle

MAPS = np.random.default_rng(0).standard_normal((3, 7, 5), np.float32)
MASKINGS = [
    Masking(normalise, epsilon, align_corners)
    for normalise in ("after", "before", "never")
    for epsilon in (0.0, 0.1)
    for align_corners in (False, True)
]
SHAPES = [((7, 5), (31, 17)), ((3, 4), (224, 96)), ((20, 13), (7, 5)), ((9, 2), (4, 33)), ((1, 6), (5, 11))]


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


def mask_at_full_resolution(a: np.ndarray, size: tuple[int, int], masking: Masking) -> np.ndarray:
    """Return s(U(A)), U(s(A)) or U(A), in float64 and step by step."""
    a = a.astype(np.float64)
    if masking.normalise == "before":
        return oracle.upsample(oracle.s(a, masking.epsilon), size, masking.align_corners)
    mask = oracle.upsample(a, size, masking.align_corners)
    return mask if masking.normalise == "never" else oracle.s(mask, masking.epsilon)


@pytest.mark.parametrize(("grid", "size"), SHAPES)
@pytest.mark.parametrize("masking", MASKINGS, ids=str)
def test_a_normalised_map_upsampled_is_the_mask(masking: Masking, grid: tuple[int, int], size: tuple[int, int]) -> None:
    maps = np.random.default_rng(1).standard_normal((4, *grid), np.float32)
    small = normalised(maps, size, masking)
    assert small.shape == maps.shape
    assert small.dtype == np.float32
    found = upsample(small, size, masking.align_corners)
    np.testing.assert_array_equal(found, masks(maps, size, masking))
    for a, mask in zip(maps, found, strict=True):
        np.testing.assert_allclose(mask, mask_at_full_resolution(a, size, masking), atol=2e-6)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_the_range_of_an_upsampled_map_is_known_without_upsampling(seed: int, align_corners: bool) -> None:
    generator = np.random.default_rng(seed)
    h, w, height, width = (int(side) for side in generator.integers(1, 40, 4))
    maps = generator.standard_normal((3, h, w), np.float32)
    low, high = upsampled_range(maps, (height, width), align_corners)
    full = upsample(maps, (height, width), align_corners)
    np.testing.assert_allclose(low, full.min(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(high, full.max(axis=(1, 2)), atol=1e-6)


@pytest.mark.parametrize("normalise", ["after", "before"])
def test_a_dead_map_gives_0(normalise: str) -> None:
    maps = np.stack([MAPS[0], np.full((7, 5), 0.7, np.float32), np.full((7, 5), -1e30, np.float32)])
    for size in ((31, 17), (3, 2)):
        made = masks(maps, size, Masking(normalise=normalise))  # type: ignore[arg-type]
        assert made[0].any()
        assert not made[1:].any()


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_small_range_on_a_large_offset_keeps_its_shape(align_corners: bool) -> None:
    masking = Masking(align_corners=align_corners)
    for grid, size in SHAPES:
        maps = (1000 + np.random.default_rng(2).uniform(-0.01, 0.01, (4, *grid))).astype(np.float32)
        for a, mask in zip(maps, masks(maps, size, masking), strict=True):
            np.testing.assert_allclose(mask, mask_at_full_resolution(a, size, masking), atol=1e-3)
