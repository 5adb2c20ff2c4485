"""A part of the passes: how many are run, when the map is exact, and that only the passes left out change it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.errors import ScoreError
from onnx_cam.methods import METHODS
from onnx_cam.methods.mean_score import MeanScoreMethod
from tests import tiny, wide
from tests.oracle import Case, Network, s, upsample
from tests.places import SHARED

BUDGETED = [name for name, method in METHODS.items() if issubclass(method, MeanScoreMethod)]
PAIRS = [(name, one) for name in BUDGETED for one, wiring in METHODS[name].variants.items() if not wiring.softmax]
NOISY = ("sscam1", "sscam2")
SMALL_SIGMA = {("sscam1", "paper"): 0.3, ("sscam2", "paper"): 0.3}  # the equation's drowns the image: an empty map
KERAS = SHARED / "panel" / "mobilenetv1_025_keras_nhwc.onnx"
CAT = SHARED / "images" / "cat_720p.jpg"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> onnx_cam.Classifier:
    """A classifier that knows the image and the baseline: neither takes a pass."""
    known = wide.load(tmp_path_factory.mktemp("wide"))
    onnx_cam.explain(known, wide.image())
    return known


@pytest.fixture
def fresh(tmp_path: Path) -> onnx_cam.Classifier:
    """A classifier that knows neither an image nor a baseline: both take a pass."""
    return wide.load(tmp_path)


def explain(model: onnx_cam.Classifier, **settings: Any) -> onnx_cam.Explanation:
    found: onnx_cam.Explanation = onnx_cam.explain(model, wide.image(), **{"batch_size": 8, **settings})
    return found


def of(method: str, variant: str | None = None, samples: int = 4) -> dict[str, Any]:
    """Return the settings of a method, with N samples where it has them."""
    own: dict[str, Any] = {"method": method, "variant": variant, "sigma": SMALL_SIGMA.get((method, str(variant)))}
    return own if method == "scorecam" else {**own, "samples": samples}


# --- exact


NOTHING_LEFT_OUT: list[dict[str, Any]] = [
    *({"budget": budget} for budget in (0, 0.0, "0", "0%", wide.EXACT, 1.0, "100%", "500%", 10**6, "1000000")),
    *({"tolerance": 0}, {"tolerance": 0.0}, {"budget": 0, "tolerance": 0.1}, {"budget": "100%", "tolerance": 0}),
]


@pytest.mark.parametrize("limit", NOTHING_LEFT_OUT, ids=str)
def test_nothing_left_out_is_the_exact_map_to_the_bit(limit: dict[str, Any], classifier: onnx_cam.Classifier) -> None:
    exact, found = explain(classifier), explain(classifier, **limit)
    np.testing.assert_array_equal(found.cam, exact.cam)
    np.testing.assert_array_equal(found.weights, exact.weights)
    assert (found.exact_passes, exact.exact_passes) == (wide.EXACT, None)
    (warning,) = found.warnings
    assert warning.endswith("the map is exact")
    for one in (found, exact):
        assert (one.error, one.error_of, one.relative_error, one.above_average) == (None, None, None, None)


@pytest.mark.parametrize("limit", [{"budget": "500%"}, {"tolerance": 0}], ids=str)
@pytest.mark.parametrize(("method", "variant"), PAIRS[1:])
def test_nothing_left_out_is_exact_for_every_method(
    method: str, variant: str, limit: dict[str, Any], classifier: onnx_cam.Classifier
) -> None:
    exact, found = (explain(classifier, **of(method, variant), **settings) for settings in ({}, limit))
    np.testing.assert_array_equal(found.cam, exact.cam)
    assert found.exact_passes == (3 * wide.EXACT + 1 if (method, variant) == ("iscam", "paper") else 4 * wide.EXACT)
    assert any(warning.endswith("the map is exact") for warning in found.warnings)
    assert found.error_of == exact.error_of == ("noise" if method in NOISY else None)
    np.testing.assert_array_equal(np.asarray(found.error, float), np.asarray(exact.error, float))
    assert found.relative_error_interval == exact.relative_error_interval


@pytest.mark.parametrize("limit", [{"budget": "50%"}, {"budget": 2}, {"tolerance": 0.5}], ids=str)
def test_few_live_channels_are_all_scored(limit: dict[str, Any], tiny_classifier: onnx_cam.Classifier) -> None:
    found = onnx_cam.explain(tiny_classifier, tiny.image(1), **limit)
    np.testing.assert_array_equal(found.cam, onnx_cam.explain(tiny_classifier, tiny.image(1)).cam)
    live = tiny.CHANNELS - len(tiny.DEAD)
    assert found.exact_passes == live
    assert found.error is None
    reason = f"{live} forward passes are too few to predict any of them, so all were run"
    assert [f"{reason}: the map is exact"] == list(found.warnings)


@pytest.mark.parametrize("method", BUDGETED)
def test_a_layer_of_dead_channels_is_an_empty_map(method: str, tmp_path: Path) -> None:
    model = wide.load(tmp_path, w2=np.zeros((wide.CHANNELS, 8, 3, 3), np.float32))
    found = explain(model, **of(method), budget="10%", tolerance=0.1)
    assert found.empty
    assert found.exact_passes == 0
    assert any("every activation map of the layer is constant" in warning for warning in found.warnings)


# --- the passes


@pytest.mark.parametrize("budget", [8, 20, 37, wide.MASKS - 1, wide.EXACT - 1])
def test_no_more_passes_than_the_budget_are_run(budget: int, classifier: onnx_cam.Classifier) -> None:
    assert explain(classifier, budget=budget).passes <= budget


@pytest.mark.parametrize(
    ("method", "budget", "passes"),
    [
        ("scorecam", 20, 20 + 2),  # the tap and the baseline
        ("scorecam", "20", 20 + 2),
        ("scorecam", "25%", 19 + 2),
        ("scorecam", 0.25, 19 + 2),
        ("scorecam", "12.5%", 10 + 2),  # 9.5
        ("sscam1:range", "10%", 30 + 2),
        ("sscam1:feature", 50, 50 + 2),
        ("sscam1:authors", "10%", 30 + 1),  # no baseline
        ("sscam2:authors", 200, 200 + 1),
        ("sscam2:paper", "10%", 30 + 2),
        ("iscam:paper", "10%", 23 + 2),  # with c_1 = 0: a blank input for all channels
        ("iscam:linear", "10%", 30 + 2),
    ],
)
def test_the_passes_run_are_the_budget(method: str, budget: Any, passes: int, fresh: onnx_cam.Classifier) -> None:
    name, _, variant = method.partition(":")
    found = explain(fresh, **of(name, variant or None), budget=budget)
    assert found.passes == passes
    exact = {"scorecam": wide.EXACT, "iscam:paper": 3 * wide.EXACT + 1}
    assert found.exact_passes == exact.get(method, 4 * wide.EXACT)
    assert found.error_of == "passes left out"
    assert not found.warnings


@pytest.mark.parametrize("budget", [1, 3, "1%", "0.0001%"])
def test_a_budget_too_small_is_raised_and_that_is_said(budget: Any, classifier: onnx_cam.Classifier) -> None:
    found = explain(classifier, budget=budget)
    assert found.passes == 8
    assert any("fewer than 8 forward passes" in warning for warning in found.warnings)


def test_inputs_that_need_no_run_are_counted_as_without_a_budget(tmp_path: Path) -> None:
    skipped = [explain(wide.load(tmp_path), budget=budget).passes_skipped for budget in (None, 20)]
    assert skipped == [len(wide.DEAD) + len(wide.REPEATED)] * 2


@pytest.mark.parametrize("limit", [{"budget": "30%"}, {"tolerance": 0.4}], ids=str)
@pytest.mark.parametrize("method", BUDGETED)
def test_channels_with_one_mask_have_one_weight_and_dead_ones_none(
    method: str, limit: dict[str, Any], classifier: onnx_cam.Classifier
) -> None:
    found = explain(classifier, **of(method), **limit)
    assert found.error_of == "passes left out"
    assert not found.weights[list(wide.DEAD)].any()
    for channel, other in {**wide.REPEATED, **{k: like for k, (like, _) in wide.SCALED.items()}}.items():
        assert found.weights[channel] == found.weights[other] != 0


def test_steps_that_differ_in_nothing_are_one_sample(classifier: onnx_cam.Classifier) -> None:
    """Without noise all samples are alike: the plan is Score-CAM's."""
    found = explain(classifier, method="sscam2", variant="paper", samples=5, sigma=0, budget="30%")
    alone = explain(classifier, budget="30%")
    assert found.exact_passes == alone.exact_passes == wide.EXACT
    np.testing.assert_allclose(found.cam, alone.cam, atol=1e-6 * alone.cam.max())


