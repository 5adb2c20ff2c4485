"""Gradients of logits with respect to a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx_cam.errors import LayerError, TargetError
from onnx_cam.gradients import GraphModule, layer_gradients
from onnx_cam.graph.tap import Dequantized
from tests import tiny
from tests.torch_twins import Tiny

Array = NDArray[Any]
IMAGE = tiny.image()[None]
TARGETS = [2, 0]


def module(proto: onnx.ModelProto) -> GraphModule:
    return GraphModule(proto, name="tiny.onnx")


@pytest.mark.parametrize("layer", ["conv1", "relu1", "conv2", "relu2", "pooled"])
def test_the_gradient_is_that_of_central_differences(layer: str) -> None:
    double = module(tiny.softmax_model()).double()
    activations, gradients = layer_gradients(double, IMAGE, layer, "logits", TARGETS)
    direction = np.random.default_rng(0).standard_normal(activations.shape)

    def logits(step: float) -> Array:
        moved = torch.as_tensor(activations + step * direction)
        array: Array = double(torch.as_tensor(IMAGE), ["logits"], {layer: moved})[0].numpy()
        return array[0, TARGETS]

    expected = (logits(1e-6) - logits(-1e-6)) / 2e-6
    np.testing.assert_allclose((gradients * direction).sum((1, 2, 3, 4)), expected, rtol=1e-6)


def test_the_gradient_is_that_of_the_same_network_in_torch() -> None:
    twin = Tiny()
    maps = torch.relu(twin.conv2(torch.relu(twin.conv1(torch.as_tensor(IMAGE))))).detach().requires_grad_()
    scores = twin.linear(maps.mean((2, 3)))
    expected = [torch.autograd.grad(scores[0, t], maps, retain_graph=True)[0].numpy() for t in TARGETS]
    activations, gradients = layer_gradients(module(tiny.model()), IMAGE, "relu2", "logits", TARGETS)
    np.testing.assert_allclose(activations, maps.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(gradients, np.stack(expected), atol=1e-7)


def test_before_global_pooling_the_gradient_is_the_linear_weight() -> None:
    activations, gradients = layer_gradients(module(tiny.model()), IMAGE, "relu2", "logits", TARGETS)
    assert gradients.shape == (2, *activations.shape) == (2, 1, 6, 5, 5)
    expected = tiny.weights()["w3"][TARGETS] / 25
    np.testing.assert_allclose(gradients[:, 0, :, 3, 1], expected, rtol=1e-5)


def test_with_a_single_logit_class_0_has_the_opposite_gradient() -> None:
    nodes = [*tiny.body(), helper.make_node("Gather", ["logits", "first"], ["z"], axis=1)]
    proto = tiny.build(
        nodes,
        {**tiny.weights(), "first": np.array([1])},
        image=[1, 3, 20, 20],
        outputs=[tiny.value_info("z", [1, 1])],
    )
    _, both = layer_gradients(module(proto), IMAGE, "relu2", "z", [0, 1], binary=True)
    np.testing.assert_array_equal(both[0], -both[1])
    np.testing.assert_allclose(both[1, 0, :, 0, 0], tiny.weights()["w3"][1] / 25, rtol=1e-5)


def quantized() -> onnx.ModelProto:
    """Return a model of a quantization, a convolution on integers, a global average pooling, and a linear layer."""
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "ws", "wz", "ys", "yz"], ["conv"], name="Conv"),
        helper.make_node("DequantizeLinear", ["conv", "ys", "yz"], ["real"]),
        helper.make_node("GlobalAveragePool", ["real"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "linear"], ["scores"]),
        helper.make_node("QuantizeLinear", ["scores", "ls", "z"], ["logits"]),
    ]
    generator = np.random.default_rng(0)
    weights = {
        "s": np.float32(0.03), "z": np.uint8(128), "ws": np.float32(0.01), "wz": np.int8(0),
        "w": generator.integers(-50, 50, (4, 3, 3, 3)).astype(np.int8),
        "ys": np.float32(0.25), "yz": np.uint8(100), "ls": np.float32(0.05),
        "linear": generator.standard_normal((4, 3)).astype(np.float32),
    }  # fmt: skip
    outputs = [tiny.value_info("logits", [1, 3], TensorProto.UINT8)]
    return tiny.build(nodes, weights, image=[1, 3, 20, 20], outputs=outputs)


def test_a_layer_of_integers_is_the_real_numbers_that_they_represent() -> None:
    """The layer and the logits are quantized. Rounding passes the gradient on, so it is that of the linear layer."""
    proto = quantized()
    linear = onnx.numpy_helper.to_array(next(w for w in proto.graph.initializer if w.name == "linear"))
    layer, logits = Dequantized("conv", "ys", "yz"), Dequantized("logits", "ls", "z")
    activations, gradients = layer_gradients(module(proto), IMAGE, layer, logits, [1])
    real = module(proto)(torch.as_tensor(IMAGE), ["real"])[0].numpy()
    np.testing.assert_array_equal(activations, real)
    np.testing.assert_allclose(gradients[0, 0, :, 5, 5], linear[:, 1] / 18**2, rtol=1e-5)


def test_before_the_quantized_convolution_the_gradient_passes_straight_through() -> None:
    """Nothing is clipped here, so the gradient is that of the convolution with dequantized weights."""
    proto = quantized()
    weights = {w.name: torch.tensor(onnx.numpy_helper.to_array(w)) for w in proto.graph.initializer}
    image = torch.tensor(IMAGE, requires_grad=True)
    conv = torch.nn.functional.conv2d(image, weights["w"] * weights["ws"])
    (expected,) = torch.autograd.grad((conv.mean((2, 3)) @ weights["linear"])[0, 1], image)
    _, gradients = layer_gradients(module(proto), IMAGE, "image", Dequantized("logits", "ls", "z"), [1])
    np.testing.assert_allclose(gradients[0], expected.numpy(), atol=1e-8)


def test_a_node_that_ends_the_gradient_is_named() -> None:
    tail = [
        helper.make_node("Cast", ["logits"], ["whole"], to=TensorProto.INT32, name="Whole"),
        helper.make_node("Cast", ["whole"], ["scores"], to=TensorProto.FLOAT),
    ]
    proto = tiny.model(tail=tail, output="scores")
    with pytest.raises(LayerError, match=r"operator Cast .*node 'Whole' outputs integers"):
        layer_gradients(module(proto), IMAGE, "relu2", "scores", [0])


def test_a_layer_that_the_score_does_not_depend_on_is_named() -> None:
    proto = tiny.model(extra_outputs=[tiny.value_info("aside", None)])
    proto.graph.node.append(helper.make_node("Neg", ["relu1"], ["aside"]))
    with pytest.raises(LayerError, match="does not depend on layer 'aside'"):
        layer_gradients(module(proto), IMAGE, "aside", "logits", [0])


def test_a_score_that_only_reads_the_shape_does_not_depend_on_the_layer() -> None:
    nodes = [
        helper.make_node("Relu", ["image"], ["relu"]),
        helper.make_node("Shape", ["relu"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["scores"], to=TensorProto.FLOAT),
    ]
    proto = tiny.build(nodes, {}, image=[1, 3, 20, 20], outputs=[tiny.value_info("scores", [4])])
    with pytest.raises(LayerError, match="does not depend on layer 'relu'"):
        layer_gradients(module(proto), IMAGE, "relu", "scores", [0])


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(TargetError, match=r"no class 4 .* from 0 to 3"):
        layer_gradients(module(tiny.model()), IMAGE, "relu2", "logits", [4])
