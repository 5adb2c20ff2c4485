"""The controls: what their maps are, written out slowly, and what they must not depend on."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

import onnx_cam
from onnx_cam import names
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import SettingError
from onnx_cam.methods import METHODS, Method, ScoreCAM
from onnx_cam.methods.blurred import Blurred
from onnx_cam.methods.centre import Centre
from onnx_cam.methods.controls import CONTROLS, STANDARD_CONTROLS, is_control
from onnx_cam.methods.equal import EqualWeights
from onnx_cam.methods.spelling import read_method
from onnx_cam.methods.white_noise import WhiteNoise
from tests import tiny


def cam(classifier: Classifier, method: Method, image: int = 1, **settings: object) -> NDArray[np.float32]:
    return onnx_cam.explain(classifier, tiny.image(image), method=method, **settings).cam  # type: ignore[call-overload,no-any-return]


def gaussian(distance: float, sigma: float) -> float:
    return math.exp(-(distance**2) / (2 * sigma**2))


def blurred_slowly(map_: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return a map in which every cell is the mean of all, weighted by a Gaussian of a tenth of each side."""
    height, width = map_.shape
    out = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            shares = [
                [gaussian(i - y, height / 10) * gaussian(j - x, width / 10) for x in range(width)]
                for y in range(height)
            ]
            out[i, j] = (np.array(shares) * map_).sum() / np.sum(shares)
    return out


def test_the_controls_are_listed_among_the_names_and_are_no_methods() -> None:
    assert tuple(CONTROLS) == names.CONTROLS
    assert not set(CONTROLS) & set(METHODS)
    assert [control.name for control in STANDARD_CONTROLS] == ["equal", "centre", "random"]
    assert [is_control(name) for name in ("equal:control", "blurred:cam", "cam", "scorecam:paper")] == [1, 1, 0, 0]


def test_the_centre_is_a_gaussian_of_a_quarter_of_each_side(tiny_classifier: Classifier) -> None:
    found = cam(tiny_classifier, Centre())
    middle, sigma = 2, 5 / 4
    expected = [[gaussian(i - middle, sigma) * gaussian(j - middle, sigma) for j in range(5)] for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found, cam(tiny_classifier, Centre(), image=2, seed=9))


def test_noise_depends_on_the_seed_and_the_image_and_on_nothing_else(tiny_classifier: Classifier) -> None:
    found = cam(tiny_classifier, WhiteNoise())
    np.testing.assert_array_equal(found, cam(tiny_classifier, WhiteNoise()))
    other_model = onnx_cam.load(tiny.model(seed=3), device="cpu", preprocess="none")
    np.testing.assert_array_equal(found, cam(other_model, WhiteNoise()))
    for other in (cam(tiny_classifier, WhiteNoise(), seed=1), cam(tiny_classifier, WhiteNoise(), image=2)):
        assert abs(np.corrcoef(found.ravel(), other.ravel())[0, 1]) < 0.6  # of 25 independent pairs


