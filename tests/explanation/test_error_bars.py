"""What is said of a map's error: of noise against the definition, of passes left out against the exact map."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import onnx_cam
from onnx_cam.budget.observations import Observations, mean_scores, samples_of
from onnx_cam.budget.score_scale import ScoreScale
from tests import wide
from tests.oracle import Array, Case, Network, s, softmax, upsample

SEED, SAMPLES = 2, 5


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> onnx_cam.Classifier:
    return wide.load(tmp_path_factory.mktemp("wide"))


def explain(model: onnx_cam.Classifier, image: int = 1, **settings: Any) -> onnx_cam.Explanation:
    found: onnx_cam.Explanation = onnx_cam.explain(model, wide.image(image), **{"batch_size": 16, **settings})
    return found


# --- of noise, in exact runs


def case_of(sigma: float) -> tuple[Case, Array]:
    """Return what the references score, and the activation maps."""
    network = Network(wide.model(), "relu2", "logits")
    x = wide.image().astype(np.float64)
    case = Case(network, x, int(np.argmax(network.logit(x))), seed=SEED, samples=SAMPLES, sigma=sigma)
    return case, network.activations(x)


def range_scores(case: Case, a: Array) -> list[float]:
    h = s(upsample(a, case.size))
    return [case.f(case.x * (h + case.sigma * case.noise(i, case.size))) for i in range(SAMPLES)]


def feature_scores(case: Case, a: Array) -> list[float]:
    deviation = case.sigma * (a.max() - a.min())
    noisy = [a + deviation * case.noise(i, a.shape) for i in range(SAMPLES)]
    return [case.f(case.x * s(upsample(z, case.size))) for z in noisy]


def input_scores(case: Case, a: Array) -> list[float]:
    masked = case.x * s(upsample(a, case.size))
    return [case.f(masked + case.sigma * case.noise(i, case.x.shape)) for i in range(SAMPLES)]


def share_scores(case: Case, a: Array) -> list[float]:
    masked, deviation = case.x * s(upsample(a, case.size)), case.sigma * (case.x.max() - case.x.min())
    return [case.f(masked + deviation * case.noise(i, case.x.shape)) for i in range(SAMPLES)]


def authors_scores(case: Case, a: Array) -> list[float]:
    masked = case.x * s(upsample(a, case.size))
    deviation = (case.sigma / (masked.max() - masked.min())) ** 2
    return [case.f(masked + deviation * case.noise(i, case.x.shape)) for i in range(SAMPLES)]


def standard_error(each: Array) -> Array:
    """Return the standard error of the mean of maps (N, h, w)."""
    return np.asarray(each.std(axis=0, ddof=1) / np.sqrt(len(each)))


def agree(found: onnx_cam.Explanation, expected: Array, mean: Array) -> None:
    """Check an error of 200 draws (5 % off, if that is one deviation) where the ReLU does nothing to it."""
    assert found.error is not None
    clear = mean > 5 * expected
    assert clear.mean() > 0.5
    np.testing.assert_allclose(found.cam[clear], mean[clear], rtol=1e-4)
    np.testing.assert_allclose(found.error[clear], expected[clear], rtol=0.2)
    assert np.median(np.abs(found.error[clear] / expected[clear] - 1)) < 0.1


REFERENCES: dict[str, tuple[float, Callable[[Case, Array], list[float]]]] = {
    "sscam1:range": (0.1, range_scores),
    "sscam1:feature": (0.15, feature_scores),
    "sscam2:range": (0.1, share_scores),
    "sscam2:paper": (0.3, input_scores),
    "sscam2:authors": (2.0, authors_scores),
}


@pytest.mark.parametrize("spelling", REFERENCES)
def test_the_noise_error_is_the_standard_error_of_the_fields_maps(
    spelling: str, classifier: onnx_cam.Classifier
) -> None:
    (sigma, scores), (method, variant) = REFERENCES[spelling], spelling.split(":")
    case, maps = case_of(sigma)
    baseline = 0.0 if variant == "authors" else case.f(case.baseline)
    live = np.ptp(maps, axis=(1, 2)) > 0
    by_field = np.array([scores(case, a) for a in maps[live]]).T - baseline  # (N, K)
    each = np.tensordot(by_field, maps[live], axes=1)  # (N, h, w)
    found = explain(classifier, method=method, variant=variant, sigma=sigma, samples=SAMPLES, seed=SEED)
    assert found.error_of == "noise"
    agree(found, standard_error(each), each.mean(axis=0))


def test_the_noise_error_of_a_softmax_is_that_of_its_slope(classifier: onnx_cam.Classifier) -> None:
    """What one field says beyond the mean moves the weights by a step so small that they are linear in it."""
    case, maps = case_of(0.5)

    def logits(a: Array) -> list[float]:
        h = upsample(s(a, 1e-8), case.size)
        return [case.f_logit(case.x * (h + case.sigma * case.noise(i, case.size))) for i in range(SAMPLES)]

    scores = np.array([logits(a) for a in maps]).T  # (N, K), dead maps included
    mean, step = scores.mean(axis=0), 1e-4
    slopes = np.array([(softmax(mean + step * (one - mean)) - softmax(mean)) / step for one in scores])
    each = np.tensordot(softmax(mean) + slopes, maps, axes=1)
    found = explain(classifier, method="sscam1", variant="torchcam", sigma=0.5, samples=SAMPLES, seed=SEED)
    agree(found, standard_error(each), np.tensordot(softmax(mean), maps, axes=1))


def test_the_noise_error_shrinks_with_the_root_of_the_samples(classifier: onnx_cam.Classifier) -> None:
    few, many = (explain(classifier, method="sscam1", samples=samples) for samples in (20, 180))
    assert few.error is not None
    assert many.error is not None
    assert np.median(few.error / many.error) == pytest.approx(3, rel=0.25)
    assert few.relative_error is not None
    assert many.relative_error is not None
    assert few.relative_error / many.relative_error == pytest.approx(3, rel=0.3)


@pytest.mark.parametrize("method", ["sscam1", "sscam2"])
def test_the_noise_error_is_how_maps_vary_with_the_seed(method: str, classifier: onnx_cam.Classifier) -> None:
    found = [explain(classifier, method=method, samples=4, seed=seed) for seed in range(20)]
    really = np.array([one.cam for one in found]).std(axis=0, ddof=1)
    said = np.sqrt(np.mean([np.asarray(one.error) ** 2 for one in found], axis=0))
    assert np.median(said / really) == pytest.approx(1, rel=0.25)


@pytest.mark.parametrize("method", ["scorecam", "iscam", "sscam-max", "cam"])
def test_an_exact_map_of_another_method_has_no_error(method: str, classifier: onnx_cam.Classifier) -> None:
    found = explain(classifier, method=method)
    assert (found.error, found.error_of, found.relative_error, found.relative_error_interval) == (
        None,
        None,
        None,
        None,
    )
    assert (found.above_average, found.unsettled) == (None, None)
    assert found.precision == ""
    assert (found.record()["error"], found.record()["exact_passes"]) == (None, None)


@pytest.mark.parametrize("method", ["sscam1", "sscam2"])
@pytest.mark.parametrize("settings", [{"samples": 1}, {"samples": 4, "sigma": 0}], ids=str)
def test_one_sample_tells_nothing_of_the_noise_and_samples_alike_have_none(
    method: str, settings: dict[str, Any], classifier: onnx_cam.Classifier
) -> None:
    found = explain(classifier, method=method, **settings)
    assert found.error is None
    assert found.relative_error is None


# --- of passes left out


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[onnx_cam.Classifier]:
    return [wide.load(tmp_path_factory.mktemp("wide"), seed) for seed in (1, 3, 5)]


def check_coverage(
    several: list[onnx_cam.Classifier], budgets: tuple[str, ...], settings: dict[str, Any], least: float = 0.75
) -> None:
    """Check what share of six maps' positions lies within the 90 % bars, at each budget."""
    covered, within = [], []
    for model in several:
        for image in (1, 2):
            exact = explain(model, image, **settings)
            for found in (explain(model, image, **settings, budget=budget) for budget in budgets):
                assert found.relative_error_interval is not None
                left = wide.left_of(found, exact, wide.activations(model, wide.image(image)))
                covered.append(wide.covered(found, exact))
                within.append(left <= found.relative_error_interval[1])
    by_budget = np.reshape(covered, (-1, len(budgets))).mean(axis=0)
    assert by_budget.min() >= least, by_budget
    assert np.mean(within) >= 0.6  # of six maps


