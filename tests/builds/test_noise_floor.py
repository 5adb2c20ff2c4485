"""The noise that the floor is measured with: two grey levels, seen by the network."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_cam.builds.noise_floor import add_noise
from onnx_cam.image.preprocessing import PRESETS

GREY = np.full((64, 64, 3), 128, np.uint8)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_it_has_two_grey_levels_whatever_the_preprocessing(name: str) -> None:
    preset = PRESETS[name]
    clean = preset.normalise(GREY, 3)
    noisy = add_noise(clean, preset, seed=0, sha256="ab" * 32)
    levels = (noisy - clean) * 255 / (preset.pixel(255) - preset.pixel(0))
    assert levels.std(axis=(1, 2)) == pytest.approx([2, 2, 2], rel=0.05)
    assert abs(levels.mean()) < 0.1


def test_it_stays_between_black_and_white() -> None:
    for value in (0, 255):
        clean = PRESETS["imagenet"].normalise(np.full_like(GREY, value), 3)
        noisy = add_noise(clean, PRESETS["imagenet"], seed=0, sha256="ab" * 32)
        assert (noisy >= PRESETS["imagenet"].pixel(0)).all()
        assert (noisy <= PRESETS["imagenet"].pixel(255)).all()
        assert (noisy != clean).any()


def test_each_image_and_seed_has_noise_of_its_own() -> None:
    clean = PRESETS["unit"].normalise(GREY, 3)
    made = [
        add_noise(clean, PRESETS["unit"], seed=seed, sha256=sha256)
        for seed, sha256 in ((0, "ab" * 32), (0, "ab" * 32), (1, "ab" * 32), (0, "cd" * 32))
    ]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[3])


def test_alpha_has_none() -> None:
    clean = PRESETS["unit"].normalise(np.dstack([GREY, GREY[..., 0]]), 4)
    noisy = add_noise(clean, PRESETS["unit"], seed=0, sha256="ab" * 32)
    assert np.array_equal(noisy[3], clean[3])
    assert not np.array_equal(noisy[2], clean[2])


def test_without_a_preprocessing_a_level_is_a_part_of_the_inputs_range() -> None:
    clean = np.linspace(-1, 1, 3 * 64 * 64, dtype=np.float32).reshape(3, 64, 64)
    noisy = add_noise(clean, None, seed=0, sha256="ab" * 32)
    assert (noisy - clean).std() == pytest.approx(2 * 2 / 255, rel=0.05)
