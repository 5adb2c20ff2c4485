"""Damaged models are refused in one line before their graph is read, and unsorted ones are sorted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.errors import ModelError
from onnx_cam.graph.inline import inline_layers
from onnx_cam.graph.read import read_model
from tests import tiny

LOCAL = helper.make_opsetid("local", 1)


def refusal(model: onnx.ModelProto, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        inline_layers(read_model(tiny.save(model, folder)))
    message = str(caught.value)
    assert message.isprintable()
    return message


def remove_inputs(model: onnx.ModelProto) -> None:
    del model.graph.node[0].input[1:]


def leave_input_unnamed(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[1] = ""


def remove_outputs(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["relu1"], []))


def remove_attribute(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Concat", ["relu1", "relu1"], ["joined"]))


def retype_attribute(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Concat", ["relu1"], ["joined"], axis="x"))


def unname_input(model: onnx.ModelProto) -> None:
    model.graph.input.add()


def promise_more(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 2**40


def promise_less_than_nothing(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -6


def refer_to_function(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute[0].ref_attr_name = "of_a_function"


def add_node_without_outputs(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Unknown", [], [], domain="nowhere"))


def repeat_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(tiny.value_info("image", ["N", 4]))


def repeat_output(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["conv1"], ["relu2"]))


FAULTS: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "too few inputs": (remove_inputs, "node 'Conv_1' (Conv) has 1 inputs; expected 2 to 3"),
    "an input without a name": (leave_input_unnamed, "lacks a name for 'W', number 1 of its inputs"),
    "no outputs": (remove_outputs, "(Relu) has 0 outputs; expected 1"),
    "no attribute": (remove_attribute, "'joined' (Concat) lacks the attribute 'axis'"),
    "an attribute of another type": (retype_attribute, "has an attribute 'axis' of another type"),
    "a graph's input without a name": (unname_input, "an input or an output has no name"),
    "an attribute of no function": (refer_to_function, "from a function, and is in none"),
    "an unknown operator without outputs": (add_node_without_outputs, "(Unknown) has no outputs"),
    "two inputs of one name": (repeat_input, "the tensor 'image' is defined twice"),
    "two nodes with one output": (repeat_output, "the tensor 'relu2' is defined twice"),
    "more values than bytes": (promise_more, "'w1' of shape 1099511627776×3×3×3 holds 648 bytes"),
    "a negative dimension": (promise_less_than_nothing, "'w1' has a negative dimension"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_damaged_is_named(name: str, tmp_path: Path) -> None:
    damage, words = FAULTS[name]
    model = tiny.model()
    damage(model)
    message = refusal(model, tmp_path)
    assert words in message
    assert message.endswith("copy or export it again")


@pytest.mark.parametrize("where", ["node", "tensor", "operator", "domain", "dimension", "location", "opset"])
def test_names_that_are_not_utf_8_are_refused(where: str, tmp_path: Path) -> None:
    model, mark = tiny.model(), "to_be_replaced"
    if where == "node":
        model.graph.node[0].name = mark
    elif where == "tensor":
        model.graph.node[0].output[0] = model.graph.node[1].input[0] = mark
    elif where == "operator":
        model.graph.node[0].op_type = mark
    elif where == "domain":
        model.graph.node[0].domain = mark
    elif where == "dimension":
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = mark
    elif where == "location":
        model.graph.initializer[0].data_location = TensorProto.EXTERNAL
        model.graph.initializer[0].external_data.add(key="location", value=mark)
    else:
        model.opset_import.add(domain=mark, version=1)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString().replace(b"to_be", b"\xff\xfe\x80\xc0\n"))
    with pytest.raises(ModelError, match="is not text") as caught:
        onnx_cam.load(path)
    assert str(caught.value).isprintable()


CYCLES = {
    "a node and itself": [helper.make_node("Add", ["logits", "scores"], ["scores"])],
    "two nodes": [helper.make_node("Add", ["logits", "b"], ["scores"]), helper.make_node("Relu", ["scores"], ["b"])],
    "a subgraph and the node that holds it": [
        helper.make_node(
            "If",
            ["yes"],
            ["scores"],
            then_branch=helper.make_graph(
                [helper.make_node("Relu", ["scores"], ["t"])], "then", [], [tiny.value_info("t", None)]
            ),
            else_branch=helper.make_graph(
                [helper.make_node("Relu", ["logits"], ["e"])], "else", [], [tiny.value_info("e", None)]
            ),
        )
    ],
}


@pytest.mark.parametrize("name", CYCLES)
def test_a_cycle_is_refused(name: str, tmp_path: Path) -> None:
    assert "is computed from itself" in refusal(tiny.model(tail=CYCLES[name], output="scores"), tmp_path)


def test_a_cycle_within_a_branch_is_refused(tmp_path: Path) -> None:
    inner = [helper.make_node("Add", ["logits", "inner"], ["inner"])]
    branches = {
        key: helper.make_graph(inner, key, [], [tiny.value_info("inner", None)])
        for key in ("then_branch", "else_branch")
    }
    model = tiny.model(tail=[helper.make_node("If", ["yes"], ["scores"], **branches)], output="scores")
    assert "'inner' is computed from itself" in refusal(model, tmp_path)


def test_a_cycle_of_ten_thousand_nodes_is_refused(tmp_path: Path) -> None:
    chain = [helper.make_node("Relu", [f"x{i}"], [f"x{i + 1}"]) for i in range(10_000)]
    chain[0].input[0] = "x10000"
    assert "is computed from itself" in refusal(tiny.model(tail=chain, output="x10000"), tmp_path)


@pytest.mark.parametrize("partner", ["First", "Second"])
def test_functions_that_call_themselves_are_refused(partner: str, tmp_path: Path) -> None:
    model = tiny.model()
    opsets = [*model.opset_import, LOCAL]
    for name, callee in (("First", partner), ("Second", "First")):
        body = [
            helper.make_node(callee, ["x"], ["y"], domain="local"),
            helper.make_node("MatMul", ["x", "x"], ["unused"]),  # a layer: such functions are inlined
        ]
        model.functions.append(helper.make_function("local", name, ["x"], ["y"], body, opsets))
    model.opset_import.append(LOCAL)
    model.graph.node[1].op_type, model.graph.node[1].domain = "First", "local"
    assert "calls itself" in refusal(model, tmp_path)


def test_a_cycle_within_a_function_is_refused(tmp_path: Path) -> None:
    model = tiny.model()
    body = [helper.make_node("Add", ["x", "y"], ["y"])]
    model.functions.append(helper.make_function("local", "F", ["x"], ["y"], body, list(model.opset_import)))
    assert "'y' is computed from itself" in refusal(model, tmp_path)


def test_nodes_in_another_order_give_the_same_map(tmp_path: Path) -> None:
    model = tiny.model()
    sorted_model = onnx_cam.load(tiny.save(model, tmp_path), preprocess="none")
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(model.graph.node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    reversed_model = onnx_cam.load(tiny.save(model, tmp_path, "reversed.onnx"), preprocess="none")
    assert [layer.name for layer in reversed_model.layers()] == [layer.name for layer in sorted_model.layers()]
    first, second = (onnx_cam.explain(one, tiny.image()).map for one in (sorted_model, reversed_model))
    np.testing.assert_array_equal(first, second)


def test_a_chain_of_ten_thousand_nodes_is_explained(tmp_path: Path) -> None:
    chain = [helper.make_node("Relu", ["conv2" if i == 0 else f"x{i}"], [f"x{i + 1}"]) for i in range(10_000)]
    model = tiny.model()
    body = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    body[3].input[0] = "x10000"
    del model.graph.node[:]
    model.graph.node.extend([*body[:3], *chain, *body[3:]])
    plain = onnx_cam.load(tiny.save(tiny.model(), tmp_path, "plain.onnx"), preprocess="none")
    long = onnx_cam.load(tiny.save(model, tmp_path), preprocess="none")
    first, second = (onnx_cam.explain(one, tiny.image(), method="cam").map for one in (plain, long))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_as_many_paths_as_atoms_take_no_time(tmp_path: Path) -> None:
    """Each Add reads the one before twice: 2^300 paths lead through them."""
    half = {"half": np.float32(0.5)}
    chain = []
    tensor = "conv2"
    for i in range(300):
        chain += [
            helper.make_node("Add", [tensor, tensor], [f"d{i}"]),
            helper.make_node("Mul", [f"d{i}", "half"], [f"h{i}"]),
        ]
        tensor = f"h{i}"
    body = tiny.body()
    body[3].input[0] = tensor
    nodes, outputs = [*body[:3], *chain, *body[3:]], [tiny.value_info("logits", ["N", 4])]
    model = tiny.build(nodes, tiny.weights() | half, image=["N", 3, 20, 20], outputs=outputs)
    loaded = onnx_cam.load(tiny.save(model, tmp_path), preprocess="none")
    assert np.isfinite(onnx_cam.explain(loaded, tiny.image()).map).all()


def test_a_sound_model_is_not_changed(tmp_path: Path) -> None:
    model = tiny.model()
    assert read_model(tiny.save(model, tmp_path)).proto.SerializeToString() == model.SerializeToString()


def test_a_model_in_memory_is_checked_and_stays_as_it_is() -> None:
    model = tiny.model()
    remove_inputs(model)
    with pytest.raises(ModelError, match="the model is damaged: node 'Conv_1'"):
        onnx_cam.load(model)
    backwards = tiny.model()
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(backwards.graph.node)]
    del backwards.graph.node[:]
    backwards.graph.node.extend(nodes)
    assert onnx_cam.load(backwards).layers()
    assert [node.op_type for node in backwards.graph.node] == [node.op_type for node in nodes]


def test_empty_names_at_the_end_of_inputs_are_left_out(tmp_path: Path) -> None:
    """ONNX Runtime's optimiser ends the process at such a LayerNormalization."""
    tail = [
        helper.make_node("LayerNormalization", ["logits", "g", ""], ["scores"], axis=-1),
        helper.make_node("Clip", ["logits", "", "high"], ["clipped"]),
    ]
    outputs = [tiny.value_info("scores", ["N", 4])]
    weights = tiny.weights() | {"g": np.ones(4, np.float32), "high": np.float32(1)}
    model = tiny.build([*tiny.body(), *tail], weights, image=["N", 3, 20, 20], outputs=outputs, opset=17)
    path = tiny.save(model, tmp_path)
    *_, norm, clip = read_model(path).proto.graph.node
    assert list(norm.input) == ["logits", "g"]
    assert list(clip.input) == ["logits", "", "high"]
    assert onnx_cam.load(path).classes == 4
