"""The plan is deterministic, stays within the budget, repeats no pass, and is better than chance."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.representatives import nearest_representative, representatives
from onnx_cam.budget.features import describe_channels, main_axes
from onnx_cam.budget.map_error import relative_error
from onnx_cam.budget.observations import Observations, samples_of
from onnx_cam.budget.plan import _Design, _state_after, next_passes, round_sizes
from onnx_cam.budget.regression import regress
from tests.budget.problems import Problem, maps_of, problem_of, run


@pytest.mark.parametrize("budget", [1, 7, 8, 9, 13, 64, 128, 1000])
def test_the_rounds_spend_the_budget(budget: int) -> None:
    sizes = round_sizes(budget)
    assert sum(sizes) == budget
    assert min(sizes) > 0


@pytest.mark.parametrize(("samples", "budget"), [(1, 24), (1, 200), (5, 100), (5, 1000)])
def test_the_budget_is_spent_and_no_pass_runs_twice(samples: int, budget: int) -> None:
    problem = problem_of(0, samples)
    observed, _ = run(problem, budget)
    pairs = set(zip(observed.mask.tolist(), observed.sample.tolist(), strict=True))
    assert len(pairs) == len(observed.mask) == budget
    assert observed.sample.max(initial=0) < samples


def test_the_plan_is_a_function_of_maps_seed_and_scores() -> None:
    problem = problem_of(1)
    first, again = run(problem, 40)[0], run(problem_of(1), 40)[0]
    assert np.array_equal(first.mask, again.mask)
    head = Observations(first.mask[:20], first.sample[:20], first.score[:20])
    turned = Observations(first.mask[:20], first.sample[:20], 1 - first.score[:20])
    picks = [next_passes(problem.channels, each, 10, [regress(problem.channels, each)])[0] for each in (head, turned)]
    assert not np.array_equal(picks[0], picks[1])


def test_the_whole_budget_is_the_exact_map() -> None:
    problem = problem_of(2, samples=3)
    _, regression = run(problem, problem.channels.count * 3)
    np.testing.assert_allclose(regression.scores, problem.scores.mean(axis=1), atol=1e-12)
    assert not regression.deviation.any()


def test_more_passes_than_there_are_give_all() -> None:
    problem = problem_of(3, count=5)
    mask, _ = next_passes(problem.channels, Observations.none(), 8)
    assert sorted(mask.tolist()) == list(range(problem.channels.count))


def test_a_tenth_beats_random_passes_and_the_nearest_representative() -> None:
    errors: dict[str, list[float]] = {"plan": [], "random": [], "nearest": []}
    for seed in range(6):
        problem = problem_of(seed, individual=0.1)
        channels, scores, budget = problem.channels, problem.scores[:, 0], problem.channels.count // 10

        def error(weights: np.ndarray, problem: Problem = problem) -> float:
            return relative_error(np.maximum(weights @ problem.channels.maps, 0), problem.exact, problem.equal)

        errors["plan"].append(error(run(problem, budget)[1].weights))
        drawn = np.random.default_rng(seed).choice(channels.count, budget, replace=False)
        random = Observations(drawn, np.zeros(budget, np.int64), scores[drawn][:, None])
        errors["random"].append(error(regress(channels, random, baseline=problem.baseline).weights))
        centres = representatives(channels.features, np.linalg.norm(channels.maps, axis=1), budget)
        near = centres[nearest_representative(channels.features, centres)]
        errors["nearest"].append(error(scores[near] - problem.baseline))
    assert np.median(errors["plan"]) < 0.8 * np.median(errors["random"])
    assert np.median(errors["plan"]) < 0.8 * np.median(errors["nearest"])


@pytest.mark.parametrize("samples", [1, 4])
def test_the_gains_are_those_of_a_posterior_that_is_conditioned_pass_by_pass(samples: int) -> None:
    problem = problem_of(5, samples, count=60)
    channels, noise = problem.channels, 0.01 if samples == 1 else 0.3
    state = _state_after(channels, run(problem, 20)[1])
    design = _Design(state, 5)
    posterior = state.covariance.times(np.eye(channels.count))
    error = np.trace(state.leverage.T @ posterior @ state.leverage)
    for mask in np.argsort(-np.diag(posterior))[:5]:
        gain = ((posterior @ state.leverage) ** 2).sum(axis=1) / (np.diag(posterior) + noise) / error
        np.testing.assert_allclose(design.gain(np.full(channels.count, noise)), gain, atol=1e-4 * gain.max())
        design.add(int(mask), noise)
        posterior -= np.outer(posterior[mask], posterior[mask]) / (posterior[mask, mask] + noise)


def test_targets_share_the_passes() -> None:
    left, right = problem_of(4), problem_of(4, individual=0.5)
    observed = Observations.none(targets=2)
    mask, sample = next_passes(left.channels, observed, 20)
    both = np.stack([left.scores[mask, 0], 1 - right.scores[mask, 0]], axis=1)
    observed = observed.joined(mask, sample, both)
    regressions = [regress(left.channels, observed, target) for target in (0, 1)]
    mask, _ = next_passes(left.channels, observed, 20, regressions)
    separate = [set(next_passes(left.channels, observed, 20, [each])[0].tolist()) for each in regressions]
    assert len(set(mask.tolist())) == 20
    assert set(mask.tolist()) & separate[0]
    assert set(mask.tolist()) & separate[1]


def test_each_mask_goes_through_the_samples_from_its_own_start() -> None:
    masks = np.arange(6)
    mask, sample = samples_of(masks, np.zeros(6, np.int64), np.full(6, 2), 3, seed=0)
    assert np.bincount(sample).tolist() == [4, 4, 4]  # every field as often
    more_mask, more_sample = samples_of(masks, np.full(6, 2), np.ones(6, np.int64), 3, seed=0)
    pairs = set(zip(np.r_[mask, more_mask].tolist(), np.r_[sample, more_sample].tolist(), strict=True))
    assert len(pairs) == 18


def test_channels_with_one_mask_count_as_one() -> None:
    maps = maps_of(0, count=4)
    maps = np.concatenate([maps, 3 * maps[1:2], np.full_like(maps[:1], 0.5)])  # the same mask; a dead channel
    masks = (maps - maps.min(axis=(1, 2), keepdims=True)) / np.maximum(np.ptp(maps, axis=(1, 2), keepdims=True), 1e-9)
    masks[4] = masks[1]
    channels = describe_channels(maps, masks)
    assert channels.mask_of.tolist() == [0, 1, 2, 3, 1, -1]
    assert channels.representatives.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(channels.maps[1], 4 * maps[1].ravel(), rtol=1e-6)


def test_features_have_a_mean_squared_distance_of_one() -> None:
    features = problem_of(0).channels.features
    squared = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
    assert squared.mean() == pytest.approx(1)


def test_wide_maps_keep_their_distances() -> None:
    points = maps_of(5, count=60, side=20).reshape(60, -1).astype(np.float64)
    axes = main_axes(points)
    assert axes is not None
    reduced = points @ axes
    assert reduced.shape == (60, 128)
    np.testing.assert_allclose(reduced @ reduced.T, points @ points.T, atol=1e-8 * (points**2).sum())


def test_representatives_are_the_centres_of_clusters() -> None:
    centres = np.array([[0.0, 0], [10, 0], [0, 10]])
    points = np.concatenate([centre + 0.1 * np.random.default_rng(0).standard_normal((20, 2)) for centre in centres])
    centre_points = representatives(points, np.ones(60), 3, seed=1)
    assert (centre_points // 20).tolist() == [0, 1, 2]
    assert (nearest_representative(points, centre_points) == np.arange(60) // 20).all()


@pytest.mark.parametrize("weights", [np.zeros(12), np.ones(12)])
def test_representatives_of_repeated_points_are_distinct(weights: np.ndarray) -> None:
    assert len(set(representatives(np.zeros((12, 3)), weights, 1).tolist())) == 1
    assert representatives(np.zeros((12, 3)), weights, 40).tolist() == list(range(12))


def test_coarse_scores_are_the_same_for_scores_that_differ_in_their_last_places() -> None:
    score = np.random.default_rng(0).uniform(0, [1, 1e-5], (200, 2))
    both = [
        Observations(np.arange(200), np.zeros(200, np.int64), s).coarse().score for s in (score, score * (1 + 1e-9))
    ]
    np.testing.assert_array_equal(both[0], both[1])
    assert (np.abs(both[0] - score).max(axis=0) <= 2.0**-10 * np.ptp(score, axis=0)).all()
    assert (np.ptp(both[0], axis=0) > 0).all()
    same = Observations(np.arange(3), np.zeros(3, np.int64), np.full((3, 1), 0.3))
    assert (same.coarse().score == 0.3).all()
