"""What rounding must not do: make a map of nothing, or hide one; and what two callers must not do to each other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import ModelError, SettingError
from onnx_cam.methods.weights import difference
from onnx_cam.runtime.masks import Masking, masks
from onnx_cam.runtime.schedule import Schedule
from onnx_cam.runtime.scorer import Scorer
from onnx_cam.runtime.scores import ScoreKind
from tests import tiny


def half(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model in float16."""
    for weight in proto.graph.initializer:
        values = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    for info in [*proto.graph.input, *proto.graph.output]:
        info.type.tensor_type.elem_type = TensorProto.FLOAT16
    return proto


def test_float16_scores_are_rounded_as_the_deployed_model_rounds_them(tmp_path: Path) -> None:
    """With masks of 1, ½, ¼ and 0 nothing else is rounded: the scores are those of the images themselves."""
    model = onnx_cam.load(tiny.save(half(tiny.model(seed=1)), tmp_path), device="cpu", preprocess="none")
    x = tiny.image(1).astype(np.float16).astype(np.float32)
    ones = np.ones((1, tiny.SIZE, tiny.SIZE), np.float32)
    ones[0, -1, -1] = np.nextafter(np.float32(1), np.float32(0))  # not constant, or it would be a dead map
    scale = np.array([1.0, 0.5, 0.25])
    kinds: tuple[ScoreKind, ...] = ("probability", "logit")
    for kind in kinds:
        scorer = Scorer(model.sessions, x, range(tiny.CLASSES), np.zeros_like(x), seed=0, batch_size=1)
        schedule = Schedule(ones, scale, masking=Masking(normalise="never"))
        found = scorer.run(schedule, kind)[0]  # (3, T)
        wanted = np.concatenate([model.sessions.scores((np.float32(c) * x)[None], kind) for c in scale])
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize("seed", range(4))
def test_an_image_that_masking_does_not_change_has_an_empty_map(seed: int, tmp_path: Path) -> None:
    for proto in (tiny.model(seed=seed), half(tiny.model(seed=seed)), tiny.softmax_model(seed=seed)):
        model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
        nothing = np.zeros((3, tiny.SIZE, tiny.SIZE), np.float32)
        for result in onnx_cam.explain(model, nothing, target=list(range(tiny.CLASSES))):
            assert result.empty
            assert not result.weights.any()


@pytest.mark.parametrize("shift", [0, 8, 14, 16])
def test_a_class_that_is_nearly_certain_or_impossible_keeps_its_weights(shift: float, tmp_path: Path) -> None:
    weights = tiny.weights()
    weights["w3"], weights["b3"] = weights["w3"][:1], weights["b3"][:1] + np.float32(shift)
    outputs = [tiny.value_info("logits", ["N", 1])]
    proto = tiny.build(tiny.body(), weights, image=["N", 3, tiny.SIZE, tiny.SIZE], outputs=outputs)
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    x = tiny.image()
    maps = model.sessions.activations(model.layer(), x).maps
    live = np.ptp(maps, axis=(1, 2)) > 0
    made = x * masks(maps[live], model.size, Masking())[:, None]
    wanted = model.sessions.scores(made)[:, 0] - model.sessions.scores(np.zeros_like(x)[None])[0, 0]
    found = onnx_cam.explain(model, x, target=0).weights[live]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_differences_below_single_precision_are_none() -> None:
    scores = np.array([0.5, 0.5 + 2e-8, 0.5 - 2e-8, 0.5 + 1e-6])
    np.testing.assert_array_equal(difference(scores, np.array(0.5)) != 0, [False, False, False, True])


def test_threads_that_share_a_classifier_wait_for_each_other(tiny_path: Path) -> None:
    model = onnx_cam.load(tiny_path, device="cpu", preprocess="none")
    settings: dict[str, Any] = {"method": "sscam2", "variant": "paper", "sigma": 0.1, "samples": 60, "batch_size": 2}
    alone = [onnx_cam.explain(model, tiny.image(i), target=0, **settings).cam for i in (0, 1)]
    together: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        together[i] = onnx_cam.explain(model, tiny.image(i), target=0, **settings).cam

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in (0, 1):
        np.testing.assert_allclose(together[i], alone[i], atol=1e-6)


def test_an_explanation_within_another_is_refused(tiny_classifier: Classifier) -> None:
    def again(done: int, planned: int) -> None:
        onnx_cam.explain(tiny_classifier, tiny.image(0))

    with pytest.raises(SettingError, match="progress callback"):
        onnx_cam.explain(tiny_classifier, tiny.image(1), progress=again)
    assert onnx_cam.explain(tiny_classifier, tiny.image(1)).passes > 0


def test_names_that_the_score_graph_needs_are_refused_in_one_line(tmp_path: Path) -> None:
    proto = tiny.model()
    for node in proto.graph.node:
        node.input[:] = ["onnx_cam/image" if name == "relu1" else name for name in node.input]
        node.output[:] = ["onnx_cam/image" if name == "relu1" else name for name in node.output]
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    with pytest.raises(ModelError, match=r"rename it") as error:
        onnx_cam.explain(model, tiny.image(0))
    assert "\n" not in str(error.value)


def test_of_several_opsets_the_last_counts(tmp_path: Path) -> None:
    proto = tiny.build(
        [helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT), *tiny.body()],
        tiny.weights(),
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
        image_type=TensorProto.UINT8,
    )
    proto.graph.node[1].input[0] = "pixels"
    proto.opset_import.insert(0, helper.make_opsetid("", 7))
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    image = np.random.default_rng(0).integers(0, 256, (3, tiny.SIZE, tiny.SIZE)).astype(np.float32)
    assert onnx_cam.explain(model, image).passes > 1
