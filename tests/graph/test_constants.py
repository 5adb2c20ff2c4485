"""The values of constants: stored, handed on, dequantized, and computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from onnx import helper, numpy_helper

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.read import import_graph, read_model
from tests import tiny

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def constants(nodes: list[onnx.NodeProto], **weights: Any) -> Constants:
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "main", [tiny.value_info("image", [2])], [], initializers)
    return Constants(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (helper.make_node("Identity", ["w"], ["y"]), MATRIX),
        (helper.make_node("Transpose", ["w"], ["y"]), MATRIX.T),
        (helper.make_node("Transpose", ["w"], ["y"], perm=[0, 1]), MATRIX),
        (helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(MATRIX)), MATRIX),
        (helper.make_node("Neg", ["w"], ["y"]), None),
        (helper.make_node("Identity", ["image"], ["y"]), None),
        (helper.make_node("Dropout", ["w"], ["y", ""]), None),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_the_stored_value_of_a_tensor(node: onnx.NodeProto, expected: np.ndarray | None) -> None:
    value = constants([node], w=MATRIX).value("y")
    if expected is None:
        assert value is None
    else:
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_integers_become_the_numbers_that_they_stand_for(axis: int | None) -> None:
    attributes: Any = {} if axis is None else {"axis": axis}
    node = helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], **attributes)
    size = 2 if axis == 0 else 3  # the default axis is 1
    scale = np.arange(1, size + 1, dtype=np.float32) / 2
    zero = np.arange(size, dtype=np.int8)
    integers = np.arange(6, dtype=np.int8).reshape(2, 3)
    along = (slice(None), None) if axis == 0 else (None, slice(None))
    expected = (integers - zero[along]) * scale[along]
    np.testing.assert_array_equal(constants([node], q=integers, scale=scale, zero=zero).value("y"), expected)


def test_a_tensor_of_a_graph_has_the_value_of_its_name(tmp_path: Path) -> None:
    file = read_model(tiny.save(tiny.model(), tmp_path))
    tensors = import_graph(file).tensors()
    np.testing.assert_array_equal(Constants(file).value(tensors["w1"]), tiny.weights()["w1"])
    assert Constants(file).value(tensors["relu1"]) is None
    assert Constants(file).value(gs.Variable.empty()) is None


def test_weights_beside_the_file_are_read_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(tiny.model(), path, save_as_external_data=True, location="data.bin", size_threshold=0)
    file = read_model(path)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(Constants(file).value("w1"), tiny.weights()["w1"])
    assert Constants(file.proto).evaluated("w1") is None  # a protobuf does not tell where it was read from
    assert Constants(file.proto).shape("w1") == tiny.weights()["w1"].shape


def test_weights_in_constant_nodes_are_read_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(MATRIX, "c")),
        helper.make_node("Neg", ["c"], ["negative"]),
    ]
    graph = helper.make_graph(nodes, "main", [tiny.value_info("image", [2])], [tiny.value_info("negative", [2, 3])])
    path = tmp_path / "model.onnx"
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save_model(
        proto, path, location="data.bin", save_as_external_data=True, size_threshold=0, convert_attribute=True
    )
    file = read_model(path)
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path.parent / "data.bin").write_bytes(bytes(MATRIX.nbytes))  # another file of that name
    np.testing.assert_array_equal(Constants(file).evaluated("negative"), -MATRIX)


def test_what_is_computed_from_constants_only_is_evaluated() -> None:
    nodes = [
        helper.make_node("Neg", ["w"], ["negative"]),
        helper.make_node("Clip", ["negative", "", "limit"], ["clipped"]),
        helper.make_node("Strange", ["w"], ["strange"], domain="nowhere"),
        helper.make_node("Add", ["image", "w"], ["sum"]),
    ]
    values = constants(nodes, w=[1.0, 3.0], limit=-2.0)
    np.testing.assert_array_equal(values.evaluated("clipped"), [-2, -3])
    assert values.shape("clipped") == (2,)
    for name in ("strange", "sum", "image", "", "missing"):
        assert values.evaluated(name) is None
        assert values.shape(name) is None
