"""Weights that are permuted behind a layer: which ones, and that everything else stays as it is."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.graph.detached import DetachedWeights
from onnx_cam.graph.external_data import find_external_data
from onnx_cam.graph.permute_weights import permute_weights
from onnx_cam.graph.read_detached import detach_weights
from tests import tiny


def values(proto: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def ran(proto: onnx.ModelProto, feed: dict[str, Any], output: str) -> NDArray[Any]:
    import onnxruntime

    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    del shown.graph.output[:]
    shown.graph.output.append(onnx.ValueInfoProto(name=output))
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def made(
    nodes: Sequence[onnx.NodeProto], weights: dict[str, Any], size: Sequence[int] = (1, 4), **extra: Any
) -> onnx.ModelProto:
    return tiny.build(nodes, weights, image=size, outputs=[helper.make_tensor_value_info("y", 1, None)], **extra)


def test_the_weights_behind_the_layer_keep_their_values_in_another_order() -> None:
    proto = tiny.model()
    permuted = permute_weights(proto, "relu1", seed=0)
    assert permuted.tensors == ("w2", "b2", "w3", "b3")
    before, after = values(proto), values(permuted.proto)
    for name in permuted.tensors:
        copy = after[f"{name}_permuted"]
        assert copy.shape == before[name].shape
        assert (copy != before[name]).any()
        np.testing.assert_array_equal(np.sort(copy.ravel()), np.sort(before[name].ravel()))
    assert set(after) == {"w1", "b1", *(f"{name}_permuted" for name in permuted.tensors)}
    np.testing.assert_array_equal(after["w1"], before["w1"])


def test_the_layer_itself_gives_the_same_and_the_scores_do_not() -> None:
    proto = tiny.model()
    permuted = permute_weights(proto, "relu2", seed=0).proto
    feed = {"image": tiny.image()[None]}
    assert ran(proto, feed, "relu2").tobytes() == ran(permuted, feed, "relu2").tobytes()
    assert (ran(proto, feed, "logits") != ran(permuted, feed, "logits")).all()


def test_the_seed_and_the_name_decide_on_the_order() -> None:
    first, again, other = (values(permute_weights(tiny.model(), "relu1", seed=seed).proto) for seed in (1, 1, 2))
    assert first["w2_permuted"].tobytes() == again["w2_permuted"].tobytes() != other["w2_permuted"].tobytes()
    # Behind another layer the same weight is permuted in the same way.
    assert values(permute_weights(tiny.model(), "relu2", seed=1).proto)["w3_permuted"].tobytes() == (
        first["w3_permuted"].tobytes()
    )


def test_a_weight_that_is_also_read_before_the_layer_stays_there() -> None:
    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["layer"]),
        helper.make_node("MatMul", ["layer", "w"], ["y"]),
    ]
    w = np.arange(16, dtype=np.float32).reshape(4, 4)
    permuted = permute_weights(made(nodes, {"w": w}), "layer", seed=0).proto
    assert [node.input[1] for node in permuted.graph.node] == ["w", "w_permuted"]
    np.testing.assert_array_equal(values(permuted)["w"], w)


def test_constants_are_weights_of_layers_and_not_of_arithmetic() -> None:
    w, factor = np.arange(16, dtype=np.float32).reshape(4, 4), np.arange(4, dtype=np.float32)
    nodes = [
        helper.make_node("Identity", ["image"], ["layer"]),
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(w)),
        helper.make_node("Constant", [], ["factor"], value=numpy_helper.from_array(factor)),
        helper.make_node("MatMul", ["layer", "w"], ["z"]),
        helper.make_node("Mul", ["z", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["y"]),
    ]
    permuted = permute_weights(made(nodes, {"bias": factor}), "layer", seed=0)
    assert permuted.tensors == ("w", "bias")
    np.testing.assert_array_equal(np.sort(values(permuted.proto)["w_permuted"].ravel()), w.ravel())


def test_what_lies_between_a_weight_and_its_reader_is_applied_to_the_permuted_one() -> None:
    nodes = [
        helper.make_node("Identity", ["image"], ["layer"]),
        helper.make_node("Transpose", ["w"], ["turned"]),
        helper.make_node("MatMul", ["layer", "turned"], ["y"]),
        helper.make_node("MatMul", ["image", "turned"], ["beside"]),
    ]
    w = np.arange(12, dtype=np.float32).reshape(3, 4)
    proto = made(nodes, {"w": w})
    permuted = permute_weights(proto, "layer", seed=0).proto
    x = np.array([[1, 2, 3, 4]], np.float32)
    expected = x @ values(permuted)["w_permuted"].T
    np.testing.assert_allclose(ran(permuted, {"image": x}, "y"), expected)
    np.testing.assert_allclose(ran(permuted, {"image": x}, "beside"), x @ w.T)


def test_of_quantized_weights_the_integers_are_permuted_and_scales_and_zero_points_stay() -> None:
    nodes = [
        helper.make_node("Identity", ["image"], ["layer"]),
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["weight"], axis=1),
        helper.make_node("Gemm", ["layer", "weight"], ["z"]),
        helper.make_node("DequantizeLinear", ["b", "bias_scale"], ["bias"]),
        helper.make_node("Add", ["z", "bias"], ["y"]),
    ]
    w = np.arange(12, dtype=np.int8).reshape(4, 3)
    weights = {
        "w": w,
        "scale": np.array([0.5, 1, 2], np.float32),
        "zero": np.array([1, 2, 3], np.int8),
        "b": np.array([5, 6, 7], np.int32),
        "bias_scale": np.array(0.25, np.float32),
    }
    permuted = permute_weights(made(nodes, weights), "layer", seed=0)
    assert permuted.tensors == ("w", "b")
    after = values(permuted.proto)
    for name in ("scale", "zero", "bias_scale"):
        np.testing.assert_array_equal(after[name], weights[name])
    assert sorted(after["w_permuted"].ravel().tolist()) == w.ravel().tolist()
    x = np.array([[1, 2, 3, 4]], np.float32)
    expected = x @ ((after["w_permuted"].astype(float) - weights["zero"]) * weights["scale"]) + after["b_permuted"] / 4
    np.testing.assert_allclose(ran(permuted.proto, {"image": x}, "y"), expected, rtol=1e-6)


def test_a_quantized_convolution_gives_up_its_integers_alone() -> None:
    inputs = ["layer", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "b"]
    nodes = [helper.make_node("Identity", ["image"], ["layer"]), helper.make_node("QLinearConv", inputs, ["y"])]
    one, zero = np.array(1, np.float32), np.array(0, np.uint8)
    weights = {
        "x_scale": one, "x_zero": zero, "y_scale": one, "y_zero": zero,
        "w": np.arange(8, dtype=np.int8).reshape(4, 2, 1, 1),
        "w_scale": np.array([1, 2, 3, 4], np.float32),
        "w_zero": np.zeros(4, np.int8),
        "b": np.arange(4, dtype=np.int32),
    }  # fmt: skip
    assert permute_weights(made(nodes, weights, (1, 2, 3, 3)), "layer", seed=0).tensors == ("w", "b")


@pytest.mark.parametrize("op", ["BatchNormalization", "LayerNormalization"])
def test_normalisations_have_weights(op: str) -> None:
    count = 5 if op == "BatchNormalization" else 3
    names = ["scale", "shift", "mean", "var"][: count - 1]
    nodes = [helper.make_node("Identity", ["image"], ["layer"]), helper.make_node(op, ["layer", *names], ["y"])]
    weights = {name: np.arange(1, 5, dtype=np.float32) for name in names}
    assert permute_weights(made(nodes, weights, opset=17), "layer", seed=0).tensors == tuple(names)


def test_shapes_sizes_and_single_numbers_are_no_weights() -> None:
    nodes = [
        helper.make_node("Identity", ["image"], ["layer"]),
        helper.make_node("Reshape", ["layer", "shape"], ["image4"]),
        helper.make_node("Resize", ["image4", "", "scales"], ["large"], mode="linear"),
        helper.make_node("Clip", ["large", "low", "high"], ["clipped"]),
        helper.make_node("Mul", ["clipped", "two"], ["y"]),
    ]
    weights = {
        "shape": np.array([1, 1, 2, 2]),
        "scales": np.array([1, 1, 2, 3], np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
        "two": np.array([2], np.float32),
    }
    permuted = permute_weights(made(nodes, weights), "layer", seed=0)
    assert permuted.tensors == ()
    assert permuted.proto.graph.node[2].input[2] == "scales"


def test_an_old_file_that_lists_its_weights_among_the_inputs_runs() -> None:
    proto = tiny.model()
    proto.ir_version = 3
    proto.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims) for tensor in proto.graph.initializer
    )
    permuted = permute_weights(proto, "relu2", seed=0).proto
    assert "w3" not in {info.name for info in permuted.graph.input}
    feed = {"image": tiny.image()[None]}
    expected = ran(permute_weights(tiny.model(), "relu2", seed=0).proto, feed, "logits")
    np.testing.assert_array_equal(ran(permuted, feed, "logits"), expected)


def test_weights_beside_the_protobuf_stay_there() -> None:
    content = tiny.model().SerializeToString()
    model = detach_weights(io.BytesIO(content), len(content), tensor_bytes=16)
    assert model is not None
    permuted = permute_weights(model.proto, "relu2", 0, model.weights)
    assert isinstance(permuted.weights, DetachedWeights)
    expected = values(permute_weights(tiny.model(), "relu2", 0).proto)
    found = values(permuted.weights.attached(permuted.proto))
    np.testing.assert_array_equal(found["w3_permuted"], expected["w3_permuted"])
    stored = next(tensor for tensor in permuted.proto.graph.initializer if tensor.name == "w3_permuted")
    assert not stored.raw_data
    assert set(model.weights.arrays) < set(permuted.weights.arrays)


def test_weights_in_files_are_read_from_there(tmp_path: Path) -> None:
    onnx.save(tiny.model(), tmp_path / "m.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    proto = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    folder = find_external_data(tmp_path / "m.onnx", proto)
    permuted = permute_weights(proto, "relu2", 0, folder)
    assert permuted.weights == folder
    found = next(tensor for tensor in permuted.proto.graph.initializer if tensor.name == "w3_permuted")
    expected = values(permute_weights(tiny.model(), "relu2", 0).proto)["w3_permuted"]
    np.testing.assert_array_equal(numpy_helper.to_array(found), expected)
