"""Which layers there are, which one is the default, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import LayerError
from tests import tiny

NORMAL = np.random.default_rng(0).standard_normal


def loaded(nodes: Sequence[onnx.NodeProto], weights: dict[str, np.ndarray], folder: Path, size: int = 16) -> Classifier:
    proto = tiny.build(
        nodes, weights, image=["n", 3, size, size], outputs=[tiny.value_info("logits", ["n", 5])], ir_version=8
    )
    return onnx_cam.load(tiny.save(proto, folder), device="cpu", preprocess="none")


def conv(source: str, weight: str, target: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, weight], [target], **{"pads": [1, 1, 1, 1], **attributes})  # type: ignore[arg-type]


def kernel(outer: int, inner: int, size: int = 3) -> np.ndarray:
    return NORMAL((outer, inner, size, size), np.float32)


def test_layers_run_from_the_scores_backwards(tiny_classifier: Classifier) -> None:
    layers = tiny_classifier.layers()
    assert [layer.name for layer in layers] == ["relu2", "conv2", "relu1", "conv1"]
    assert [layer.is_default for layer in layers] == [True, False, False, False]
    assert layers[0] == onnx_cam.Layer("relu2", "Relu", (tiny.CHANNELS, 5, 5), True, "Relu_2")


@pytest.mark.parametrize(("named", "default"), [("relu1", "relu1"), ("relu2", "relu2"), ("other", "relu2")])
def test_the_metadata_may_name_the_default(named: str, default: str, tmp_path: Path) -> None:
    proto = tiny.model(metadata={"onnx_cam.layer": named})
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    layers = model.layers()
    assert model.layer() == layers[0]
    assert [layer.name for layer in layers if layer.is_default] == [default]
    rest = [name for name in ("relu2", "conv2", "relu1", "conv1") if name != default]
    assert [layer.name for layer in layers[1:]] == rest


def test_a_layer_may_be_named_by_its_node_or_its_tensor(tiny_classifier: Classifier) -> None:
    assert tiny_classifier.layer("Conv_1") == tiny_classifier.layer("conv1")


def test_a_misspelt_layer_gets_suggestions(tiny_classifier: Classifier) -> None:
    with pytest.raises(LayerError, match=r"no tensor or node 'relu99' in tiny.onnx; did you mean 'relu2'"):
        tiny_classifier.layer("relu99")


@pytest.mark.parametrize("name", ["pooled", "logits", "Gemm", "image", "w1"])
def test_a_tensor_without_a_map_is_no_layer(name: str, tiny_classifier: Classifier) -> None:
    with pytest.raises(LayerError, match="no spatial map"):
        tiny_classifier.layer(name)


def test_residual_addition_is_the_default(tmp_path: Path) -> None:
    nodes = [
        conv("image", "w1", "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        conv("b", "w2", "c"),
        helper.make_node("Add", ["c", "b"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "w3"], ["logits"]),
    ]
    weights = {"w1": kernel(4, 3), "w2": kernel(4, 4), "w3": NORMAL((4, 5), np.float32)}
    assert loaded(nodes, weights, tmp_path).layer().name == "d"


def test_pooling_before_flattening_is_the_default_of_a_vgg(tmp_path: Path) -> None:
    nodes = [
        conv("image", "w1", "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "w2"], ["logits"]),
    ]
    model = loaded(nodes, {"w1": kernel(4, 3), "w2": NORMAL((256, 5), np.float32)}, tmp_path)
    assert model.layer().name == "c"
    assert model.layer().shape == (4, 8, 8)


def test_a_last_convolution_on_a_1x1_map_is_passed_over(tmp_path: Path) -> None:
    """As TFLite conversions end: the linear layer is a 1×1 convolution on the pooled map."""
    nodes = [
        conv("image", "w1", "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("ReduceMean", ["b"], ["c"], axes=[2, 3], keepdims=1),
        conv("c", "w2", "d", pads=[0, 0, 0, 0]),
        helper.make_node("Flatten", ["d"], ["logits"]),
    ]
    model = loaded(nodes, {"w1": kernel(4, 3), "w2": kernel(5, 4, 1)}, tmp_path)
    assert model.layer().name == "b"
    head = model.linear_head(model.layer())
    assert head is not None
    assert head.shape == (5, 4)


def test_squeeze_and_excitation_ends_in_its_product(tmp_path: Path) -> None:
    nodes = [
        conv("image", "w1", "a"),
        helper.make_node("GlobalAveragePool", ["a"], ["pooled"]),
        conv("pooled", "w2", "gate", pads=[0, 0, 0, 0]),
        helper.make_node("Sigmoid", ["gate"], ["open"]),
        helper.make_node("Mul", ["a", "open"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "w3"], ["logits"]),
    ]
    weights = {"w1": kernel(4, 3), "w2": kernel(4, 4, 1), "w3": NORMAL((4, 5), np.float32)}
    model = loaded(nodes, weights, tmp_path)
    assert [layer.name for layer in model.layers()] == ["b", "a"]


def test_concatenated_branches_are_the_default_of_an_inception(tmp_path: Path) -> None:
    nodes = [
        conv("image", "w1", "a"),
        conv("image", "w1", "b"),
        helper.make_node("Concat", ["a", "b"], ["c"], axis=1),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w3"], ["logits"]),
    ]
    model = loaded(nodes, {"w1": kernel(4, 3), "w3": NORMAL((8, 5), np.float32)}, tmp_path)
    assert model.layer().name == "c"


def test_a_branch_that_the_scores_do_not_need_is_no_layer(tmp_path: Path) -> None:
    proto = tiny.model(
        tail=[helper.make_node("Conv", ["relu2", "w2"], ["unused"], pads=[1, 1, 1, 1])],
        extra_outputs=[tiny.value_info("unused", ["batch", tiny.CHANNELS, 5, 5])],
    )
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    assert model.layer().name == "relu2"
    with pytest.raises(LayerError):
        model.layer("unused")


def test_shapes_that_the_file_leaves_open_are_measured(tmp_path: Path) -> None:
    path = tiny.save(tiny.model(size="side"), tmp_path)
    model = onnx_cam.load(path, device="cpu", preprocess="none", size=(24, 32))
    assert model.layer().shape == (tiny.CHANNELS, 6, 8)


def test_a_model_without_a_convolution_has_no_layer(tmp_path: Path) -> None:
    nodes = [helper.make_node("Flatten", ["image"], ["a"]), helper.make_node("Gemm", ["a", "w"], ["logits"])]
    model = loaded(nodes, {"w": NORMAL((768, 5), np.float32)}, tmp_path)
    assert model.layers() == []
    with pytest.raises(LayerError, match="no layer to explain: no convolution"):
        model.layer()


def test_the_linear_head_is_found_behind_pooling_alone(tiny_classifier: Classifier) -> None:
    head = tiny_classifier.linear_head(tiny_classifier.layer())
    assert head is not None
    np.testing.assert_array_equal(head, tiny.weights()["w3"])
    assert tiny_classifier.linear_head(tiny_classifier.layer("conv2")) is None  # a Relu lies between
    assert tiny_classifier.linear_head(tiny_classifier.layer("relu1")) is None


def test_the_linear_head_of_matmul_add_and_softmax(tmp_path: Path) -> None:
    nodes = [
        conv("image", "w1", "a"),
        helper.make_node("ReduceMean", ["a"], ["b"], axes=[-2, -1], keepdims=0),
        helper.make_node("MatMul", ["b", "w2"], ["c"]),
        helper.make_node("Add", ["c", "b2"], ["d"]),
        helper.make_node("Softmax", ["d"], ["logits"], axis=-1),
    ]
    weights = {"w1": kernel(4, 3), "w2": NORMAL((4, 5), np.float32), "b2": NORMAL(5, np.float32)}
    model = loaded(nodes, weights, tmp_path)
    head = model.linear_head(model.layer())
    assert head is not None
    np.testing.assert_array_equal(head, weights["w2"].T)
