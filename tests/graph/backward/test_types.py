"""The gradient of float16 tensors, and of casts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx_cam.errors import LayerError
from onnx_cam.graph.backward import path_to_layer
from tests.gradients.one_node import floats, positive
from tests.graph.backward.both_gradients import gradients, model_of
from tests.graph.backward.one_gradient import LAYER, LOGITS

Array = NDArray[Any]
IMAGE = floats(2, 3, 4)
HALF = helper.make_node("Cast", [LAYER], ["half"], to=TensorProto.FLOAT16)
SINGLE = helper.make_node("Cast", ["result"], [LOGITS], to=TensorProto.FLOAT)


def half(array: Array) -> Array:
    return array.astype(np.float16)


@pytest.mark.parametrize(
    ("operator", "others", "attributes"),
    [
        ("Softmax", [], {}),
        ("Sigmoid", [], {}),
        ("Tanh", [], {}),
        ("LeakyRelu", [], {}),
        ("Exp", [], {}),
        ("ReduceMax", [], {"axes": [2]}),
        ("ReduceMean", [], {"axes": [1]}),
        ("ReduceL2", [], {"axes": [2]}),
        ("LayerNormalization", [positive(4), floats(4)], {}),
        ("Pow", [np.array(2.0)], {}),
        ("Max", [floats(4, seed=9)], {}),
        ("Einsum", [floats(5, 4)], {"equation": "bij,kj->bik"}),
    ],
)
def test_float16_tensors_have_a_float32_gradient(
    operator: str, others: list[Array], attributes: dict[str, Any]
) -> None:
    weights = {f"weight{i}": half(one) for i, one in enumerate(others)}
    node = helper.make_node(operator, ["half", *weights], ["result"], **attributes)
    found, expected = gradients(model_of([HALF, node, SINGLE], weights, IMAGE), IMAGE)
    assert found.dtype == np.float32
    # Forward values have 11 bits, so that the derivatives differ by about 2⁻¹¹.
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-3 * np.abs(expected).max())


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8])
def test_a_cast_to_integers_ends_the_gradient_and_is_named(kind: int) -> None:
    nodes = [
        helper.make_node("Cast", [LAYER], ["integers"], name="cut", to=kind),
        helper.make_node("Cast", ["integers"], [LOGITS], to=TensorProto.FLOAT),
    ]
    with pytest.raises(LayerError, match="operator Cast, node 'cut', has an output without a gradient"):
        path_to_layer(model_of(nodes, {}, IMAGE), LAYER, LOGITS, "types.onnx")


def test_a_gradient_goes_past_a_cast_to_integers() -> None:
    nodes = [
        helper.make_node("Cast", [LAYER], ["integers"], to=TensorProto.INT32),
        helper.make_node("Mul", ["integers", "integers"], ["squares"]),
        helper.make_node("Cast", ["squares"], ["steps"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [LAYER, "steps"], [LOGITS]),
    ]
    image = floats(2, 5) * 3
    model = model_of(nodes, {}, image)
    assert [node.op_type for node in path_to_layer(model, LAYER, LOGITS, "types.onnx").nodes] == ["Mul"]
    found, expected = gradients(model, image)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_cast_like_floats_passes_the_gradient_on() -> None:
    node = helper.make_node("CastLike", [LAYER, "like"], ["half"])
    squares = helper.make_node("Mul", ["half", "half"], ["result"])
    weights = {"like": np.zeros(1, np.float16)}
    found, expected = gradients(model_of([node, squares, SINGLE], weights, IMAGE, opset=19), IMAGE)
    np.testing.assert_allclose(found, expected, atol=4e-3)


@pytest.mark.parametrize("steep", [{"op_type": "Sqrt"}, {"op_type": "Pow", "weights": {"half": np.float32(0.5)}}])
def test_an_infinite_gradient_behind_a_relu_does_not_count_where_the_relu_is_0(steep: dict[str, Any]) -> None:
    image = floats(2, 3, 8)
    weights = steep.get("weights", {})
    nodes = [
        helper.make_node("Relu", [LAYER], ["positive"]),
        helper.make_node(steep["op_type"], ["positive", *weights], [LOGITS]),
    ]
    found, expected = gradients(model_of(nodes, weights, image), image)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
