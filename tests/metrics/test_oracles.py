"""Every metric against a slow reference written from METHODS.md: one forward pass at a time, and OpenCV's resize."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import SettingError
from onnx_cam.image.baselines import make_baseline
from onnx_cam.metrics import (
    AverageDrop,
    AverageIncrease,
    ClassChange,
    Deletion,
    Insertion,
    MaskedImage,
    Pointing,
    Specificity,
    Win,
    choose_metrics,
)
from onnx_cam.metrics.interval import mean_interval
from onnx_cam.metrics.pixels import area, pixel_order, pixel_ranks, step_counts
from tests import tiny
from tests.oracle import Network

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
CLASS = 1


@pytest.fixture
def classifier(tmp_path: Path) -> Classifier:
    return onnx_cam.load(tiny.save(tiny.model(), tmp_path), preprocess="none")


@pytest.fixture
def score(classifier: Classifier) -> Callable[[Array], float]:
    network = Network(classifier.facts.proto, "relu2", "logits")
    return lambda x: float(network.probability(x)[CLASS])


def cam_of(seed: int, size: int = 5) -> Floats:
    return np.maximum(np.random.default_rng(seed).standard_normal((size, size)), 0).astype(np.float32)


def upsampled(cam: Floats) -> Array:
    """``s(U(L))``."""
    raised = cv2.resize(cam, (tiny.SIZE, tiny.SIZE), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    return np.asarray((raised - raised.min()) / (raised.max() - raised.min()), np.float64)


def masked(classifier: Classifier, cam: Floats, **extra: Any) -> MaskedImage:
    return MaskedImage(classifier, tiny.image(3), CLASS, cam, **{"batch_size": 4, **extra})


@pytest.mark.parametrize("seed", range(4))
def test_drop_increase_and_win_are_of_the_image_times_the_map(
    classifier: Classifier, score: Callable[[Array], float], seed: int
) -> None:
    cam, x = cam_of(seed), tiny.image(3).astype(np.float64)
    y, o = score(x), score(x * upsampled(cam))
    image = masked(classifier, cam)
    assert AverageDrop().measure(image).value == pytest.approx(100 * max(0, y - o) / y, abs=1e-3)
    assert AverageIncrease().measure(image).value == 100 * (y < o)
    assert Win().measure(image).value == pytest.approx(y - o, abs=1e-5)
    assert image.passes == 2  # Y and O, shared


def test_the_drop_of_a_share_of_the_pixels_keeps_the_most_important_ones(
    classifier: Classifier, score: Callable[[Array], float]
) -> None:
    cam, x = cam_of(1), tiny.image(3).astype(np.float64)
    mask = upsampled(cam)
    least = np.sort(mask.ravel())[::-1][round(0.3 * mask.size) - 1]
    expected = score(x) - score(x * np.where(mask >= least, mask, 0))
    assert Win(keep=0.3).measure(masked(classifier, cam)).value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur"])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_deletion_and_insertion_go_pixel_by_pixel(
    classifier: Classifier, score: Callable[[Array], float], baseline: str, steps: int
) -> None:
    cam, x = cam_of(2), tiny.image(3)
    x_b = make_baseline(baseline, x, None).astype(np.float64)
    image = masked(classifier, cam)
    order = pixel_order(image.importance)
    removed: list[float] = []
    added: list[float] = []
    for step in range(steps + 1):
        count = round(step * order.size / steps)
        for curve, start, end in ((removed, x.astype(np.float64), x_b), (added, x_b, x.astype(np.float64))):
            picture = start.copy().reshape(3, -1)
            picture[:, order[:count]] = end.reshape(3, -1)[:, order[:count]]
            curve.append(score(picture.reshape(x.shape)))
    deletion = Deletion(steps=steps, baseline=baseline).measure(image)
    insertion = Insertion(steps=steps, baseline=baseline).measure(image)
    np.testing.assert_allclose(np.array(deletion.curve), removed, atol=1e-5)
    np.testing.assert_allclose(np.array(insertion.curve), added, atol=1e-5)
    points = np.linspace(0, 1, steps + 1)
    assert deletion.value == pytest.approx(np.interp(np.linspace(0, 1, 10001), points, removed).mean(), abs=1e-3)
    assert insertion.value == pytest.approx(np.interp(np.linspace(0, 1, 10001), points, added).mean(), abs=1e-3)


def test_the_order_of_the_pixels_is_that_of_the_upsampled_map() -> None:
    importance = np.array([[0.2, 0.9], [0.9, 0.1]], np.float32)
    assert pixel_order(importance).tolist() == [1, 2, 0, 3]  # ties by position
    assert pixel_ranks(importance).tolist() == [[2, 0], [1, 3]]


def test_the_masks_of_a_curve_keep_the_first_or_the_last_pixels_in_order(classifier: Classifier) -> None:
    image = masked(classifier, cam_of(4))
    order = pixel_order(image.importance)
    assert step_counts(order.size, 7) == [round(i * order.size / 7) for i in range(1, 7)]
    for count in step_counts(order.size, 7):
        for most_important, kept in ((True, order[:count]), (False, order[-count:])):
            mask = np.zeros(order.size)
            mask[kept] = 1
            np.testing.assert_array_equal(image.kept(count, most_important=most_important).ravel(), mask)
    with pytest.raises(SettingError, match="steps=401, but the input has 400 pixels"):
        step_counts(400, 401)


def test_the_area_under_a_straight_line_is_half_its_height() -> None:
    assert area(np.linspace(1, 0, 11)) == pytest.approx(0.5)
    assert area(np.array([0.0, 1.0, 0.0])) == pytest.approx(0.5)


def test_the_upsampled_map_is_opencvs(classifier: Classifier) -> None:
    np.testing.assert_allclose(masked(classifier, cam_of(5)).importance, upsampled(cam_of(5)), atol=1e-6)


def test_energy_in_the_box_is_the_maps_share_on_it(classifier: Classifier) -> None:
    boxes = np.zeros((tiny.SIZE, tiny.SIZE), bool)
    boxes[:5, 3:9] = True
    mask = upsampled(cam_of(6))
    image = masked(classifier, cam_of(6), boxes=boxes)
    assert Pointing().measure(image).value == pytest.approx(100 * mask[:5, 3:9].sum() / mask.sum(), rel=1e-5)
    assert Pointing().measure(masked(classifier, cam_of(6))).value is None
    assert Pointing().measure(masked(classifier, np.zeros((5, 5), np.float32), boxes=boxes)).value is None


def test_an_empty_map_has_figures_but_no_energy(classifier: Classifier, score: Callable[[Array], float]) -> None:
    image = masked(classifier, np.zeros((5, 5), np.float32), specificity=None)
    x = tiny.image(3).astype(np.float64)
    assert Win().measure(image).value == pytest.approx(score(x) - score(0 * x), abs=1e-5)
    curve = Deletion(steps=4).measure(image).curve  # by position: row after row
    half = x.copy().reshape(3, -1)
    half[:, : half.shape[1] // 2] = 0
    assert curve[2] == pytest.approx(score(half.reshape(x.shape)), abs=1e-5)
    assert Specificity().measure(image).value is None


def test_maps_that_have_nothing_in_common_are_the_square_root_of_2_apart(classifier: Classifier) -> None:
    one, other = np.zeros((2, 5, 5), np.float32)
    one[0, 0], other[1, 1] = 3, 5
    assert ClassChange().measure(masked(classifier, one, second_cam=other)).value == pytest.approx(2**0.5)
    assert ClassChange().measure(masked(classifier, one, second_cam=7 * one)).value == pytest.approx(0)
    assert ClassChange().measure(masked(classifier, one, second_cam=0 * one)).value is None
    assert ClassChange().measure(masked(classifier, one)).value is None


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_changes_no_figure(classifier: Classifier, batch_size: int) -> None:
    figures = []
    for size in (4, batch_size):
        image = masked(classifier, cam_of(7), batch_size=size)
        figures.append([metric.measure(image).value for metric in choose_metrics("average-drop,deletion,insertion")])
    first, second = np.array(figures, np.float64)
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_a_logit_at_or_below_zero_has_no_drop_in_percent(classifier: Classifier) -> None:
    x = tiny.image(3)
    logits = classifier.sessions.scores(x[None], "logit")[0]
    below = MaskedImage(classifier, x, int(np.argmin(logits)), cam_of(8))
    above = MaskedImage(classifier, x, int(np.argmax(logits)), cam_of(8))
    assert logits.min() < 0 < logits.max()
    assert AverageDrop(score="logit").measure(below).value is None
    assert AverageDrop(score="logit").measure(above).value is not None


class HandedOver:
    """An extractor for torchcam's metrics that takes our ``L↑`` for its map."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.map: Any = None

    def __call__(self, *_: Any, **__: Any) -> list[Any]:
        return [self.map]

    def fuse_cams(self, cams: list[Any]) -> Any:
        return cams[0]

    def _hooks_off(self) -> Any:
        return nullcontext()


