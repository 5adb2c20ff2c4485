"""The inputs of several metrics and maps: equal ones scored once, all in shared batches, each map's figures its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import ScoreError
from onnx_cam.metrics import AverageDrop, Deletion, Insertion, MaskedImage, Measurement, Metric, Win, choose_metrics
from onnx_cam.metrics.masked_image import score_together
from onnx_cam.runtime.score_session import ScoreSession
from onnx_cam.runtime.spread import Spread, SpreadChoice
from tests import tiny
from tests.places import SHARED

Floats = NDArray[np.float32]
CLASS = 1
REAL = SHARED / "panel" / "mobilenetv2_tv.onnx"
METRICS = choose_metrics("all", steps=7)


def load(path: Path, streams: int = 2, **settings: Any) -> Classifier:
    model = onnx_cam.load(path, device="cpu", **{"preprocess": "none", **settings})
    model.sessions._spreads = SpreadChoice(streams, Spread(streams, 1))
    return model


def cams(count: int, size: int = 5) -> Floats:
    return np.random.default_rng(0).random((count, size, size)).astype(np.float32)


def masked(model: Classifier, cam: Floats, x: Floats | None = None, batch_size: int = 16) -> MaskedImage:
    image = tiny.image(3) if x is None else x
    return MaskedImage(model, image, CLASS, cam, second_cam=cam[::-1], specificity=0.5, batch_size=batch_size)


def scored(images: Sequence[MaskedImage], metrics: Sequence[Metric] = METRICS) -> list[list[Measurement]]:
    """Return the figures of each image's map, all scored together."""
    score_together([(image, [one for metric in metrics for one in metric.inputs(image)]) for image in images])
    return [[metric.measure(image) for metric in metrics] for image in images]


@pytest.mark.parametrize("batch_size", [1, 3, 16, 64])
@pytest.mark.parametrize("streams", [1, 3])
def test_a_maps_figures_and_passes_are_those_of_the_map_alone(batch_size: int, streams: int, tiny_path: Path) -> None:
    model = load(tiny_path, streams)
    together = [masked(model, cam, batch_size=batch_size) for cam in cams(4)]
    figures = scored(together)
    for image, cam, own in zip(together, cams(4), figures, strict=True):
        alone = masked(load(tiny_path, 1), cam, batch_size=1)
        assert own == [metric.measure(alone) for metric in METRICS]
        assert image.passes == alone.passes == 1 + 1 + 1 + 1 + 6 + 6  # X, both baselines, X ⊙ L↑, and between the ends


def test_inputs_that_are_the_same_for_all_maps_run_once(tiny_path: Path, image_runs: list[int]) -> None:
    scored([masked(load(tiny_path), cam) for cam in cams(4)])
    assert sum(image_runs) == 3 + 4 * 13  # X and both baselines; and of each map X ⊙ L↑ and the steps


def test_equal_maps_run_once(tiny_path: Path, image_runs: list[int]) -> None:
    model = load(tiny_path)
    first, second = scored([masked(model, cams(1)[0]), masked(model, cams(1)[0].copy())])
    assert first == second
    assert sum(image_runs) == 3 + 13


def test_the_drops_of_several_maps_are_one_batch_in_each_stream(tiny_path: Path, image_runs: list[int]) -> None:
    for streams, sizes in ((1, [4]), (2, [2, 2])):
        image_runs.clear()
        scored([masked(load(tiny_path, streams), cam) for cam in cams(3)], [AverageDrop(), Win()])
        assert image_runs == sizes


def test_what_was_scored_is_not_scored_again(tiny_path: Path, image_runs: list[int]) -> None:
    image = masked(load(tiny_path), cams(1)[0])
    scored([image], [AverageDrop()])
    scored([image], [AverageDrop(), Deletion(steps=3)])  # the image is known: the baseline and two steps are new
    assert sum(image_runs) == image.passes == 2 + 3


