"""The engine on a stand-in for a network whose answers are known: the sum of its input's pixels."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_cam.runtime.masks import masks
from onnx_cam.runtime.scorer import Schedule, Scorer, noise_field
from onnx_cam.runtime.scores import ScoreKind

IMAGE = np.random.default_rng(0).random((2, 8, 8), np.float32)
MAPS = np.random.default_rng(1).random((4, 3, 3), np.float32)
MAPS[2] = 0.5
seen: list[np.ndarray] = []


def total(images: np.ndarray, kind: ScoreKind) -> np.ndarray:
    seen.append(images.copy())
    sums = images.reshape(len(images), -1).sum(axis=1, dtype=np.float64)
    return np.stack([sums, -sums, 2 * sums], axis=1)


@pytest.fixture
def scorer() -> Scorer:
    seen.clear()
    return Scorer(total, IMAGE, [0, 2], np.zeros_like(IMAGE), seed=3, batch_size=3)


def test_every_channel_and_step_is_scored_for_every_target(scorer: Scorer) -> None:
    scale = np.array([[1.0, 2.0]] * 4)
    table = scorer.score(Schedule(MAPS, scale), "probability")
    assert table.shape == (4, 2, 2)
    made = masks(MAPS, (8, 8), Schedule(MAPS, scale).masking)
    for k in (0, 1, 3):
        expected = float((IMAGE * made[k]).sum())
        np.testing.assert_allclose(table[k, :, 0], [expected, 2 * expected], rtol=1e-5)
        np.testing.assert_allclose(table[k, :, 1], 2 * table[k, :, 0], rtol=1e-6)
    assert not table[2].any()
    assert (scorer.passes, scorer.passes_skipped) == (6, 2)
    assert [len(batch) for batch in seen] == [3, 3]


def test_dead_maps_share_a_blank_pass_a_step(scorer: Scorer) -> None:
    schedule = Schedule(np.concatenate([MAPS, MAPS[2:3]]), np.ones((5, 2)), "input", np.full(5, 0.1), score_dead=True)
    table = scorer.score(schedule, "probability")
    assert scorer.passes == 3 * 2 + 2
    for step in (0, 1):
        noise = np.float32(0.1) * noise_field(3, step, IMAGE.shape)
        assert table[2, step, 0] == pytest.approx(float(noise.sum()), abs=1e-4)
        assert table[2, step, 0] == table[4, step, 0]


def test_noise_on_the_mask_is_the_same_for_all_colours(scorer: Scorer) -> None:
    scorer.score(Schedule(MAPS[:1], np.ones((1, 1)), "mask", np.array([0.5])), "probability")
    mask = masks(MAPS[:1], (8, 8), Schedule(MAPS, np.ones((1, 1))).masking)[0]
    expected = IMAGE * (mask + np.float32(0.5) * noise_field(3, 0, (8, 8)))
    np.testing.assert_allclose(seen[0][0], expected, atol=1e-6)


def test_noise_on_the_map_comes_before_upsampling(scorer: Scorer) -> None:
    schedule = Schedule(MAPS[:1], np.ones((1, 2)), "map", np.array([0.5]))
    scorer.score(schedule, "probability")
    for step in (0, 1):
        noisy = MAPS[:1] + np.float32(0.5) * noise_field(3, step, (3, 3))
        np.testing.assert_allclose(seen[0][step], IMAGE * masks(noisy, (8, 8), schedule.masking)[0], atol=1e-6)


def test_a_noise_field_depends_on_its_seed_and_step_alone() -> None:
    field = noise_field(1, 2, (50, 40))
    np.testing.assert_array_equal(field, noise_field(1, 2, (50, 40)))
    assert np.abs(np.corrcoef(field.ravel(), noise_field(1, 3, (50, 40)).ravel())[0, 1]) < 0.1
    assert np.abs(np.corrcoef(field.ravel(), noise_field(2, 2, (50, 40)).ravel())[0, 1]) < 0.1
    assert field.mean() == pytest.approx(0, abs=0.1)
    assert field.std() == pytest.approx(1, abs=0.1)


def test_the_spreads_are_those_of_the_upsampled_and_the_masked_image(scorer: Scorer) -> None:
    schedule = Schedule(MAPS, np.ones((4, 1)))
    made = masks(MAPS, (8, 8), schedule.masking)
    expected = [np.ptp(IMAGE * mask) for mask in made]
    expected[2] = 0
    np.testing.assert_allclose(scorer.masked_spread(MAPS, schedule.masking), expected, rtol=1e-5)
    assert (scorer.upsampled_spread(MAPS)[[0, 1, 3]] > 0).all()
    assert scorer.upsampled_spread(MAPS)[2] == pytest.approx(0, abs=1e-6)