def test_ninety_percent_bars_cover_the_exact_map(several: list[onnx_cam.Classifier]) -> None:
    check_coverage(several, ("15%", "25%", "50%"), {"method": "scorecam"})


@pytest.mark.parametrize("spelling", [*REFERENCES, "sscam1:authors", "iscam:paper", "iscam:linear"])
def test_ninety_percent_bars_cover_the_exact_map_of_all_samples(
    spelling: str, several: list[onnx_cam.Classifier]
) -> None:
    """At 10 % of N = 10 each mask is scored about once."""
    method, variant = spelling.split(":")
    settings: dict[str, Any] = {"method": method, "variant": variant, "samples": 10}
    settings |= {"sigma": REFERENCES[spelling][0]} if spelling in REFERENCES else {}
    check_coverage(several, ("10%",), settings, least=0.5 if method == "iscam" else 0.75)  # its steps differ most


@pytest.mark.parametrize("repeated", [0, 1, 5, 9, 20])
def test_few_masks_with_two_samples_do_not_say_that_there_is_no_noise(repeated: int) -> None:
    """Scores are nothing but noise of variance 1; the effects of ten fields must not take up what shows it."""
    rng = np.random.default_rng(0)
    more = np.where(np.arange(200) < repeated, 2, 1)
    mask, sample = samples_of(np.arange(200), np.zeros(200, np.int64), more, 10, seed=0)
    observed = Observations.none(samples=10).joined(mask, sample, rng.standard_normal((len(mask), 1)))
    made = mean_scores(observed, ScoreScale("identity"))
    assert np.median(made.noise(10)[made.count == 1]) > 0.2  # 1 − 1/10, were the variance known


