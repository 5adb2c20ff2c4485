"""Gradients of quantized models and of models with a fixed batch size equal those of the plain model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

import onnx_cam
from onnx_cam.classifier.model_gradients import GradientPath
from tests import tiny
from tests.classifier.test_deployed import Calibration, X, load
from tests.explanation.test_pitfalls import mixing, with_tail

LAYERS = ("relu1", "relu2")
PATHS: tuple[GradientPath, ...] = ("onnx", "torch")


def gradients(
    model: onnx_cam.Classifier, layer: str | None, target: int = 1, path: GradientPath = "torch"
) -> NDArray[np.float32]:
    choice = model.gradients.choose(model.layer(layer), path)
    gradient: NDArray[np.float32] = model.gradients.at(model.layer(layer), X[None], [target], choice.path)[0, 0]
    return gradient


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_a_quantized_layer_has_the_gradient_of_the_real_numbers_it_represents(
    form: str, path: GradientPath, tmp_path: Path
) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    quantization.quantize_static(
        tiny.save(tiny.model(), tmp_path, "float.onnx"),
        tmp_path / "quantized.onnx",
        type("Reader", (Calibration, quantization.CalibrationDataReader), {})(),
        quant_format=getattr(quantization.QuantFormat, form),
    )
    model = onnx_cam.load(tmp_path / "quantized.onnx", device="cpu", preprocess="none")
    expected = gradients(load(tiny.model(), tmp_path), "relu2")
    np.testing.assert_allclose(gradients(model, None, path=path), expected, atol=0.05 * np.abs(expected).max())
    result = onnx_cam.explain(model, X, method="gradcam", target=1)
    assert result.cam.max() > 0


def batch_of_four(*, binary: bool) -> onnx.ModelProto:
    """Return a model that adds a constant of four rows, which fits no other batch; if binary, with one logit only."""
    pick = helper.make_node("Gather", ["logits", "second"], ["z"], axis=1)
    scores, nodes = ("z", [pick]) if binary else ("logits", [])
    add = helper.make_node("Add", [scores, "rows"], ["y"])
    rows = np.full((4, 1 if binary else tiny.CLASSES), 0.01, np.float32)
    return with_tail(*nodes, add, constants={"second": np.array([1]), "rows": rows}, batch=4)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_batch_that_stays_fixed_changes_no_gradient(
    layer: str, binary: bool, path: GradientPath, tmp_path: Path
) -> None:
    model = load(batch_of_four(binary=binary), tmp_path, head="logits")
    assert model.fixed_batch == 4
    expected = gradients(load(tiny.model(), tmp_path), layer)
    np.testing.assert_allclose(gradients(model, layer, path=path), expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("layer", LAYERS)
def test_if_the_model_mixes_a_batch_the_gradient_is_that_of_all_its_images(
    layer: str, path: GradientPath, tmp_path: Path
) -> None:
    """All images of the batch are the same, so the mean of the batch is the logit, and half of it is subtracted."""
    model = load(mixing(4), tmp_path)
    expected = gradients(load(tiny.model(), tmp_path), layer) / 2
    np.testing.assert_allclose(gradients(model, layer, path=path), expected, atol=1e-6 * np.abs(expected).max())


def test_scores_after_a_relu_are_logits_however_small(tmp_path: Path) -> None:
    """SqueezeNet ends like this; before training, all its scores lie between 0 and 1."""
    nodes = [
        *tiny.body()[:4],
        helper.make_node("Conv", ["relu2", "w4"], ["small"]),
        helper.make_node("Relu", ["small"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["y"]),
    ]
    weights = tiny.weights() | {"w4": 0.01 * tiny.weights()["w3"][:, :, None, None]}
    proto = tiny.build(
        nodes, weights, image=["n", 3, tiny.SIZE, tiny.SIZE], outputs=[tiny.value_info("y", ["n", tiny.CLASSES])]
    )
    model = load(proto, tmp_path, labels=list("abcd"))
    scores = model.sessions.scores(model.trial_images(3), "logit")
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert (model.head.kind.name, model.notes) == ("logits", ())
    assert not onnx_cam.explain(model, X, method="gradcam", layer="relu2").empty
