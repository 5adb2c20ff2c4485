"""Error bars and intervals that hold, and the ends of the scale."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_cam.budget.map_error import relative_error
from onnx_cam.budget.observations import Observations, mean_scores, samples_of
from onnx_cam.budget.plan import next_passes
from onnx_cam.budget.regression import regress
from onnx_cam.budget.regression_error import _CALIBRATION_DEVIATION, draw_maps, estimate_error
from onnx_cam.budget.score_scale import ScoreScale, scale_for
from tests.budget.problems import problem_of, run

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("side", [7, 12])  # 12 · 12 positions are more than are drawn one by one
def test_maps_are_drawn_with_the_spread_of_scores_drawn_one_by_one(side: int) -> None:
    problem = problem_of(7, side=side)
    channels, regression = problem.channels, run(problem, 40)[1]
    drawn = draw_maps(channels, regression, 1.0, 2000, seed=1)
    # Scores from the joint posterior of all masks, in log-odds, with the same spread of the calibration.
    variances, axes = np.linalg.eigh(regression.covariance.times(np.eye(channels.count)))
    normal = RNG.standard_normal((2000, channels.count)) * np.sqrt(np.maximum(variances, 0))
    scores = regression.scale.back(regression.mean + normal @ axes.T) - regression.scores
    factors = np.exp(_CALIBRATION_DEVIATION * RNG.standard_normal((2000, 1)))
    expected = regression.weights @ channels.maps + factors * scores @ channels.maps
    np.testing.assert_allclose(drawn.std(axis=0), expected.std(axis=0), rtol=0.1)
    spread = expected.std(axis=0).max()
    np.testing.assert_allclose(drawn.mean(axis=0), expected.mean(axis=0), atol=0.15 * spread)


def test_ninety_percent_bars_cover_the_exact_map() -> None:
    covered, ratio = [], []
    for seed in range(20):
        problem = problem_of(seed)
        _, regression = run(problem, 30)
        error = estimate_error(problem.channels, regression)
        estimate = np.maximum(regression.weights @ problem.channels.maps, 0)
        covered.append(np.mean(np.abs(estimate - problem.exact) <= 1.645 * error.deviation.ravel()))
        ratio.append(error.relative_error / relative_error(estimate, problem.exact, problem.equal))
        assert error.deviation.shape == (7, 7)
        assert 0 < error.low < error.relative_error < error.high
    assert 0.8 <= np.mean(covered) <= 0.98
    assert 0.7 <= np.median(ratio) <= 1.5


def test_the_error_shrinks_with_the_budget_and_ends_at_zero() -> None:
    problem = problem_of(3)
    errors = [estimate_error(problem.channels, run(problem, budget)[1]) for budget in (20, 60, problem.channels.count)]
    relative_errors = [error.relative_error for error in errors]
    assert relative_errors[0] > relative_errors[1] > relative_errors[2] == 0
    assert not errors[2].deviation.any()
    assert errors[2].high == 0


def test_the_error_is_a_function_of_the_seed() -> None:
    problem = problem_of(1)
    _, regression = run(problem, 20)
    first, again, other = (estimate_error(problem.channels, regression, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.deviation, again.deviation)
    assert first.relative_error == again.relative_error != other.relative_error


def test_a_mask_with_more_samples_has_a_smaller_error() -> None:
    problem = problem_of(5, samples=8)
    observed, regression = run(problem, 1000)
    few = estimate_error(problem.channels, run(problem, 120)[1])
    assert estimate_error(problem.channels, regression).relative_error < few.relative_error
    counts = observed.counts(problem.channels.count)
    assert (regression.deviation[counts == 8] == 0).all()
    assert (regression.deviation[counts < 8] > 0).all()


def test_with_ten_samples_a_tenth_of_the_passes_is_enough() -> None:
    errors = []
    for seed in range(4):
        problem = problem_of(seed, samples=10)
        _, regression = run(problem, problem.channels.count)
        errors.append(
            relative_error(np.maximum(regression.weights @ problem.channels.maps, 0), problem.exact, problem.equal)
        )
    assert np.median(errors) < 0.08


def test_the_effect_of_a_field_on_all_masks_is_filled_in() -> None:
    """If effects are additive on the log-odds, two samples of six give the mean over all six."""
    problem = problem_of(2, samples=6)
    odds = np.log(problem.scores[:, :1] / (1 - problem.scores[:, :1]))
    scores = 1 / (1 + np.exp(-odds - np.array([0.0, 1.2, -1.2, 0.6, -0.9, 0.3])))
    masks = np.arange(problem.channels.count)
    mask, sample = samples_of(masks, np.zeros_like(masks), np.full_like(masks, 2), 6, seed=0)
    observed = Observations.none(samples=6).joined(mask, sample, scores[mask, sample][:, None])
    means = mean_scores(observed, scale_for(observed.score[:, 0], probability=True))
    mean_of_two = np.bincount(mask, scores[mask, sample]) / 2
    error, plain_error = (np.abs(score - scores.mean(axis=1)) for score in (means.score, mean_of_two))
    assert error.max() < 0.1 * plain_error.max()


@pytest.mark.parametrize("score", [0.0, 1e-7, 0.4, 1.0])
@pytest.mark.parametrize("probability", [True, False])
def test_equal_scores_give_equal_weights(score: float, probability: bool) -> None:
    channels = problem_of(0).channels
    mask, sample = next_passes(channels, Observations.none(), 20)
    observed = Observations.none().joined(mask, sample, np.full((20, 1), score))
    regression = regress(channels, observed, baseline=-0.5, probability=probability)
    assert regression.is_flat
    assert np.array_equal(regression.weights, np.full(channels.count, score + 0.5))
    error = estimate_error(channels, regression)
    assert np.isnan(error.deviation).all()
    assert np.isnan(error.relative_error)
    assert (error.above == 0.5).all()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_fewer_masks_than_the_smallest_plan_are_all_scored(count: int) -> None:
    problem = problem_of(0, count=count)
    _, regression = run(problem, 8)
    np.testing.assert_array_equal(regression.scores, problem.scores[:, 0])
    assert estimate_error(problem.channels, regression).relative_error == 0


def test_relative_error_is_the_definition() -> None:
    exact, equal = np.array([3.0, 4.0]), np.array([1.0, 0.0])
    assert relative_error(2 * exact, exact, equal) == pytest.approx(0, abs=1e-15)
    assert relative_error(5 * equal, exact, equal) == pytest.approx(1)
    assert relative_error(np.zeros(2), exact, equal) == pytest.approx(1 / np.hypot(0.4, 0.8))
    assert relative_error(equal, equal, equal) == 0
    assert relative_error(exact, equal, equal) == 1


@pytest.mark.parametrize("scale", [ScoreScale("log-odds", 1e-3), ScoreScale("log-odds", 0.2), ScoreScale("identity")])
def test_a_scale_and_its_inverse_cancel(scale: ScoreScale) -> None:
    scores = np.array([0.0, 1e-6, 0.2, 0.9, 1.0])
    np.testing.assert_allclose(scale.back(scale.forward(scores)), scores, atol=1e-12)


def test_moments_are_those_of_many_draws() -> None:
    scale = ScoreScale("log-odds", 1e-3)
    drawn = scale.back(-2 + 1.5 * RNG.standard_normal(200_000))
    narrow = scale.back(-2 + 0.6 * 1.5 * RNG.standard_normal(200_000))
    expected, deviation = scale.moments(np.array([-2.0]), np.array([1.5]))
    assert expected[0] == pytest.approx(narrow.mean(), rel=0.01)
    assert deviation[0] == pytest.approx(drawn.std(), rel=0.01)


def test_the_offset_is_no_finer_than_the_scores() -> None:
    assert scale_for(np.array([0.0, 1.0, 2.0, 5.0]) / 255, probability=True).offset == pytest.approx(1 / 255)
    assert scale_for(np.linspace(0, 0.5, 10_001), probability=True).offset == pytest.approx(0.5e-3)
    assert scale_for(np.zeros(4), probability=False).kind == "identity"


@pytest.mark.parametrize("p", [0.02, 0.3, 0.7, 0.97])
def test_means_of_few_scores_are_not_biased_on_the_regressions_scale(p: float) -> None:
    scale = ScoreScale("log-odds", 1e-9)
    scores = RNG.beta(200 * p, 200 * (1 - p), 200_000)
    values = scale.forward(scores)
    variance = np.full(len(scores), values.var())
    truth = float(scale.forward(np.array([p]))[0])
    bias, corrected_bias = values.mean() - truth, scale.forward_mean(scores, variance).mean() - truth
    assert abs(corrected_bias) < 0.2 * abs(bias) + 0.002
    assert np.array_equal(ScoreScale("identity").forward_mean(scores, variance), scores)
