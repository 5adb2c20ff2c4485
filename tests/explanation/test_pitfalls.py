"""Graphs that invite a wrong map without an error: each was once taken for something that it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_cam
from tests import tiny
from tests.classifier.test_deployed import X, difference, eight_bit, explain, load, normalising


def with_tail(*nodes: onnx.NodeProto, constants: dict[str, Any], batch: int | str = "n") -> onnx.ModelProto:
    return tiny.build(
        [*tiny.body(), *nodes],
        {**tiny.weights(), **constants},
        image=[batch, 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("y", [batch, None])],
    )


def mixing(batch: int | str) -> onnx.ModelProto:
    """Subtracts half of the batch's mean: the images of a batch are not told apart."""
    return with_tail(
        helper.make_node("ReduceMean", ["logits"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Mul", ["mean", "half"], ["part"]),
        helper.make_node("Sub", ["logits", "part"], ["y"]),
        constants={"half": np.float32(0.5)},
        batch=batch,
    )


@pytest.mark.parametrize("batch", [1, 4, "n"])
def test_a_model_that_mixes_the_images_of_a_batch_gets_one_at_a_time(batch: int | str, tmp_path: Path) -> None:
    model = load(mixing(batch), tmp_path)
    images = np.stack([tiny.image(seed) for seed in range(5)])
    alone = np.concatenate([model.sessions.scores(image[None], "logit") for image in images])
    np.testing.assert_allclose(model.sessions.scores(images, "logit"), alone, atol=1e-5)
    assert batch == 1 or any("one at a time" in note or "one image at a time" in note for note in model.notes)


@pytest.mark.parametrize("end", ["clipped", "hard"])
def test_scores_between_0_and_1_are_not_squashed_again(end: str, tmp_path: Path) -> None:
    if end == "clipped":
        nodes = [helper.make_node("Sigmoid", ["logits"], ["s"]), helper.make_node("Clip", ["s", "low", "high"], ["y"])]
    else:
        nodes = [helper.make_node("HardSigmoid", ["logits"], ["y"])]
    proto = with_tail(*nodes, constants={"low": np.float32(1e-6), "high": np.float32(1 - 1e-6)})
    model = load(proto, tmp_path)
    raw = model.sessions._session.run(X[None], ["y"])[0]
    np.testing.assert_allclose(model.sessions.scores(X[None]), raw, atol=1e-7)
    assert any("taken as probabilities" in note for note in model.notes)


def test_ranks_are_no_scores(tmp_path: Path) -> None:
    proto = with_tail(helper.make_node("TopK", ["logits", "k"], ["y", "index"], axis=1), constants={"k": np.array([3])})
    model = load(proto, tmp_path)
    assert (model.head.output, model.classes) == ("logits", tiny.CLASSES)
    assert any("'y' holds no class scores" in note for note in model.notes)


def test_a_configuration_beside_an_eight_bit_model_gives_its_geometry_alone(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(
        '{"do_resize": true, "size": {"height": 20, "width": 20}, "do_rescale": true, "image_mean": [0.5, 0.5, 0.5], '
        '"image_std": [0.5, 0.5, 0.5]}'
    )
    path = tiny.save(eight_bit(TensorProto.UINT8), tmp_path)
    model = onnx_cam.load(path, device="cpu")
    assert model.preprocessing is not None
    assert (model.preprocessing.resize, model.preprocessing.normalises) == ("stretch", False)
    explicit = onnx_cam.load(path, device="cpu", preprocess="imagenet")
    assert any("--preprocess raw to leave them as they are" in note for note in explicit.notes)


def test_the_first_layer_of_a_network_is_no_preprocessing(tmp_path: Path) -> None:
    """A BatchNormalization of an input that is normalised already, as ResNet v2 begins with."""
    for mean, std in (((0.02, 0.05, 0.03), (1.1, 1.05, 1.14)), ((0, 0, 0), (2, 2, 2))):
        path = tiny.save(normalising(mean, std), tmp_path)
        model = onnx_cam.load(path, device="cpu")
        assert model.facts.built_in is None
        assert any("a guess" in note for note in model.notes)


def test_caffes_means_are_blue_first(tmp_path: Path) -> None:
    path = tiny.save(normalising((103.939, 116.779, 123.68), (1, 1, 1)), tmp_path)
    found = onnx_cam.load(path, device="cpu").preprocessing
    assert found is not None
    assert (found.name, found.channels) == ("raw", "BGR")


def test_a_gate_of_one_channel_is_not_the_default(tmp_path: Path) -> None:
    nodes = [
        *tiny.body()[:4],
        helper.make_node("Conv", ["relu2", "w4"], ["gate"]),
        helper.make_node("Flatten", ["gate"], ["row"]),
        helper.make_node("Gemm", ["row", "w5"], ["y"]),
    ]
    weights = tiny.weights() | {
        "w4": np.ones((1, tiny.CHANNELS, 1, 1), np.float32),
        "w5": np.random.default_rng(0).standard_normal((25, 4), np.float32),
    }
    proto = tiny.build(
        nodes, weights, image=["n", 3, tiny.SIZE, tiny.SIZE], outputs=[tiny.value_info("y", ["n", tiny.CLASSES])]
    )
    model = load(proto, tmp_path)
    assert model.layer().name == "relu2"
    assert "gate" in [layer.name for layer in model.layers()]


def test_a_dynamically_quantized_model_is_explained_one_at_a_time(tmp_path: Path) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    source = tiny.save(tiny.model(), tmp_path, "float.onnx")
    quantization.quantize_dynamic(source, tmp_path / "q.onnx", weight_type=quantization.QuantType.QUInt8)
    model = onnx_cam.load(tmp_path / "q.onnx", device="cpu", preprocess="none")
    assert model.fixed_batch == 1
    assert model.layer().shape == (tiny.CHANNELS, 5, 5)
    assert difference(explain(model), explain(onnx_cam.load(source, device="cpu", preprocess="none"))) < 0.15