def test_more_passes_leave_less(classifier: onnx_cam.Classifier) -> None:
    found = [explain(classifier, budget=budget) for budget in (10, 25, 50)]
    shares = [one.relative_error for one in found]
    assert shares == sorted(shares, reverse=True)  # type: ignore[type-var]
    errors = [float(np.mean(one.error)) for one in found if one.error is not None]
    assert errors[0] > errors[1] > errors[2] > 0
    for one in found:
        assert one.relative_error is not None
        assert one.relative_error_interval is not None
        assert 0 < one.relative_error_interval[0] < one.relative_error < one.relative_error_interval[1]


def test_what_is_settled_is_so_in_the_exact_map(classifier: onnx_cam.Classifier) -> None:
    wrong = []
    for image in range(1, 7):
        exact, found = (explain(classifier, image, budget=budget) for budget in (None, "25%"))
        assert found.above_average is not None
        assert found.unsettled is not None
        assert found.above_average.shape == found.unsettled.shape == exact.cam.shape
        assert 0 <= found.above_average.min() <= found.above_average.max() <= 1
        np.testing.assert_array_equal(found.unsettled, (found.above_average > 0.05) & (found.above_average < 0.95))
        really, said = exact.cam > exact.cam.mean(), found.above_average >= 0.95
        wrong.append(np.mean((really != said)[~found.unsettled]))
    assert np.mean(wrong) < 0.05


@pytest.fixture(scope="module")
def hardly(tmp_path_factory: pytest.TempPathFactory) -> tuple[onnx_cam.Classifier, dict[str, Any]]:
    """A model with an image and a class that few channels score for: the map of eight passes is empty."""
    return wide.load(tmp_path_factory.mktemp("hardly"), seed=12), {"image": 5, "target": 1}


def test_an_empty_map_from_a_part_of_the_passes_is_not_certain(
    hardly: tuple[onnx_cam.Classifier, dict[str, Any]],
) -> None:
    model, settings = hardly
    assert not explain(model, **settings).empty
    found = explain(model, **settings, budget=8)
    assert found.empty
    assert found.relative_error_interval is None
    assert found.unsettled is not None
    assert found.unsettled.any()
    assert any("the others may change it" in warning for warning in found.warnings)


def test_an_empty_map_meets_no_tolerance(hardly: tuple[onnx_cam.Classifier, dict[str, Any]]) -> None:
    model, settings = hardly
    exact, found = explain(model, **settings), explain(model, **settings, tolerance=0.05)
    assert found.passes > 8
    assert wide.left_of(found, exact, wide.activations(model, wide.image(settings["image"]))) < 0.3


# --- scores that are all equal


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> onnx_cam.Classifier:
    """A model whose output depends on nothing."""
    return wide.load(tmp_path_factory.mktemp("blind"), w3=np.zeros((4, wide.CHANNELS), np.float32))


@pytest.mark.parametrize("method", ["scorecam", "sscam1", "sscam2", "iscam"])
@pytest.mark.parametrize("limit", [{"budget": "30%"}, {"tolerance": 0.1}], ids=str)
def test_equal_scores_are_said_to_be_so(method: str, limit: dict[str, Any], blind: onnx_cam.Classifier) -> None:
    samples = None if method == "scorecam" else 3
    found = explain(blind, method=method, samples=samples, **limit)
    assert any("the map does not depend on the class" in warning for warning in found.warnings)
    assert found.empty
    assert (found.relative_error, found.relative_error_interval) == (None, None)
    json.dumps(found.record(), allow_nan=False)


def test_the_error_of_equal_scores_is_unknown_and_drawn_all_the_same(blind: onnx_cam.Classifier) -> None:
    found = explain(blind, method="sscam2", samples=3, budget="30%")
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["error"] == {
        "of": "passes left out",
        "relative_error": None,
        "relative_error_interval": None,
        "level": 0.9,
        "largest_deviation": None,
    }
    assert found.precision == "relative error unknown"
    assert found.unsettled is not None
    assert found.unsettled.all()
    assert found.error_picture().dtype == np.uint8