def test_torchcams_metrics_agree(classifier: Classifier) -> None:
    torch = pytest.importorskip("torch")
    from torchcam.metrics import ClassificationMetric

    class Tiny(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return torch.from_numpy(classifier.sessions.scores(x.numpy(), "logit"))

    extractor = HandedOver(Tiny())
    metric = ClassificationMetric(extractor, lambda scores: torch.softmax(scores, -1))
    drops, rises = [], []
    for seed in range(6):
        image = masked(classifier, cam_of(seed))
        extractor.map = torch.from_numpy(image.importance)[None]
        metric.update(torch.from_numpy(tiny.image(3)[None]), CLASS)
        drops.append(AverageDrop().measure(image).value)
        rises.append(AverageIncrease().measure(image).value)
    summary = metric.summary()
    assert 100 * summary["avg_drop"] == pytest.approx(np.mean(drops), abs=1e-3)  # type: ignore[arg-type]
    assert 100 * summary["conf_increase"] == pytest.approx(np.mean(rises))  # type: ignore[arg-type]
    assert np.mean(drops) + np.mean(rises) > 0  # type: ignore[arg-type]


def test_the_interval_of_a_mean_is_the_bootstraps() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = mean_interval(values)
    assert found.value == pytest.approx(values.mean())
    spread = 1.96 * values.std() / 20  # of the mean of 400
    assert found.low == pytest.approx(values.mean() - spread, abs=0.03)
    assert found.high == pytest.approx(values.mean() + spread, abs=0.03)
    assert mean_interval(values) == found
    assert mean_interval(np.array([5.0])).describe() == {"value": 5.0, "low": 5.0, "high": 5.0, "n": 1}
    assert mean_interval(np.zeros(0)).describe() == {"value": None, "low": None, "high": None, "n": 0}
