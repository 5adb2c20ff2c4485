"""Nothing of a model is overlooked: subgraphs, local functions, attributes, sparse tensors."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from onnx_cam.errors import ModelError
from onnx_cam.graph.read import read_model
from onnx_cam.graph.walk_protobuf import all_graphs, all_names, all_tensors
from tests import tiny


def weight(name: str) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [1], [0.0])


def constant(name: str) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [f"{name}_output"], name=f"{name}_node", value=weight(name))


def branch(name: str, *nodes: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph(nodes, name, [], [tiny.value_info(f"{name}_scores", None)], [weight(f"{name}_weight")])


def nested_model() -> onnx.ModelProto:
    """Return a model with an If in an If, and a local function with an If of its own."""
    inner = helper.make_node("If", ["c"], ["x"], then_branch=branch("inner", constant("inner_constant")))
    outer = helper.make_node("If", ["c"], ["y"], then_branch=branch("outer", inner))
    model = tiny.model()
    model.graph.node.extend([outer, constant("main_constant")])
    call = helper.make_node("If", ["c"], ["z"], then_branch=branch("called", constant("called_constant")))
    function = helper.make_function("local", "F", ["c"], ["z"], [call], [helper.make_opsetid("", 13)])
    model.functions.append(function)
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(weight("sparse_values"))
    sparse.indices.CopyFrom(weight("sparse_indices"))
    return model


def test_all_graphs_within_a_graph() -> None:
    assert [graph.name for graph in all_graphs(nested_model().graph)][1:] == ["outer", "inner"]


def test_all_tensors_of_a_model() -> None:
    names = {tensor.name for tensor in all_tensors(nested_model())}
    assert names == {
        *tiny.weights(),
        *("outer_weight", "inner_weight", "inner_constant", "main_constant"),
        *("called_weight", "called_constant", "sparse_values", "sparse_indices"),
    }


def test_all_names_of_a_graph() -> None:
    names = all_names(nested_model().graph)
    assert {"image", "w1", "Conv_1", "inner_scores", "inner_weight", "inner_constant_node", "sparse_values"} <= names
    assert "called_weight" not in names


@pytest.mark.parametrize("name", ["w1", "inner_weight", "inner_constant", "called_constant", "sparse_indices"])
def test_weights_outside_the_folder_are_refused_wherever_they_are_named(name: str, tmp_path: Path) -> None:
    model = nested_model()
    (tensor,) = (tensor for tensor in all_tensors(model) if tensor.name == name)
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    with pytest.raises(ModelError, match="outside its own folder"):
        read_model(tiny.save(model, tmp_path))
