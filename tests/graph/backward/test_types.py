"""The gradient of float16 tensors, and of casts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.errors import LayerError
from onnx_cam.gradients import GraphModule
from onnx_cam.graph.backward import SEED, add_gradient, path_to_layer
from tests.gradients.one_node import floats, positive
from tests.graph.backward.one_gradient import LAYER, LOGITS, facts_of, session_of

Array = NDArray[Any]
IMAGE = floats(2, 3, 4)
HALF = helper.make_node("Cast", [LAYER], ["half"], to=TensorProto.FLOAT16)
SINGLE = helper.make_node("Cast", ["result"], [LOGITS], to=TensorProto.FLOAT)


def model_of(nodes: list[onnx.NodeProto], weights: dict[str, Array], image: Array, opset: int = 17) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "types",
        [helper.make_tensor_value_info(LAYER, TensorProto.FLOAT, image.shape)],
        [helper.make_empty_tensor_value_info(LOGITS)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets)


def gradients(model: onnx.ModelProto, image: Array) -> tuple[Array, Array]:
    """Return the gradient of a random combination of the logits, by the graph and by torch."""
    import torch

    leaf = torch.as_tensor(image).requires_grad_()
    output = GraphModule(model, name="types.onnx")(leaf, [LOGITS])[0]
    seed = np.random.default_rng(1).standard_normal(output.shape).astype(np.float32)
    (expected,) = torch.autograd.grad(output, leaf, torch.as_tensor(seed))
    path = path_to_layer(model, LAYER, LOGITS, "types.onnx")
    name = add_gradient(model, LAYER, LOGITS, facts_of(model, path, [image]), "types.onnx")
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    feed = {LAYER: image, SEED: seed.reshape(len(seed), -1)}
    return np.asarray(session_of(model).run([name], feed)[0]), expected.numpy()


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