@pytest.mark.parametrize(("samples", "exact_passes"), [(1, 1), (2, wide.EXACT + 1)])
def test_a_path_with_a_blank_step_alone_or_one_other(
    samples: int, exact_passes: int, classifier: onnx_cam.Classifier
) -> None:
    """c = 0, and c = 0, 0.5: nothing to regress, and one sample of each mask."""
    found = explain(classifier, method="iscam", samples=samples, budget=20)
    assert found.exact_passes == exact_passes
    assert found.passes == (1 if samples == 1 else 20)
    assert found.empty == (samples == 1)


def test_a_score_that_is_not_a_number_names_its_channel_and_sample(tmp_path: Path) -> None:
    """√(largest activation − limit): NaN for masks that leave too little, as the slow reference says too."""
    nodes = [
        helper.make_node("ReduceMax", ["relu1"], ["largest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["largest", "limit"], ["over"]),
        helper.make_node("Sqrt", ["over"], ["root"]),
        helper.make_node("Unsqueeze", ["root", "last"], ["column"]),
        helper.make_node("Add", ["logits", "column"], ["spoilt"]),
    ]
    proto = tiny.build(
        [*tiny.body(), *nodes],
        {**wide.weights(), "limit": np.float32(2.2), "last": np.array([1])},
        image=["batch", 3, wide.SIZE, wide.SIZE],
        outputs=[tiny.value_info("spoilt", ["batch", tiny.CLASSES])],
    )
    network = Network(proto, "relu2", "spoilt")
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    with pytest.raises(ScoreError, match=r"NaN or infinite for channel \d+, sample \d") as raised:
        explain(model, method="sscam2", variant="authors", samples=3, layer="relu2", budget=150)
    channel, sample = (int(number) for number in re.findall(r"channel (\d+), sample (\d)", str(raised.value))[0])
    x = wide.image().astype(np.float64)
    masked = x * s(upsample(network.activations(x)[channel], (wide.SIZE, wide.SIZE)))
    deviation = (2 / np.ptp(masked)) ** 2
    assert np.isnan(network.logit(masked + deviation * Case(network, x, 0).noise(sample, x.shape))).any()


# --- the map


@pytest.mark.parametrize(("method", "variant"), PAIRS)
def test_all_passes_in_rounds_give_the_exact_map(method: str, variant: str, classifier: onnx_cam.Classifier) -> None:
    exact = explain(classifier, **of(method, variant))
    found = explain(classifier, **of(method, variant), tolerance=1e-9)
    assert exact.cam.max() > 0
    np.testing.assert_allclose(found.cam, exact.cam, atol=1e-6 * exact.cam.max())
    np.testing.assert_allclose(found.weights, exact.weights, atol=1e-6 * np.abs(exact.weights).max())
    assert any("1e-09" in warning and "the map is exact" in warning for warning in found.warnings)
    assert found.passes <= exact.passes
    assert found.error_of == exact.error_of == ("noise" if method in NOISY else None)
    if found.error is not None and exact.error is not None:
        np.testing.assert_allclose(found.error, exact.error, atol=1e-6 * exact.error.max())


def test_what_is_said_of_all_passes_is_what_was_run(fresh: onnx_cam.Classifier) -> None:
    """Channels with one mask are scored once: the rounds need fewer passes than an exact run."""
    found = explain(fresh, tolerance=1e-9)
    assert found.passes == wide.MASKS + 2
    (said,) = found.warnings
    assert "took all forward passes" in said


@pytest.mark.parametrize(("method", "variant"), PAIRS)
def test_half_of_the_passes_leave_little(method: str, variant: str, classifier: onnx_cam.Classifier) -> None:
    maps = wide.activations(classifier, wide.image())
    exact = explain(classifier, **of(method, variant))
    found = explain(classifier, **of(method, variant), budget="50%")
    assert wide.left_of(found, exact, maps) < 0.1
    assert found.error is not None
    assert found.relative_error is not None
    assert found.relative_error < 0.1
    assert found.error.shape == found.cam.shape
    assert found.error.dtype == np.float32
    assert (found.error >= 0).all()


def test_logits_can_be_regressed_too(classifier: onnx_cam.Classifier) -> None:
    exact, found = (explain(classifier, score="logit", budget=budget) for budget in (None, "50%"))
    assert exact.cam.max() > 0
    assert wide.left_of(found, exact, wide.activations(classifier, wide.image())) < 0.1


def test_scores_that_were_run_are_the_exact_runs(classifier: onnx_cam.Classifier) -> None:
    exact, found = explain(classifier), explain(classifier, budget=30)
    one_of_each_mask = [k for k in range(wide.CHANNELS) if k not in {*wide.DEAD, *wide.REPEATED, *wide.SCALED}]
    same = np.isclose(found.weights, exact.weights, rtol=0, atol=1e-6)[one_of_each_mask]
    assert 30 <= same.sum() < 40  # the others' are regressed


@pytest.mark.parametrize("method", BUDGETED)
def test_a_tolerance_stops_once_the_interval_lies_below_it(method: str, classifier: onnx_cam.Classifier) -> None:
    loose, tight = (explain(classifier, **of(method), tolerance=tolerance) for tolerance in (0.6, 0.2))
    assert loose.passes < tight.passes < loose.exact_passes  # type: ignore[operator]
    for found, tolerance in ((loose, 0.6), (tight, 0.2)):
        assert found.relative_error_interval is not None
        assert found.relative_error_interval[1] <= tolerance


def test_a_tolerance_with_a_budget_stops_at_the_budget_at_the_latest(classifier: onnx_cam.Classifier) -> None:
    met = explain(classifier, tolerance=0.6, budget="60%")
    assert met.passes == explain(classifier, tolerance=0.6).passes < round(0.6 * wide.EXACT)
    spent = explain(classifier, tolerance=1e-9, budget=20)
    assert spent.passes == 20
    assert spent.relative_error_interval is not None
    assert spent.relative_error_interval[1] > 1e-9


@pytest.mark.parametrize(
    ("method", "variant"), [("scorecam", "paper"), ("sscam1", "feature"), ("sscam2", "authors"), ("iscam", "paper")]
)
@pytest.mark.parametrize("limit", [{"budget": "25%"}, {"tolerance": 0.3}], ids=str)
def test_the_batch_size_changes_neither_plan_nor_map(
    method: str, variant: str, limit: dict[str, Any], classifier: onnx_cam.Classifier
) -> None:
    one, *others = (explain(classifier, **of(method, variant), **limit, batch_size=size) for size in (1, 3, 7, None))
    assert one.error is not None
    for other in others:
        assert other.error is not None
        assert other.passes == one.passes
        np.testing.assert_allclose(other.cam, one.cam, atol=1e-4 * one.cam.max())
        np.testing.assert_allclose(other.error, one.error, atol=0.01 * one.error.max())


@pytest.mark.parametrize("method", BUDGETED)
def test_the_seed_repeats_it(method: str, classifier: onnx_cam.Classifier) -> None:
    first, again, other = (explain(classifier, **of(method), budget="25%", seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.cam, again.cam)
    assert np.array_equal(np.asarray(first.error), np.asarray(again.error))
    assert first.relative_error_interval == again.relative_error_interval != other.relative_error_interval
    assert (first.cam != other.cam).any() == (method != "scorecam")  # its plan is the maps' and the scores' alone


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_gives_the_same_part(batch: int, classifier: onnx_cam.Classifier, tmp_path: Path) -> None:
    """Where it cannot be freed: its logits are multiplied by a matrix of one row an image."""
    proto = tiny.build(
        [*tiny.body(), helper.make_node("MatMul", ["eye", "logits"], ["scores"])],
        {**wide.weights(), "eye": np.eye(batch, dtype=np.float32)},
        image=[batch, 3, wide.SIZE, wide.SIZE],
        outputs=[tiny.value_info("scores", [batch, tiny.CLASSES])],
    )
    fixed = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    found, reference = (explain(model, **of("sscam1", "range"), budget="25%") for model in (fixed, classifier))
    assert fixed.fixed_batch == found.batch_size == batch
    np.testing.assert_allclose(found.cam, reference.cam, atol=1e-4 * reference.cam.max())


# --- several targets


@pytest.mark.parametrize("method", BUDGETED)
def test_targets_share_the_passes_and_have_errors_of_their_own(method: str, tmp_path: Path) -> None:
    model, x, targets = wide.load(tmp_path, seed=1), wide.image(2), [0, 1, 3]
    exact = onnx_cam.explain(model, x, **of(method), target=targets)
    found = onnx_cam.explain(model, x, **of(method), target=targets, budget=60)
    assert {one.passes for one in found} == {60}
    assert [one.target for one in found] == [one.target for one in exact]
    assert len({one.relative_error for one in found}) == 3
    shares = [one.error / one.cam.max() for one in found]
    assert np.abs(shares[0] - shares[1]).max() > 1e-4
    assert np.abs(shares[1] - shares[2]).max() > 1e-4
    maps = wide.activations(model, x)
    for one, whole in zip(found, exact, strict=True):
        assert whole.cam.max() > 0
        assert wide.left_of(one, whole, maps) < (0.05 if method == "scorecam" else 0.6)  # of 76, or of 229 or 304


def test_a_target_that_no_pass_moves_is_said_of_that_target_alone(tmp_path: Path) -> None:
    """The logit of class 2 depends on nothing."""
    head = wide.weights()["w3"]
    head[2] = 0
    results = onnx_cam.explain(
        wide.load(tmp_path, w3=head), wide.image(), target=[0, 2], score="logit", method="sscam2", samples=2, budget=30
    )
    said = [any("the map does not depend on the class" in warning for warning in one.warnings) for one in results]
    assert said == [False, True]
    assert results[0].relative_error is not None
    assert results[1].relative_error is None


# --- progress


@pytest.mark.parametrize("method", BUDGETED)
@pytest.mark.parametrize("size", [3, None])
def test_progress_knows_the_whole_budget_from_the_first_run_on(
    method: str, size: int | None, classifier: onnx_cam.Classifier
) -> None:
    seen: list[tuple[int, int]] = []
    found = explain(classifier, **of(method), budget=40, batch_size=size, progress=lambda *two: seen.append(two))
    done = [passes for passes, _ in seen]
    assert done == sorted(set(done))
    assert {planned for _, planned in seen} == {found.passes}
    assert done[-1] == found.passes == 40


@pytest.mark.parametrize("method", BUDGETED)
def test_progress_towards_a_tolerance_never_passes_what_is_planned(
    method: str, classifier: onnx_cam.Classifier
) -> None:
    seen: list[tuple[int, int]] = []
    found = explain(classifier, **of(method), tolerance=0.1, progress=lambda *two: seen.append(two))
    assert all(done <= planned for done, planned in seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (found.passes, found.passes)


# --- a deployed model


@pytest.mark.skipif(not KERAS.is_file(), reason="no ../shared/panel: the models are not part of the project")
def test_a_deployed_model_whose_channels_come_last() -> None:
    model = onnx_cam.load(KERAS, device="cpu", preprocess="tf", threads=1)
    settings: dict[str, Any] = {"method": "sscam2", "samples": 2, "batch_size": 16}
    exact = onnx_cam.explain(model, CAT, **settings)
    found = onnx_cam.explain(model, CAT, **settings, tolerance=1e-9)
    np.testing.assert_allclose(found.cam, exact.cam, atol=1e-5 * exact.cam.max())
    part = onnx_cam.explain(model, CAT, **settings, budget="25%")
    assert part.passes == round(0.25 * part.exact_passes)
