"""What must hold for every method, whatever its formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import ScoreError, SettingError
from onnx_cam.methods import METHODS, make_method
from tests import tiny

PAIRS = [(name, variant) for name, method in METHODS.items() for variant in method.variants]
NOISY = ("sscam1", "sscam2", "sscam-max")


@pytest.fixture
def fresh(tiny_path: Path) -> Classifier:
    """A classifier that has explained nothing yet: what it knows of an image and a baseline takes no pass."""
    return onnx_cam.load(tiny_path, device="cpu", preprocess="none")


def settings(method: str) -> dict[str, Any]:
    return {"samples": 3} if hasattr(METHODS[method], "samples") else {}


@pytest.mark.parametrize(("method", "variant"), PAIRS)
def test_the_batch_size_never_changes_a_map(method: str, variant: str, tiny_classifier: Classifier) -> None:
    x = tiny.image(1)
    maps = [
        onnx_cam.explain(tiny_classifier, x, method=method, variant=variant, batch_size=size, **settings(method)).cam
        for size in (1, 2, 5, 64)
    ]
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], rtol=0, atol=1e-6 * max(maps[0].max(), 1e-6))


@pytest.mark.parametrize(("method", "variant"), PAIRS)
def test_maps_are_finite_and_in_range(method: str, variant: str, tiny_classifier: Classifier) -> None:
    result = onnx_cam.explain(tiny_classifier, tiny.image(2), method=method, variant=variant, **settings(method))
    assert result.map.dtype == result.cam.dtype == result.weights.dtype == np.float32
    assert result.map.shape == (tiny.SIZE, tiny.SIZE)
    assert result.cam.shape == result.layer_shape[1:]
    assert result.weights.shape == (result.layer_shape[0],)
    assert np.isfinite(result.map).all()
    assert result.map.min() == 0
    assert result.map.max() == (0 if result.empty else 1)


@pytest.mark.parametrize("method", NOISY)
def test_the_seed_alone_decides_the_noise(method: str, tiny_classifier: Classifier) -> None:
    def cam(seed: int) -> np.ndarray:
        found = onnx_cam.explain(tiny_classifier, tiny.image(1), method=method, seed=seed, samples=2, sigma=0.5)
        return np.asarray(found.weights)

    np.testing.assert_array_equal(cam(3), cam(3))
    assert np.abs(cam(3) - cam(4)).max() > 0


@pytest.mark.parametrize("method", sorted(METHODS))
def test_all_targets_come_from_the_same_passes(method: str, tiny_classifier: Classifier) -> None:
    x = tiny.image(1)
    onnx_cam.explain(tiny_classifier, x, method=method, **settings(method))  # from here on tap and baseline are known
    together = onnx_cam.explain(tiny_classifier, x, method=method, target=[0, 1, 2], **settings(method))
    alone = [onnx_cam.explain(tiny_classifier, x, method=method, target=t, **settings(method)) for t in (0, 1, 2)]
    for one, other in zip(together, alone, strict=True):
        assert one.target == other.target
        np.testing.assert_allclose(one.cam, other.cam, atol=1e-6)
    assert len({result.passes for result in together}) == 1
    if method not in ("sscam-max", "grad++scorecam"):  # some of their passes are each target's own
        assert together[0].passes == alone[0].passes


def test_dead_channels_cost_no_pass(fresh: Classifier) -> None:
    result = onnx_cam.explain(fresh, tiny.image(1))
    live = tiny.CHANNELS - len(tiny.DEAD)
    assert result.passes == live + 2  # the tap and the baseline
    assert result.passes_skipped == len(tiny.DEAD)
    assert (result.weights[list(tiny.DEAD)] == 0).all()


@pytest.mark.parametrize(
    ("method", "variant", "samples", "passes"),
    [
        ("sscam1", "range", 3, 4 * 3 + 2),
        ("sscam2", "authors", 3, 4 * 3 + 1),  # no baseline
        ("scorecam", "torchcam", None, 4 + 1 + 1),  # one blank mask for both dead channels, no baseline
        ("sscam1", "torchcam", 3, 4 * 3 + 3 + 1),  # a blank mask for each step's noise
        ("iscam", "paper", 3, 4 * 2 + 1 + 2),  # c_1 = 0: one blank input for all channels
        ("iscam", "linear", 3, 4 * 3 + 2),
    ],
)
def test_passes_are_those_that_can_change_the_map(
    method: str, variant: str, samples: int | None, passes: int, fresh: Classifier
) -> None:
    result = onnx_cam.explain(fresh, tiny.image(1), method=method, variant=variant, samples=samples)
    assert result.passes == passes
    inputs_run = passes - 1 - (method != "sscam2" and variant != "torchcam")  # without tap and baseline
    assert result.passes_skipped == tiny.CHANNELS * (samples or 1) - inputs_run


def test_what_is_known_of_an_image_and_a_baseline_takes_no_pass(fresh: Classifier) -> None:
    first, second = (onnx_cam.explain(fresh, tiny.image(1)) for _ in range(2))
    assert second.passes == first.passes - 2
    assert second.passes_skipped == first.passes_skipped + 2
    np.testing.assert_array_equal(second.cam, first.cam)


@pytest.mark.parametrize("size", [1, 3, 8, 64, None])
def test_progress_ends_at_the_passes_that_ran(size: int | None, tiny_classifier: Classifier) -> None:
    seen: list[tuple[int, int]] = []
    onnx_cam.explain(
        tiny_classifier, tiny.image(1), method="sscam2", samples=2, batch_size=size, progress=lambda *s: seen.append(s)
    )
    done = [passes for passes, _ in seen]
    assert done == sorted(set(done))
    assert {planned for _, planned in seen} == {8}
    assert done[-1] == 8


def test_zero_noise_is_score_cam(tiny_classifier: Classifier) -> None:
    x = tiny.image(1)
    onnx_cam.explain(tiny_classifier, x)  # from here on tap and baseline are known
    reference = onnx_cam.explain(tiny_classifier, x)
    for method in ("sscam1", "sscam2"):
        result = onnx_cam.explain(tiny_classifier, x, method=method, variant="paper", samples=4, sigma=0)
        np.testing.assert_allclose(result.cam, reference.cam, atol=1e-6)
        assert result.passes == reference.passes  # samples without noise are all the same


def test_an_empty_map_is_said_to_be_one(tiny_classifier: Classifier) -> None:
    results = onnx_cam.explain(tiny_classifier, tiny.image(1), target="top4", score="logit")
    empty = [result for result in results if not result.cam.any()]
    assert empty, "no target of the tiny network has only negative weights"
    for result in results:
        assert result.empty == (not result.cam.any())
        assert result.empty == (result.specificity is None)
        assert result.empty == any(
            "the map is empty: no channel scored above the baseline" in w for w in result.warnings
        )
        assert result.record()["empty"] is result.empty


def test_specificity_is_zero_where_all_live_weights_are_equal() -> None:
    from onnx_cam.runtime.map_distance import unit_distance

    cam = np.array([[0.0, 3.0], [4.0, 0.0]], np.float32)
    assert unit_distance(2 * cam, cam.astype(np.float64)) == pytest.approx(0, abs=1e-7)
    turned = np.array([[0.0, 4.0], [3.0, 0.0]], np.float32)  # n: (3, 4) against (4, 3) over 5
    assert unit_distance(turned, cam.astype(np.float64)) == pytest.approx(np.sqrt(2) / 5)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_gives_the_same_map(batch: int, tiny_path: Path, tmp_path: Path) -> None:
    """Where it cannot be freed: its logits are multiplied by a matrix of one row an image, added to 0."""
    from onnx import helper

    proto = tiny.build(
        [*tiny.body(), helper.make_node("MatMul", ["eye", "logits"], ["scores"])],
        {**tiny.weights(), "eye": np.eye(batch, dtype=np.float32)},
        image=[batch, 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("scores", [batch, tiny.CLASSES])],
    )
    fixed = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    free = onnx_cam.load(tiny_path, device="cpu", preprocess="none")
    assert (fixed.fixed_batch, free.fixed_batch) == (batch, None)
    x = tiny.image(1)
    for method, variant in (("scorecam", "paper"), ("sscam1", "feature"), ("sscam1", "range"), ("sscam2", "authors")):
        chosen = {"method": method, "variant": variant, "batch_size": 8, **settings(method)}  # each place of the noise
        result, reference = (onnx_cam.explain(model, x, **chosen) for model in (fixed, free))
        assert (result.batch_size, result.passes) == (batch, reference.passes)
        assert any(f"only supports batch size {batch}" in warning for warning in result.warnings)
        np.testing.assert_allclose(result.cam, reference.cam, atol=1e-6)


def test_a_method_object_and_its_name_are_the_same(tiny_classifier: Classifier) -> None:
    x = tiny.image(1)
    by_name = onnx_cam.explain(tiny_classifier, x, method="sscam2", samples=2, sigma=1.5)
    by_object = onnx_cam.explain(tiny_classifier, x, method=onnx_cam.SSCAM2(samples=2, sigma=1.5))
    np.testing.assert_array_equal(by_name.cam, by_object.cam)
    assert by_name.parameters == by_object.parameters


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("scorecam", {"samples": 3}, "scorecam does not take samples"),
        ("iscam", {"sigma": 1.0}, "iscam does not take sigma"),
        ("sscam2", {"samples": 0}, "samples=0"),
        ("sscam2", {"samples": 1.5}, "samples=1.5"),
        ("sscam2", {"sigma": -0.1}, "sigma=-0.1"),
        ("sscam2", {"sigma": float("nan")}, "sigma=nan"),
        ("sscam2", {"variant": "papr"}, "did you mean 'paper'"),
        ("scorcam", {}, "did you mean 'scorecam'"),
        (onnx_cam.SSCAM2(samples=2), {"samples": 3}, "given twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused(method: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        make_method(method, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"variant": "torchcam", "score": "probability"}, "defined on the logit"),
        ({"variant": "torchcam", "baseline": "blur"}, "leave out baseline"),
        ({"score": "margin"}, "unknown score"),
        ({"baseline": "grey"}, "unknown baseline"),
        ({"seed": -1}, "seed=-1"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_settings_that_a_variant_contradicts_are_refused(
    given: dict[str, Any], said: str, tiny_classifier: Classifier
) -> None:
    with pytest.raises(SettingError, match=said):
        onnx_cam.explain(tiny_classifier, tiny.image(1), **given)


def test_defaults_are_those_of_the_papers() -> None:
    defaults = {name: method().parameters | {"variant": method().variant} for name, method in METHODS.items()}
    assert defaults == {
        "scorecam": {"variant": "paper"},
        "sscam1": {"variant": "range", "samples": 10, "sigma": 0.1},
        "sscam2": {"variant": "range", "samples": 10, "sigma": 0.05},
        "sscam-max": {"variant": "paper", "samples": 10, "sigma": 4.0},
        "iscam": {"variant": "paper", "samples": 10},
        "cam": {"variant": "paper"},
        "gradcam": {"variant": "paper"},
        "gradcam++": {"variant": "paper"},
        "smoothgradcam++": {"variant": "paper", "samples": 25, "sigma": 0.15},
        "grad++scorecam": {"variant": "full-resolution"},
        "xgradcam": {"variant": "paper"},
        "layercam": {"variant": "paper"},
        "hirescam": {"variant": "paper"},
        "finercam": {"variant": "paper", "gamma": 0.6, "references": 3},
    }
    torchcam = onnx_cam.SSCAM1(variant="torchcam")
    assert (torchcam.samples, torchcam.sigma) == (35, 2.0)
    assert onnx_cam.SSCAM1(variant="feature").sigma == 0.15


def test_a_score_that_is_not_a_number_names_its_channel(tmp_path: Path) -> None:
    """√(largest activation − limit): a number for the photo, NaN for some of its masked versions (no baseline here)."""
    from onnx import helper

    tail = [
        helper.make_node("ReduceMax", ["relu1"], ["largest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["largest", "limit"], ["over"]),
        helper.make_node("Sqrt", ["over"], ["root"]),
        helper.make_node("Unsqueeze", ["root", "last"], ["column"]),
        helper.make_node("Add", ["logits", "column"], ["spoilt"]),
    ]
    x = tiny.image(1)
    whole = float(tiny_relu1(x).max())
    proto = tiny.build(
        [*tiny.body(), *tail],
        {**tiny.weights(), "limit": np.float32(0.7 * whole), "last": np.array([1])},
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("spoilt", ["batch", tiny.CLASSES])],
    )
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none", size=None)
    with pytest.raises(ScoreError, match=r"NaN or infinite for channel \d"):
        onnx_cam.explain(model, x, layer="relu2", variant="pytorch-grad-cam")


def tiny_relu1(x: np.ndarray) -> np.ndarray:
    import onnxruntime

    from onnx_cam.graph.tap import tap

    session = onnxruntime.InferenceSession(tap(tiny.model(), ["relu1"]).SerializeToString())
    return np.asarray(session.run(["relu1"], {"image": x[None]})[0])