def test_probabilities_and_logits_are_scored_beside_each_other(tiny_path: Path) -> None:
    model = load(tiny_path)
    x = tiny.image(3)
    (figures,) = scored([masked(model, cams(1)[0])], [Insertion("logit", steps=2), Deletion("probability", steps=2)])
    insertion, deletion = (figure.curve for figure in figures)
    assert insertion[-1] == pytest.approx(model.sessions.scores(x[None], "logit")[0, CLASS], abs=1e-6)
    assert deletion[0] == pytest.approx(model.sessions.scores(x[None], "probability")[0, CLASS], abs=1e-6)


def test_a_pass_that_the_explanation_has_run_is_not_counted(tiny_path: Path, image_runs: list[int]) -> None:
    model = load(tiny_path)
    zero = np.zeros_like(tiny.image(3))
    expected, _ = model.sessions.baseline_scores(zero, "probability")
    image = masked(model, cams(1)[0])
    deletion = Deletion(steps=4)
    image.recall(deletion.inputs(image))
    model.sessions.forget_baselines()  # as the next explanation does
    assert deletion.measure(image).curve[-1] == expected[CLASS]
    assert sum(image_runs) == image.passes == 4


def test_a_model_of_batch_one_has_the_same_figures(tiny_path: Path, tmp_path: Path, image_runs: list[int]) -> None:
    fixed = load(tiny.save(tiny.one_at_a_time(), tmp_path))
    assert fixed.fixed_batch == 1
    figures = scored([masked(fixed, cam) for cam in cams(2)])
    assert set(image_runs) == {1}
    assert figures == scored([masked(load(tiny_path), cam) for cam in cams(2)])


def test_an_error_leaves_no_scores_behind(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [masked(load(tiny_path), cam, batch_size=2) for cam in cams(3)]
    run = ScoreSession.run_images
    calls: list[int] = []

    def fails_late(session: ScoreSession, kind: Any, batch: Floats, **settings: Any) -> Any:
        calls.append(len(batch))
        if len(calls) > 9:
            raise ScoreError("it is broken")
        return run(session, kind, batch, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(ScoreSession, "run_images", fails_late)
        with pytest.raises(ScoreError, match="it is broken"):
            scored(images)
    assert [image.passes for image in images] == [0, 0, 0]
    assert scored(images) == scored([masked(load(tiny_path), cam) for cam in cams(3)])


def test_the_baseline_that_gives_no_number_is_named(tmp_path: Path) -> None:
    """log(Σ x²) of the image of zeros is −∞."""
    nodes = [
        *tiny.body()[:-1],
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["z"], transB=1),
        helper.make_node("ReduceL2", ["image"], ["norm"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Log", ["norm"], ["log"]),
        helper.make_node("Unsqueeze", ["log", "one"], ["column"]),
        helper.make_node("Sub", ["z", "column"], ["logits"]),
    ]
    model = tiny.build(
        nodes,
        {**tiny.weights(), "one": np.array([1])},
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
    )
    image = masked(load(tiny.save(model, tmp_path), head="logits"), cams(1)[0])
    with pytest.raises(ScoreError, match="NaN or infinite for the baseline 'zero'; expected finite scores: choose"):
        scored([image], [Deletion("logit", steps=3)])


@pytest.mark.skipif(not REAL.is_file(), reason="no ../shared/panel: the models are not part of the project")
def test_a_real_models_figures_are_those_of_single_passes(photo: Path, image_runs: list[int]) -> None:
    model = load(REAL, preprocess="imagenet")
    x = model.network_input(photo)
    metrics = choose_metrics("average-drop,win,deletion,insertion", steps=6)
    together = scored([masked(model, cam, x) for cam in cams(2, 7)], metrics)
    assert sorted(image_runs) == [12, 13]  # X, two baselines, and of each map X ⊙ L↑ and 5 + 5 steps: 25 inputs
    image_runs.clear()
    for cam, figures in zip(cams(2, 7), together, strict=True):
        alone = masked(load(REAL, 1, preprocess="imagenet"), cam, x, batch_size=1)
        for metric, figure in zip(metrics, figures, strict=True):
            expected = metric.measure(alone)
            assert figure.value == pytest.approx(expected.value, abs=1e-10)
            assert figure.curve == pytest.approx(expected.curve, abs=1e-12)
    assert set(image_runs) == {1}
