"""What a run says about its metrics and methods: what the controls win, how far the metrics agree, what is advised."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kendalltau

from onnx_cam.cli.evaluation import _show_evaluation
from onnx_cam.evaluation import Evaluation, judge_metrics
from onnx_cam.evaluation.report.agreements import agreement_table
from onnx_cam.evaluation.report.answer import answer, what_controls_win
from onnx_cam.evaluation.report.tables import methods_table
from onnx_cam.evaluation.results.summary import flat_table, mean_error, summarise
from onnx_cam.evaluation.verdict.advice import Advice, advise, judge_metric
from onnx_cam.evaluation.verdict.agreement import kendall_tau, metric_agreements
from onnx_cam.evaluation.verdict.controls import compare_controls, winning_control
from onnx_cam.evaluation.verdict.purposes import PURPOSES, by_purpose
from onnx_cam.evaluation.verdict.ranking import best_method, gain, outcome, rank
from onnx_cam.metrics import METRICS, AverageDrop, Deletion, Insertion, Metric, Pointing, Specificity, Win
from onnx_cam.metrics.interval import LEVEL, RESAMPLES, Interval, mean_interval, resampled_means
from tests.evaluation import made

IMAGES = 20
CONTROLS = {"equal": 30.0, "centre": 40.0, "random": 50.0}


def scattered(mean: float, seed: int, images: int = IMAGES) -> list[float]:
    """Return values whose mean is exact, a deviation of 1 about it."""
    noise = np.random.default_rng(seed).normal(0, 1, images)
    return [*(mean + noise - noise.mean())]


def values(means: dict[str, float], images: int = IMAGES) -> dict[str, list[float]]:
    return {name: scattered(mean, seed, images) for seed, (name, mean) in enumerate(means.items())}


def run_of(metric: Metric, **means: float) -> Evaluation:
    return made.evaluation({metric: values({**means, **CONTROLS})})


def only(advice: list[Advice]) -> Advice:
    (one,) = advice
    return one


# --------------------------------------------------------------------------------------------------------------------
# Controls.


def test_controls_are_not_ranked_whatever_their_figures() -> None:
    found = made.evaluation({Deletion(): values({"cam": 9.0, "gradcam": 8.0, "equal": 1.0})})
    assert rank(found, Deletion()).best == ("gradcam",)
    assert best_method(found, Deletion()) == "gradcam"
    table = methods_table(found, summarise(found))
    assert [line.is_control for line in table.lines] == [False, False, True]
    assert [line.cells[0].is_best for line in table.lines] == [False, True, False]
    assert [line.cells[0].is_won for line in table.lines] == [False, False, True]
    assert table.findings[0].won_by == ["equal"]


@pytest.mark.parametrize(("metric", "sign"), [(Deletion(), 1), (Insertion(), -1)])
def test_a_gain_is_the_paired_difference_in_the_direction_that_is_better(metric: Metric, sign: int) -> None:
    ours, theirs = scattered(3.0, 1), scattered(5.0, 2)
    found = gain(made.evaluation({metric: {"cam": ours, "equal": theirs}}), metric, "cam", "equal")
    expected = mean_interval(sign * (np.array(theirs) - np.array(ours)))
    assert found == expected
    assert found.value == pytest.approx(sign * 2.0)


def test_a_gain_leaves_out_empty_maps_and_figures_that_are_not_defined() -> None:
    figures: made.Values = {"cam": [None, *[1.0] * 11], "equal": [2.0] * 12}
    assert gain(made.evaluation({Deletion(): figures}, empty={"equal": [3]}), Deletion(), "cam", "equal").n == 10


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (Interval(2.0, 1.0, 3.0, 10), "better"),
        (Interval(-2.0, -3.0, -1.0, 10), "worse"),
        (Interval(2.0, -0.1, 4.0, 10), "level"),
        (Interval(2.0, 1.0, 3.0, 9), "level"),
        (Interval(1e-8, 1e-9, 2e-8, 10), "level"),  # what float32 cannot tell
        (Interval(None, None, None, 0), "level"),
    ],
)
def test_outcomes(interval: Interval, said: str) -> None:
    assert outcome(interval) == said


def test_a_control_wins_only_where_it_is_better_than_the_best_method_beyond_chance() -> None:
    for control, said in ((5.0, "better"), (10.1, "level"), (20.0, "worse")):
        found = made.evaluation({AverageDrop(): values({"cam": 10.0, "gradcam": 11.0, "centre": control})})
        (result,) = compare_controls(found, AverageDrop())
        assert (result.method, result.control, result.outcome) == ("cam", "centre", said)
        assert result.gain.value == pytest.approx(10.0 - control)
        assert (winning_control([result]) is result) == (said == "better")
        assert len(what_controls_win(found)) == (said == "better")


def test_the_summary_says_what_the_controls_win() -> None:
    figures = {
        AverageDrop(): values({"cam": 10.0, "gradcam": 11.0, "layercam": 30.0, "equal": 9.9, "centre": 5.0}),
        Insertion(): values({"cam": 0.1, "gradcam": 5.0, "layercam": 9.0, "equal": -3.0, "centre": -4.0}),
        Specificity(): values(dict.fromkeys(("cam", "gradcam", "layercam", "equal", "centre"), 1.0)),
    }
    found = made.evaluation(figures)
    judged = json.loads(json.dumps(judge_metrics(found), allow_nan=False))
    assert list(judged) == ["average-drop", "insertion"]
    drop, insertion = judged.values()
    assert (drop["best_method"], drop["won_by"]) == ("cam", ["centre"])
    assert [drop["controls"][name]["outcome"] for name in ("equal", "centre")] == ["level", "better"]
    assert drop["controls"]["centre"]["gain"]["value"] == pytest.approx(5.0)
    assert (insertion["best_method"], insertion["won_by"]) == ("layercam", [])
    assert drop["agreement"]["insertion"] == insertion["agreement"]["average-drop"]
    assert drop["agreement"]["insertion"]["value"] == -1.0  # the two orders are each other's reverse


def test_the_command_says_which_metric_a_control_wins(capsys: pytest.CaptureFixture[str]) -> None:
    figures: made.Figures = {
        AverageDrop(): values({"cam": 10.0, "centre": 5.0}),
        Deletion(): values({"cam": 1.0, "centre": 5.0}),
    }
    _show_evaluation(made.evaluation(figures, facts={"level": 0.95}))
    shown = capsys.readouterr().out
    assert shown.count("is won by the control") == 1
    assert (
        "Average Drop is won by the control centre, which is better than cam, the best method, by 5.0 points" in shown
    )
    assert any(line.startswith("centre (control)") for line in shown.splitlines())


# --------------------------------------------------------------------------------------------------------------------
# Agreement.


def test_tau_is_that_of_scipy_with_and_without_ties() -> None:
    generator = np.random.default_rng(0)
    for levels in (2, 3, 5, 1000):
        pairs = generator.integers(0, levels, (2, 50, 6)).astype(np.float64)
        expected = [kendalltau(*pair).statistic for pair in zip(*pairs, strict=True)]
        np.testing.assert_allclose(kendall_tau(*pairs), expected, atol=1e-12)


def test_tau_takes_means_that_float32_cannot_tell_apart_as_equal() -> None:
    plain, noisy = np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0 + 1e-8, 2.0])
    other = np.array([2.0, 1.0, 3.0])
    assert kendall_tau(noisy, other) == kendall_tau(plain, other) == pytest.approx(kendalltau(plain, other).statistic)
    assert np.isnan(kendall_tau(np.ones(3), other))


def slow_tau(of_metrics: tuple[NDArray[np.float64], NDArray[np.float64]]) -> tuple[float, float, float]:
    """Return τ and its interval, a resample at a time; values are (n, methods), higher is better."""
    generator = np.random.default_rng(0)
    n = len(of_metrics[0])
    taus = []
    for drawn in generator.integers(0, n, (RESAMPLES, n)):
        means = [np.nanmean(values[drawn], axis=0) for values in of_metrics]
        taus.append(kendalltau(*means).statistic)
    low, high = np.quantile([tau for tau in taus if not np.isnan(tau)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return kendalltau(*(np.nanmean(values, axis=0) for values in of_metrics)).statistic, low, high


def test_the_agreement_of_two_metrics_is_tau_of_the_means_with_its_bootstrap_over_images() -> None:
    generator = np.random.default_rng(3)
    names = ["a", "b", "c", "d"]
    deletion = generator.normal([1.0, 1.5, 2.0, 2.5], 1.0, (IMAGES, 4))
    pointing = generator.normal([9.0, 8.5, 8.6, 8.0], 1.0, (IMAGES, 4))
    pointing[:4] = np.nan  # no boxes
    figures: made.Figures = {
        Deletion(): {name: [*deletion[:, i]] for i, name in enumerate(names)} | {"equal": [0.0] * IMAGES},
        Pointing(): {name: [None if np.isnan(one) else one for one in pointing[:, i]] for i, name in enumerate(names)}
        | {"equal": [99.0] * IMAGES},
        Win(): {name: [0.0] * IMAGES for name in [*names, "equal"]},
    }
    (found,) = metric_agreements(made.evaluation(figures))
    assert (found.first, found.second, found.methods) == (Deletion(), Pointing(), 4)
    expected = slow_tau((-deletion, pointing))
    np.testing.assert_allclose(np.array([found.tau.value, found.tau.low, found.tau.high], float), expected, atol=1e-12)
    table = agreement_table([found])
    assert table is not None
    assert (table.titles, [title for title, _ in table.lines]) == ([Deletion.title], [Pointing.title])


def test_two_methods_are_too_few_for_an_order() -> None:
    means = {"cam": 1.0, "gradcam": 2.0, **CONTROLS}
    assert metric_agreements(made.evaluation({Deletion(): values(means), Insertion(): values(means)})) == []


def test_resampled_means_are_those_that_the_intervals_come_from() -> None:
    numbers = np.array([[1.0, 5.0], [2.0, np.nan], [4.0, 7.0]])
    means = resampled_means(numbers)
    interval = mean_interval(numbers[:, 0])
    assert np.quantile(means[:, 0], [0.025, 0.975]).tolist() == [interval.low, interval.high]
    drawn = np.random.default_rng(0).integers(0, 3, (RESAMPLES, 3))
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning, match="Mean of empty slice"):
        expected = np.nanmean(numbers[drawn], axis=1)
    np.testing.assert_allclose(means, expected)


# --------------------------------------------------------------------------------------------------------------------
# Advice.


def test_the_cheapest_of_those_that_cannot_be_told_apart_is_advised() -> None:
    found = run_of(Deletion(), scorecam=1.0, cam=1.05, gradcam=9.0)
    for (_, method), one in found.maps.items():
        one.record.update({"passes": {"scorecam": 1000, "cam": 0}.get(method, 5)})  # type: ignore[attr-defined]
    advice = only(advise(found))
    assert (advice.method, advice.leaders) == ("cam", ("scorecam", "cam"))
    (paragraph,) = answer(found, []).paragraphs
    assert paragraph.advice == "cam"
    assert paragraph.cost.startswith("no forward pass and 0.5 s an image")
    behind = gain(found, Deletion(), "scorecam", "cam")
    assert behind.low is not None
    text = " ".join(paragraph.reasons)
    assert f"is that of scorecam, which is better by {behind.value:.3f}" in text
    assert "scorecam takes 1,000 forward passes" in text


def test_among_equally_cheap_ones_the_first_in_the_table_is_advised() -> None:
    means = {"scorecam": 1.0, "cam": 1.05, "gradcam": 1.02}
    (paragraph,) = answer(run_of(Deletion(), **means), []).paragraphs
    assert paragraph.advice == "scorecam"
    assert "They take equally few forward passes, and scorecam comes first in the table." in paragraph.reasons[0]
    found = run_of(Deletion(), **means)
    for (_, method), one in found.maps.items():
        one.record.update({"passes": 1000 if method == "scorecam" else 1})  # type: ignore[attr-defined]
    (paragraph,) = answer(found, []).paragraphs
    assert paragraph.advice == "cam"
    assert "Of these, cam and gradcam take equally few forward passes" in paragraph.reasons[0]


def test_a_method_that_is_better_by_every_metric_is_advised_alone() -> None:
    means = {"cam": 1.0, "scorecam": 5.0, **CONTROLS}
    figures: made.Figures = {Deletion(): values(means), AverageDrop(): values(means)}
    (paragraph,) = answer(made.evaluation(figures), []).paragraphs
    assert paragraph.advice == "cam"
    assert paragraph.reasons[0] == "It is better than every other method by Deletion and Average Drop."


def test_metrics_that_contradict_each_other_advise_nothing() -> None:
    figures = {
        Deletion(): values({"cam": 1.0, "scorecam": 5.0, **CONTROLS}),
        AverageDrop(): values({"cam": 5.0, "scorecam": 1.0, **CONTROLS}),
    }
    advice = only(advise(made.evaluation(figures)))
    assert (advice.method, advice.leaders) == (None, ())
    (paragraph,) = answer(made.evaluation(figures), []).paragraphs
    assert "cam leads by Deletion and scorecam leads by Average Drop" in paragraph.reasons[0]


@pytest.mark.parametrize(
    ("equal", "standing", "said"),
    [
        (1.0, "won by a control", "Average Drop is won by the control equal, which is better than cam"),
        (10.1, "level with a control", "Average Drop cannot tell cam, its best method, from the control equal"),
    ],
)
def test_a_metric_that_a_control_wins_or_ties_does_not_count(equal: float, standing: str, said: str) -> None:
    found = made.evaluation(
        {
            AverageDrop(): values({"cam": 10.0, "gradcam": 12.0, **CONTROLS, "equal": equal}),
            Deletion(): values({"cam": 12.0, "gradcam": 10.0, **CONTROLS}),
        }
    )
    advice = only(advise(found))
    assert {verdict.metric.name: verdict.standing for verdict in advice.verdicts} == {
        "average-drop": standing,
        "deletion": "counts",
    }
    assert advice.method == "gradcam"  # by Deletion alone
    (doubt,) = answer(found, []).doubts
    assert doubt.startswith(said)
    alone = made.evaluation({AverageDrop(): values({"cam": 10.0, "gradcam": 12.0, **CONTROLS, "equal": equal})})
    assert only(advise(alone)).method is None


def test_a_blurred_map_that_does_as_well_does_not_take_a_metric_away_but_one_that_wins_does() -> None:
    for blurred, standing in ((10.05, "counts"), (5.0, "won by a control")):
        verdict = judge_metric(run_of(AverageDrop(), cam=10.0, **{"blurred:cam": blurred}), AverageDrop())
        assert verdict is not None
        assert verdict.standing == standing


def test_every_metric_with_a_direction_has_a_purpose_or_stands_for_itself() -> None:
    named = [name for purpose in PURPOSES for name in purpose.metrics]
    assert len(named) == len(set(named))
    ranked = [metric() for metric in METRICS.values() if metric.better is not None and metric is not Win]
    assert sorted(one.name for _, each in by_purpose(ranked) for one in each) == sorted(one.name for one in ranked)


# --------------------------------------------------------------------------------------------------------------------
# Where little or nothing can be said.


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (made.evaluation({Deletion(): values({"cam": 1.0, "equal": 5.0}, 9)}), "This run has 9 images. At least 10"),
        (made.evaluation({Deletion(): {"cam": [], "equal": []}}), "This run has no image"),
        (made.evaluation({Deletion(): values(CONTROLS)}), "Only controls were evaluated"),
        (
            made.evaluation({Deletion(): values({"cam": 1.0, "equal": 5.0})}, empty={"cam": range(IMAGES)}),
            "Every method has too many empty maps",
        ),
        (made.evaluation({Specificity(): values({"cam": 1.0})}), "None of the metrics of this run says"),
        (
            made.evaluation({Pointing(): {"cam": [None] * IMAGES}}),
            "No metric that says which of two maps is better",
        ),
    ],
)
def test_where_nothing_can_be_said_the_answer_says_why(found: Evaluation, said: str) -> None:
    given = answer(found, metric_agreements(found))
    assert given.alarm.startswith(said)
    assert given.paragraphs == []


def test_one_method_alone_is_set_against_the_controls() -> None:
    found = run_of(Deletion(), cam=1.0)
    (paragraph,) = answer(found, []).paragraphs
    assert paragraph.reasons[0] == "It is the only method that was compared, and better than every control by Deletion."
    without = made.evaluation({Deletion(): values({"cam": 1.0})})
    given = answer(without, [])
    assert given.paragraphs[0].reasons[0] == "It is the only method that was compared."
    assert "No controls took part, so it is not known whether" in given.basis[1]


def test_a_metric_of_few_images_does_not_count() -> None:
    boxed = {name: [*[None] * 15, *each[15:]] for name, each in values({"cam": 90.0, "gradcam": 20.0}).items()}
    (doubt,) = answer(made.evaluation({Pointing(): boxed}), []).doubts
    assert doubt == "Energy in the box is defined for 5 images only; at least 10 are needed, so it does not count."


def test_methods_with_empty_maps_are_named_and_not_advised() -> None:
    found = made.evaluation({Deletion(): values({"cam": 1.0, "gradcam": 5.0, **CONTROLS})}, empty={"cam": [1, 2]})
    given = answer(found, [])
    assert [paragraph.advice for paragraph in given.paragraphs] == ["gradcam"]
    assert given.basis[-1] == "Not compared, because more than 1 % of their maps are empty: cam (2 of 20)."


# --------------------------------------------------------------------------------------------------------------------
# The estimated error.


def test_the_tables_hold_the_mean_relative_error_where_there_is_one() -> None:
    found = made.evaluation({Deletion(): values({"scorecam:budget=5%": 1.0, "cam": 2.0}, 12)})
    errors = [0.1, 0.3, None, *[0.2] * 9]
    for image, error in zip(found.images, errors, strict=True):
        found.maps[image.sha256, "scorecam:budget=5%"].record.update({"error": {"relative_error": error}})  # type: ignore[attr-defined]
        found.maps[image.sha256, "cam"].record.update({"error": None})  # type: ignore[attr-defined]
    expected = mean_interval(np.array([one for one in errors if one is not None]))
    assert mean_error(found, "scorecam:budget=5%") == expected
    assert mean_error(found, "cam").n == 0
    rows = [row for row in flat_table(found, summarise(found)) if row["metric"] == "relative_error"]
    assert [(row["method"], row["value"], row["n"]) for row in rows] == [("scorecam:budget=5%", expected.value, 11)]
    table = methods_table(found, summarise(found))
    assert table.has_errors
    first, second = table.lines
    assert first.error is not None
    assert (first.error.value, first.error.n) == ("20.0", 11)
    assert second.error is None