def test_noise_is_uniform_and_white(tiny_classifier: Classifier) -> None:
    maps = np.stack([cam(tiny_classifier, WhiteNoise(), image=i) for i in range(60)]).astype(np.float64)
    assert maps.min() >= 0
    assert maps.max() < 1
    assert maps.mean() == pytest.approx(1 / 2, abs=5 * math.sqrt(1 / 12 / maps.size))
    assert maps.var() == pytest.approx(1 / 12, abs=0.01)
    neighbours = np.corrcoef(maps[:, :, 1:].ravel(), maps[:, :, :-1].ravel())[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(maps[:, :, 1:].size)


@pytest.mark.parametrize("control", STANDARD_CONTROLS, ids=lambda control: control.name)
def test_a_control_is_the_same_for_every_class_and_costs_no_pass(control: Method, tiny_path: object) -> None:
    fresh = onnx_cam.load(tiny_path, device="cpu", preprocess="none")  # type: ignore[arg-type]
    first, second = onnx_cam.explain(fresh, tiny.image(1), method=control, target=[0, 1])
    np.testing.assert_array_equal(first.cam, second.cam)
    assert first.passes == 1  # the activations and the scores of the image
    assert first.cam.shape == (5, 5)
    assert first.error is None
    assert (first.weights == 0).all() or control.name == "equal"
    assert json.loads(json.dumps(first.record()))["method"] == control.name


@pytest.mark.parametrize(
    "method", [ScoreCAM(), ScoreCAM("torchcam"), METHODS["gradcam"](), METHODS["layercam"](), EqualWeights()], ids=str
)
def test_a_blurred_map_is_the_methods_map_blurred(method: Method, tiny_path: object) -> None:
    fresh = onnx_cam.load(tiny_path, device="cpu", preprocess="none")  # type: ignore[arg-type]
    plain = onnx_cam.explain(fresh, tiny.image(1), method=method, target=[1, 3])
    fresh = onnx_cam.load(tiny_path, device="cpu", preprocess="none")  # type: ignore[arg-type]
    blurred = onnx_cam.explain(fresh, tiny.image(1), method=Blurred(of=method), target=[1, 3])
    assert plain[0].cam.any()
    for sharp, soft in zip(plain, blurred, strict=True):
        np.testing.assert_allclose(soft.cam, blurred_slowly(sharp.cam), rtol=1e-5, atol=1e-6 * sharp.cam.max())
        np.testing.assert_array_equal(soft.weights, sharp.weights)
        assert soft.passes == sharp.passes
        assert soft.parameters["of"] == method.spelling
        assert soft.parameters["score"] == sharp.parameters["score"]


def test_a_blurred_map_with_a_budget_keeps_to_it_and_claims_no_error(tiny_classifier: Classifier) -> None:
    result = onnx_cam.explain(tiny_classifier, tiny.image(1), method=read_method("blurred:sscam2:samples=4:budget=50%"))
    assert result.exact_passes is not None
    assert result.error is None  # it would be that of the map before it is blurred


def test_a_comparison_names_the_blurred_method(tiny_classifier: Classifier) -> None:
    from onnx_cam.comparison.captions import method_name, method_settings

    comparison = onnx_cam.compare(tiny_classifier, tiny.image(1), methods="centre,blurred:sscam2:samples=2")
    centre, blurred = comparison.rows[0]
    assert method_name(centre) == "centre:control"
    assert method_name(blurred) == "blurred:sscam2:range:samples=2:sigma=0.05"
    assert method_settings(blurred) == ""
    for explanation in (centre, blurred):
        read_method(method_name(explanation))  # it can be given again


@pytest.mark.parametrize(
    ("word", "method"),
    [
        ("centre", Centre()),
        ("random:control", WhiteNoise()),
        ("blurred:cam", Blurred(of=METHODS["cam"]())),
        ("blurred:sscam2:paper:sigma=1", Blurred(of=onnx_cam.SSCAM2("paper", samples=7, sigma=1.0))),
        ("blurred:random", Blurred(of=WhiteNoise())),
    ],
)
def test_controls_are_named_by_a_word(word: str, method: Method) -> None:
    assert read_method(word, samples=7) == method
    assert read_method(method.spelling) == method


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("centre:samples=3", "the control centre has no settings: give centre in place of 'centre:samples=3'"),
        ("random:control:sigma=1", "the control random has no settings"),
        ("equal:budget=10%", "the control equal has no settings"),
        ("centre:wide", "unknown variant 'wide' of centre"),
        ("blurred", "expected blurred:METHOD, e.g. blurred:gradcam"),
        ("blurred:", "expected blurred:METHOD, e.g. blurred:gradcam"),
        ("blurred:blurred:cam", "blurred:cam:paper is blurred already"),
        ("blurred:centre:samples=3", "the control centre has no settings"),
        ("blurred:nosuch", "unknown method 'nosuch'"),
        ("blurred:gradcam:samples=3", "gradcam does not take samples"),
    ],
)
def test_settings_that_a_control_lacks_are_refused(word: str, said: str) -> None:
    with pytest.raises(SettingError) as refused:
        read_method(word)
    assert said in str(refused.value)
