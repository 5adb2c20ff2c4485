"""The nodes of a heatmap, one part at a time, against the methods in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.facts import TensorFacts
from onnx_cam.graph.heatmap.class_rows import emit_class_weights
from onnx_cam.graph.heatmap.formulas import GRADIENT_FORMULAS
from onnx_cam.graph.heatmap.maps import FlatMaps
from onnx_cam.graph.heatmap.normalise import Upsampling, normalised, upsampled
from onnx_cam.graph.heatmap.own_weights import separate_weights
from onnx_cam.graph.linear_head import LinearHead
from onnx_cam.methods import METHODS
from onnx_cam.methods.gradient import GradientMethod, PositionMethod
from onnx_cam.runtime.masks import Masking, corner_matrix, interpolation_matrix, masks

OPSETS = (7, 11, 13, 18)
Array = np.ndarray[Any, np.dtype[Any]]


def run(emitter: Emitter, output: str, *, stored: dict[str, Array] | None = None, **inputs: Array) -> Array:
    """Run emitted nodes by ONNX Runtime."""
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), ["N", *array.shape[1:]])
        for name, array in inputs.items()
    ]
    initializers = [numpy_helper.from_array(array, name) for name, array in (stored or {}).items()]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    graph = helper.make_graph(emitter.nodes, "nodes", infos, outputs, initializers)
    opsets = [helper.make_opsetid("", emitter.opset)]
    session = onnxruntime.InferenceSession(
        helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString(),
        providers=["CPUExecutionProvider"],
    )
    return np.asarray(session.run([output], inputs)[0])


def cases() -> tuple[Array, Array]:
    """Maps and gradients (3, K, 2, 2), with the corners of the formulas: zeros, and denominators of zero."""
    generator = np.random.default_rng(0)
    maps, gradients = generator.standard_normal((2, 3, 5, 2, 2)).astype(np.float32)
    gradients[0, 0] = 0  # no gradient at all
    maps[0, 1], gradients[0, 1] = [[-1, 0], [0, 0]], 2  # 2 g² + S g³ = 0
    maps[1, 2] = [[1, -1], [2, -2]]  # sums to 0
    maps[2, 3] = 0  # a dead channel
    gradients[2, 4] *= 1e-16  # its cube is lost in float32
    return maps, gradients


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", GRADIENT_FORMULAS)
def test_the_formulas_are_those_of_the_methods(name: str, opset: int, channels_last: bool) -> None:
    maps, gradients = cases()
    method = METHODS[name]()
    assert isinstance(method, GradientMethod)
    emitter = Emitter(opset, set())
    axis = 2 if channels_last else 1
    flat = GRADIENT_FORMULAS[name](emitter, FlatMaps("a", 5, axis), FlatMaps("g", 5, axis))
    arranged = [np.moveaxis(x.reshape(3, 5, 4), 1, axis) for x in (maps, gradients)]
    found = run(emitter, flat, a=arranged[0], g=arranged[1]).reshape(3, 2, 2)
    for one, a, g in zip(found, maps.astype(np.float64), gradients.astype(np.float64), strict=True):
        if isinstance(method, PositionMethod):
            expected = np.maximum((method.position_weights(g) * a).sum(axis=0), 0)
        else:
            expected = np.maximum(np.tensordot(method.weights_of(a, g), a, axes=1), 0)
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("span", [(0.0, 1.0), (0.25, 0.75), (-0.5, 1.25)])
def test_s_and_u_are_those_of_the_masks(span: tuple[float, float], opset: int) -> None:
    """Far from 0 too, where the rows of U, which sum to 1 up to rounding, would make a map of a constant."""
    from onnx_cam.graph.frame import Frame

    maps = np.random.default_rng(0).random((4, 3, 5)).astype(np.float32)
    maps[1] = 0
    maps[2] = 1234.567
    maps[3] += 1000
    size = (7, 16)
    upsampling = Upsampling(
        interpolation_matrix(3, 7, span=span),
        np.ascontiguousarray(interpolation_matrix(5, 16, span=span).T),
        corner_matrix(3, 7, False, span).astype(np.float32),
        np.ascontiguousarray(corner_matrix(5, 16, False, span).T, np.float32),
    )
    emitter = Emitter(opset, set())
    found = run(emitter, upsampled(emitter, "x", upsampling), x=maps)
    frame = Frame(span[0], span[0], span[1], span[1])
    np.testing.assert_allclose(found, masks(maps, size, Masking(frame=frame)), atol=2e-6)
    assert found.min() >= 0
    assert found.max() <= 1
    emitter = Emitter(opset, set())
    small = run(emitter, normalised(emitter, "x"), x=maps)
    np.testing.assert_allclose(small, masks(maps, (3, 5), Masking()), atol=1e-6)
    assert not small[1:3].any()


HEADS: dict[str, tuple[int, Any, Any, Any]] = {
    "classes in rows": (0, np.float32, 1, 0),
    "classes in columns": (1, np.float32, 1, 0),
    "float16": (0, np.float16, 1, 0),
    "scaled": (1, np.float32, 0.5, 0),
    "integers": (0, np.int8, 0.25, 3),
    "integers, a scale each class": (1, np.uint8, np.arange(1, 5)[:, None], np.arange(4)[:, None]),
    "integers, a scale each channel": (0, np.int8, np.arange(1, 7)[None], 0),
}


@pytest.mark.parametrize("opset", [7, 13])
@pytest.mark.parametrize("name", HEADS)
def test_the_rows_of_a_linear_layer_are_taken_from_what_is_stored(name: str, opset: int) -> None:
    axis, dtype, scale, zero_point = HEADS[name]
    numbers = np.random.default_rng(0).integers(0, 100, (4, 6)).astype(dtype)
    scales, zero_points = (np.array(x, np.float32, ndmin=2) for x in (scale, zero_point))
    weights = ((numbers - zero_points) * scales).astype(np.float32)
    stored = numbers if axis == 0 else np.ascontiguousarray(numbers.T)
    linear = LinearHead(weights, "w", axis, scales, zero_points)
    emitter = Emitter(opset, set())
    output = emit_class_weights(emitter, linear, stored, "c", binary=False)
    classes = np.array([3, 0, 3])
    np.testing.assert_array_equal(run(emitter, output, stored={"w": stored}, c=classes), weights[classes])
    held = [helper.get_node_attr_value(one, "value") for one in emitter.nodes if one.op_type == "Constant"]
    assert all(np.prod(constant.dims) < weights.size for constant in held)


def test_weights_that_are_stored_in_no_such_way_are_written_once_more() -> None:
    weights = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    linear = LinearHead(weights, "w", 0, np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))
    for stored in (None, weights[:2], weights + 1):
        emitter = Emitter(13, set())
        output = emit_class_weights(emitter, linear, stored, "c", binary=False)
        np.testing.assert_array_equal(run(emitter, output, c=np.array([2])), weights[[2]])


def test_square_weights_of_the_model_are_copied_for_the_gradient_and_others_are_not() -> None:
    """A copy is two Neg: the same numbers, exactly."""
    stored = {"square": np.random.default_rng(0).random((3, 3)).astype(np.float32), "wide": np.ones((3, 2), np.float32)}
    own = [helper.make_node("MatMul", ["x", name], [f"y_{name}"]) for name in stored]
    new = [
        helper.make_node("Gemm", ["g", "square", "zero"], ["back"], transB=1),
        helper.make_node("Gemm", ["y_wide", "wide", "zero"], ["other"], transB=1),
    ]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("x", "g")]
    initializers = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    initializers.append(numpy_helper.from_array(np.zeros(1, np.float32), "zero"))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("back", "other", "y_square")]
    graph = helper.make_graph([*own, *new], "graph", infos, outputs, initializers)
    separate_weights(graph, 2, {"square": TensorFacts((3, 3), "float32")})
    assert [node.op_type for node in graph.node] == ["MatMul", "MatMul", "Neg", "Neg", "Gemm", "Gemm"]
    assert graph.node[4].input[1] == graph.node[3].output[0]
    assert graph.node[5].input[1] == "wide"
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    x = np.random.default_rng(1).random((2, 3)).astype(np.float32)
    back = onnxruntime.InferenceSession(model.SerializeToString()).run(["back"], {"x": x, "g": x})[0]
    np.testing.assert_allclose(back, x @ stored["square"].T, rtol=1e-6)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_dequantized_weights_are_dequantized_once_more_for_the_gradient(axis: int | None) -> None:
    """So that nothing keeps the runtime from running the model's own product on integers."""
    integers = np.random.default_rng(0).integers(-100, 100, (4, 3)).astype(np.int8)
    count = 1 if axis is None else integers.shape[axis]
    scale: Array = np.linspace(0.1, 0.5, count, dtype=np.float32)
    zero_point: Array = np.arange(count, dtype=np.int8)
    if axis is None:
        scale, zero_point = scale.reshape(()), zero_point.reshape(())
    stored: dict[str, Array] = {"q": integers, "s": scale, "z": zero_point}
    attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
    own = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], **attributes),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    new = [helper.make_node("Gemm", ["g", "w"], ["back"], transB=1)]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", n]) for name, n in (("x", 4), ("g", 3))]
    initializers = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("back", "y")]
    graph = helper.make_graph([*own, *new], "graph", infos, outputs, initializers)
    separate_weights(graph, 2, {"w": TensorFacts((4, 3), "float32")})
    assert [node.op_type for node in graph.node if "w" in node.input] == ["MatMul"]
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    g = np.random.default_rng(1).random((2, 3)).astype(np.float32)
    back = onnxruntime.InferenceSession(model.SerializeToString()).run(
        ["back"], {"x": np.ones((1, 4), np.float32), "g": g}
    )
    along = (-1, 1) if axis == 0 else (1, -1)
    weights = (integers - zero_point.reshape(along).astype(np.float32)) * scale.reshape(along)
    np.testing.assert_allclose(back[0], g @ weights.T, rtol=1e-5, atol=1e-5)
