"""Gradients through quantized tensors: what counts as clipped, and models of several nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.errors import ModelError
from onnx_cam.gradients import GraphModule
from onnx_cam.graph.backward import SEED, Border, add_gradient, path_to_layer
from onnx_cam.graph.backward.cut import cut_at
from onnx_cam.graph.tap import Dequantized, tap
from tests.gradients.one_node import floats, int8, number, positive, uint8
from tests.graph.backward.one_gradient import LAYER, facts_of, session_of

MS = "com.microsoft"
Array = NDArray[Any]


def model_of(nodes: list[onnx.NodeProto], image: Array, weights: dict[str, Array], opset: int) -> onnx.ModelProto:
    kind = helper.np_dtype_to_tensor_dtype(image.dtype)
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info(LAYER, kind, image.shape)],
        [helper.make_empty_tensor_value_info("output")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, ir_version=8, opset_imports=opsets)


def gradients(
    model: onnx.ModelProto, image: Array, layer: Border = LAYER, logits: Border = "output"
) -> tuple[Array, Array]:
    """Return ``∂(Σ seed · logits)/∂layer`` by the graph behind the layer.

    The second array is torch's, where integers at either end count as themselves.
    """
    source, end = (border if isinstance(border, str) else border.tensor for border in (layer, logits))
    path = path_to_layer(model, layer, logits, "quantized.onnx")
    facts = facts_of(model, path, [image])
    cut = cut_at(model, path, source, facts)
    gradient = add_gradient(cut.proto, layer, logits, facts, "quantized.onnx")
    cut.proto.graph.output.append(helper.make_tensor_value_info(gradient, TensorProto.FLOAT, None))
    outputs = [name for name in cut.border if name != LAYER]
    session = session_of(tap(model, outputs))
    values = {LAYER: image} | {name: session.run([name], {LAYER: image})[0] for name in outputs}
    shape = facts[end].shape
    seed = np.random.default_rng(5).standard_normal(tuple(size or 1 for size in shape)).astype(np.float32)
    feed = {name: values[name] for name in cut.border} | {SEED: seed.reshape(len(seed), -1)}
    (found,) = session_of(cut.proto).run([gradient], feed)

    leaf = torch.as_tensor(values[source].astype(np.float32)).requires_grad_()
    module = GraphModule(model, name="quantized.onnx")
    (output,) = module(torch.as_tensor(np.asarray(image, np.float32)), [end], {source: leaf})
    (expected,) = torch.autograd.grad(output, leaf, torch.as_tensor(seed).reshape(output.shape))
    return np.asarray(found), expected.numpy()


@pytest.mark.parametrize("opset", [10, 13, 21])
@pytest.mark.parametrize("zero_point", [0, 7, 100, 101, 255])
def test_halves_are_rounded_to_even_numbers_before_they_are_clipped(opset: int, zero_point: int) -> None:
    halves = np.arange(-600, 600, dtype=np.float32) / 2
    image = np.concatenate([halves, np.nextafter(halves, np.float32(np.inf)), np.nextafter(halves, np.float32(-9e9))])[
        None
    ]
    for kind, shift in (("uint8", 0), ("int8", 128)):
        weights = {"scale": number(1.0), "zero": number(zero_point - shift, kind)}
        nodes = [helper.make_node("QuantizeLinear", [LAYER, "scale", "zero"], ["output"])]
        found, expected = gradients(model_of(nodes, image, weights, opset), image)
        np.testing.assert_array_equal(found, expected)
        assert 0 < np.count_nonzero(found) < found.size


def test_a_number_that_reaches_the_end_of_the_range_passes_the_gradient_on() -> None:
    image = np.array([[-50.5, -50.25, -50.0, 0.0, 77.0, 77.25, 77.75]], np.float32)
    weights = {"scale": number(0.5), "zero": number(101, "uint8")}
    nodes = [helper.make_node("QuantizeLinear", [LAYER, "scale", "zero"], ["output"])]
    model = model_of(nodes, image, weights, 13)
    (integers,) = session_of(model).run(None, {LAYER: image})
    assert integers.tolist() == [[0, 1, 1, 101, 255, 255, 255]]
    found, _ = gradients(model, image)
    assert (found != 0).tolist() == [[True, True, True, True, True, True, False]]


def test_a_zero_point_from_the_image_is_added_after_rounding() -> None:
    image, factor = floats(2, 30) + 1, number(3.0)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", [LAYER], ["q", "scale", "zero"]),
        helper.make_node("Mul", [LAYER, "factor"], ["wide"]),
        helper.make_node("QuantizeLinear", ["wide", "scale", "zero"], ["integers"]),
        helper.make_node("DequantizeLinear", ["integers", "scale", "zero"], ["output"]),
    ]
    found, expected = gradients(model_of(nodes, image, {"factor": factor}, 13), image)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert 0 < np.count_nonzero(found) < found.size


def test_before_opset_11_a_zero_point_must_not_depend_on_the_image() -> None:
    image = positive(2, 5)
    nodes = [
        helper.make_node("ReduceMax", [LAYER], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["zero"], to=TensorProto.UINT8),
        helper.make_node("QuantizeLinear", [LAYER, "scale", "zero"], ["output"]),
    ]
    model = model_of(nodes, image, {"scale": number(0.1)}, 10)
    with pytest.raises(ModelError, match="its zero point 'zero' depends on the image or the batch"):
        gradients(model, image)


def test_a_zero_point_may_be_the_output_of_a_constant() -> None:
    image = floats(2, 50)
    zero = helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(number(9, "uint8")))
    nodes = [zero, helper.make_node("QuantizeLinear", [LAYER, "scale", "zero"], ["output"])]
    found, expected = gradients(model_of(nodes, image, {"scale": number(0.1)}, 10), image)
    np.testing.assert_array_equal(found, expected)


def test_the_scale_of_dynamic_quantization_has_no_gradient() -> None:
    image = floats(3, 6)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", [LAYER], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "weight", "zero"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["scale", "weight_scale"], ["factor"]),
        helper.make_node("Mul", ["floats", "factor"], ["output"]),
    ]
    model = model_of(nodes, image, {"weight": int8(6, 4), "weight_scale": number(0.02)}, 13)
    found, expected = gradients(model, image)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_weights_stay_integers() -> None:
    image = uint8(1, 4, 6, 6)
    model = quantized_classifier(image)
    path = path_to_layer(model, LAYER, LOGITS, "quantized.onnx")
    before = model.ByteSize()
    add_gradient(model, LAYER, LOGITS, facts_of(model, path, [image]), "quantized.onnx")
    kinds = {t.data_type for node in model.graph.node for a in node.attribute if a.HasField("t") for t in [a.t]}
    assert all(tensor.data_type != TensorProto.FLOAT or not tensor.dims for tensor in model.graph.initializer)
    assert kinds <= {TensorProto.FLOAT, TensorProto.INT64}
    assert model.ByteSize() - before < 16_000  # the weights are 2,400 numbers of 1 byte


LOGITS = Dequantized("logits", "logits_scale", "logits_zero")


def quantized_classifier(image: Array) -> onnx.ModelProto:
    """Return a model of integers from end to end; what reads the pooled map has its scale under another name."""
    q = {
        "x": [LAYER, "scale", "zero"],
        "conv": ["conv", "conv_scale", "zero"],
        "pool": ["pool", "conv_scale2", "zero"],
        "mean": ["mean", "mean_scale", "zero"],
        "flat": ["flat", "mean_scale", "zero"],
        "logits": ["logits", "logits_scale", "logits_zero"],
    }
    weight, kernel = ["weight", "weight_scale", "weight_zero"], ["kernel", "weight_scale", "weight_zero"]
    nodes = [
        helper.make_node("QLinearConv", [*q["x"], *kernel, *q["conv"][1:]], ["conv"]),
        helper.make_node("MaxPool", ["conv"], ["pool"], kernel_shape=[2, 2]),
        helper.make_node(
            "QLinearGlobalAveragePool", [*q["pool"], *q["mean"][1:]], ["mean"], domain=MS, channels_last=0
        ),
        helper.make_node("Reshape", ["mean", "flat_shape"], ["flat"]),
        helper.make_node("QLinearMatMul", [*q["flat"], *weight, *q["logits"][1:]], ["logits"]),
        helper.make_node(
            "QLinearSoftmax", [*q["logits"], "output_scale", "output_zero"], ["output"], domain=MS, axis=-1, opset=13
        ),
    ]
    weights = {
        **{name: number(value) for name, value in (("scale", 0.02), ("conv_scale", 0.05), ("conv_scale2", 0.05))},
        **{"mean_scale": number(0.03), "logits_scale": number(0.06), "output_scale": number(1 / 256)},
        **{"zero": number(120, "uint8"), "logits_zero": number(90, "uint8"), "output_zero": number(0, "uint8")},
        **{"kernel": int8(8, 4, 3, 3), "weight": int8(8, 5), "weight_scale": number(0.02)},
        **{"weight_zero": number(0, "int8"), "flat_shape": np.array([0, 8])},
    }
    return model_of(nodes, image, weights, 12)


@pytest.mark.parametrize("layer", ["conv", "pool", "mean"])
def test_integers_count_as_the_numbers_that_they_stand_for(layer: str) -> None:
    image = uint8(1, 4, 6, 6)
    model = quantized_classifier(image)
    scale = {"conv": "conv_scale", "pool": "conv_scale", "mean": "mean_scale"}[layer]
    found, expected = gradients(model, image, Dequantized(layer, scale, "zero"), LOGITS)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.testing.assert_allclose(found, expected * values["logits_scale"] / values[scale], rtol=1e-5, atol=1e-7)
    assert np.count_nonzero(found)


def test_a_scale_of_16_bits_is_read_as_float32() -> None:
    image = uint8(2, 6)
    nodes = [
        helper.make_node("DequantizeLinear", [LAYER, "scale", "zero"], ["half"]),
        helper.make_node("Cast", ["half"], ["full"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["full", "weight"], ["output"]),
    ]
    weights = {"scale": number(0.05, "float16"), "zero": number(3, "uint8"), "weight": floats(6, 4)}
    model = model_of(nodes, image, weights, 19)
    found, expected = gradients(model, image, Dequantized(LAYER, "scale", "zero"))
    np.testing.assert_allclose(found, expected / np.float32(weights["scale"]), rtol=1e-5)
