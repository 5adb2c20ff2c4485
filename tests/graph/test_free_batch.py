"""In a batch that was freed, each image gets the same scores as alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from onnx_cam.graph.free_batch import free_batch
from tests import tiny
from tests.graph.test_tap import rich_model

WIDTH = 8  # of a token


def node(op: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], name=f"{op}_{output}", **attributes)


def constant(name: str, values: Any, kind: type[np.generic] = np.int64) -> onnx.NodeProto:
    return node("Constant", [], name, value=numpy_helper.from_array(np.array(values, kind)))


def classifier(
    after_pool: Sequence[onnx.NodeProto],
    initializers: dict[str, Any] | None = None,
    *,
    flat: str = "flat",
    batch: int = 1,
    opset: int = 13,
    ir_version: int = 8,
) -> onnx.ModelProto:
    """Return the tiny network with other nodes from ``pooled`` (B, 6, 1, 1) to `flat`, which its last layer reads."""
    weights = tiny.weights()
    last = weights.pop("w3").T
    del weights["b3"]
    return tiny.build(
        [*tiny.body()[:5], *after_pool, node("MatMul", [flat, "w3"], "logits")],
        {**weights, "w3": last, **(initializers or {})},
        image=[batch, 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", [batch, tiny.CLASSES])],
        opset=opset,
        ir_version=ir_version,
    )


def transformer(token: Sequence[onnx.NodeProto], *, batch: int = 1, opset: int = 17) -> onnx.ModelProto:
    """Return a model that mixes a class token, which the nodes `token` compute, with patches (B, 16, 8)."""
    generator = np.random.default_rng(0)
    nodes = [
        node("Conv", ["image", "w"], "patches", strides=[5, 5]),
        node("Reshape", ["patches", "flat_shape"], "columns"),
        node("Transpose", ["columns"], "rows", perm=[0, 2, 1]),
        *token,
        node("Concat", ["token", "rows"], "tokens", axis=1),
        node("Transpose", ["tokens"], "turned", perm=[0, 2, 1]),
        node("MatMul", ["tokens", "turned"], "similarity"),
        node("MatMul", ["similarity", "tokens"], "mixed"),
        node("Gather", ["mixed", "first"], "read", axis=1),
        node("MatMul", ["read", "head"], "logits"),
    ]
    weights = {
        "w": generator.standard_normal((WIDTH, 3, 5, 5), np.float32) / 10,
        "flat_shape": np.array([batch, WIDTH, 16]),
        "cls": generator.standard_normal((1, 1, WIDTH), np.float32),
        "first": np.array(0),
        "head": generator.standard_normal((WIDTH, tiny.CLASSES), np.float32),
    }
    logits = tiny.value_info("logits", [batch, tiny.CLASSES])
    return tiny.build(nodes, weights, image=[batch, 3, tiny.SIZE, tiny.SIZE], outputs=[logits], opset=opset)


def logits(model: onnx.ModelProto, images: tiny.Floats) -> tiny.Floats:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"image": images})[0])


def assert_freed(model: onnx.ModelProto, batch: int = 1) -> onnx.ModelProto:
    """Check that three batches at once give what the model gives batch after batch."""
    freed = free_batch(model, "image")
    onnx.checker.check_model(freed)
    images = np.stack([tiny.image(seed) for seed in range(3 * batch)])
    alone = np.concatenate([logits(model, images[i : i + batch]) for i in range(0, len(images), batch)])
    assert np.ptp(alone, axis=0).min() > 1e-3, "the images must differ, or a mixed-up batch would not show"
    np.testing.assert_allclose(logits(freed, images), alone, rtol=1e-4, atol=1e-5)
    return freed


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def shape_read_by(model: onnx.ModelProto, output: str) -> list[int]:
    reshape = next(node for node in model.graph.node if output in node.output)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"}
    return [int(size) for size in numpy_helper.to_array(constants[reshape.input[1]])]


@pytest.mark.parametrize("batch", [1, 2])
def test_where_only_input_and_output_fix_the_batch_no_node_changes(batch: int) -> None:
    model = tiny.model(batch=batch)
    freed = assert_freed(model, batch)
    assert list(freed.graph.node) == list(model.graph.node)
    for info in (freed.graph.input[0], freed.graph.output[0]):
        assert info.type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("batch", [1, 2])
def test_a_reshape_to_an_initializer_takes_any_batch(batch: int) -> None:
    model = classifier([node("Reshape", ["pooled", "shape"], "flat")], {"shape": [batch, 6]}, batch=batch)
    freed = assert_freed(model, batch)
    assert shape_read_by(freed, "flat") == [-1, 6]
    assert "shape" not in {tensor.name for tensor in freed.graph.initializer}


def test_a_reshape_to_a_constant_node_takes_any_batch() -> None:
    model = classifier([constant("shape", [1, 6]), node("Reshape", ["pooled", "shape"], "flat")])
    assert shape_read_by(assert_freed(model), "flat") == [-1, 6]


def test_a_reshape_to_the_identity_of_a_constant_takes_any_batch() -> None:
    nodes = [node("Identity", ["shared"], "shape"), node("Reshape", ["pooled", "shape"], "flat")]
    assert_freed(classifier(nodes, {"shared": [1, 6]}))


def test_a_reshape_to_1_and_minus_1_copies_the_batch() -> None:
    model = classifier([node("Reshape", ["pooled", "shape"], "flat")], {"shape": [1, -1]})
    freed = assert_freed(model)
    assert shape_read_by(freed, "flat") == [0, -1]
    assert "Shape" not in operators(freed)


def test_where_dimension_0_may_not_be_the_batch_a_reshape_to_1_and_minus_1_takes_the_batch_of_the_run() -> None:
    nodes = [
        node("Reshape", ["pooled", "folded_shape"], "folded"),  # (B·2, 3)
        node("Relu", ["folded"], "relu"),
        node("Reshape", ["relu", "shape"], "flat"),
    ]
    freed = assert_freed(classifier(nodes, {"folded_shape": [2, 3], "shape": [1, -1]}))
    assert shape_read_by(freed, "folded") == [-1, 3]
    assert "Shape" in operators(freed)


def test_a_reshape_that_leads_with_the_batch_ends_the_doubt_about_dimension_0() -> None:
    nodes = [
        node("Transpose", ["pooled"], "turned", perm=[2, 0, 1, 3]),  # (1, B, 6, 1)
        node("Reshape", ["turned", "halves"], "half"),
        node("Reshape", ["half", "shape"], "flat"),
    ]
    freed = assert_freed(classifier(nodes, {"halves": [1, 2, 3], "shape": [1, -1]}))
    assert shape_read_by(freed, "flat") == [0, -1]


def test_a_reshape_to_no_elements_takes_the_batch_of_the_run() -> None:
    nodes = [
        node("Slice", ["pooled", "zero", "zero", "one"], "none"),  # (B, 0, 1, 1)
        node("Reshape", ["none", "shape"], "empty", allowzero=1),  # where -1 may not stand beside the 0
        node("Flatten", ["pooled"], "features"),
        node("Concat", ["empty", "features"], "flat", axis=1),
    ]
    freed = assert_freed(classifier(nodes, {"zero": [0], "one": [1], "shape": [1, 0]}, opset=14))
    assert "Shape" in operators(freed)


def test_a_reshape_of_a_number_that_was_read_off_a_shape_stays_as_it_is() -> None:
    nodes = [
        node("Shape", ["pooled"], "sizes"),
        node("Gather", ["sizes", "one"], "channels"),
        node("Reshape", ["channels", "vector"], "last"),  # (1,) at any batch
        node("Concat", ["minus", "last"], "shape", axis=0),
        node("Reshape", ["pooled", "shape"], "flat"),
    ]
    model = classifier(nodes, {"one": 1, "vector": [1], "minus": [-1]})
    assert list(assert_freed(model).graph.node) == list(model.graph.node)


def test_a_shape_that_a_weight_shares_is_not_edited() -> None:
    nodes = [
        node("Reshape", ["bias", "shape"], "bias_4d"),
        node("Reshape", ["pooled", "shape"], "pooled_4d"),
        node("Add", ["pooled_4d", "bias_4d"], "sum"),
        node("Flatten", ["sum"], "flat"),
    ]
    bias = np.arange(6, dtype=np.float32)
    freed = assert_freed(classifier(nodes, {"bias": bias, "shape": [1, 6, 1, 1]}))
    assert shape_read_by(freed, "bias_4d") == [1, 6, 1, 1]
    assert shape_read_by(freed, "pooled_4d") == [-1, 6, 1, 1]


def test_a_weight_reshaped_to_lead_with_1_stays_as_it_is() -> None:
    nodes = [
        node("Reshape", ["bias", "shape"], "bias_4d"),
        node("Add", ["pooled", "bias_4d"], "sum"),
        node("Flatten", ["sum"], "flat"),
    ]
    model = classifier(nodes, {"bias": np.arange(6, dtype=np.float32), "shape": [1, 6, 1, 1]})
    assert list(assert_freed(model).graph.node) == list(model.graph.node)


def test_a_shape_listed_among_the_inputs_as_ir_3_requires_leaves_no_input_over() -> None:
    model = classifier([node("Reshape", ["pooled", "shape"], "flat")], {"shape": [1, 6]}, opset=8, ir_version=3)
    for tensor in model.graph.initializer:
        model.graph.input.append(tiny.value_info(tensor.name, list(tensor.dims), tensor.data_type))
    freed = assert_freed(model)
    assert {info.name for info in freed.graph.input} == {"image"} | {tensor.name for tensor in freed.graph.initializer}


def test_the_shape_attribute_of_an_old_reshape_is_rewritten() -> None:
    model = classifier([node("Reshape", ["pooled"], "flat", shape=[1, 6])], opset=4)
    freed = free_batch(model, "image")
    assert [list(node.attribute[0].ints) for node in freed.graph.node if node.op_type == "Reshape"] == [[-1, 6]]


@pytest.mark.parametrize("opset", [9, 17])
def test_a_class_token_is_expanded_to_the_batch(opset: int) -> None:
    model = transformer([], opset=opset)
    for made in model.graph.node:
        for index, name in enumerate(made.input):
            made.input[index] = "cls" if name == "token" else name
    assert_freed(model)


def test_a_class_token_that_is_computed_from_weights_is_expanded_to_the_batch() -> None:
    assert_freed(transformer([constant("scale", 2, np.float32), node("Mul", ["cls", "scale"], "token")]))


def test_an_output_left_out_does_not_make_an_input_left_out_carry_the_batch() -> None:
    nodes = [
        helper.make_node("Dropout", ["pooled"], ["dropped", ""]),
        node("Clip", ["bias", "", "top"], "clipped"),
        node("Reshape", ["clipped", "shape"], "bias_4d"),
        node("Add", ["dropped", "bias_4d"], "sum"),
        node("Flatten", ["sum"], "flat"),
    ]
    bias = np.arange(6, dtype=np.float32)
    model = classifier(nodes, {"bias": bias, "top": np.float32(3), "shape": [1, 6, 1, 1]})
    assert list(assert_freed(model).graph.node) == list(model.graph.node)


@pytest.mark.parametrize("axis", [0, -2])
def test_a_constant_joined_along_the_batch_itself_is_not_expanded(axis: int) -> None:
    model = tiny.model(batch=1)
    model.graph.node.append(node("Concat", ["logits", "other"], "both", axis=axis))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, tiny.CLASSES), np.float32), "other"))
    assert list(free_batch(model, "image").graph.node) == list(model.graph.node)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("opset", [9, 17])
def test_a_class_token_expanded_to_the_fixed_batch_takes_the_batch_of_the_run(batch: int, opset: int) -> None:
    token = [constant("shape", [batch, 1, WIDTH]), node("Expand", ["cls", "shape"], "token")]
    assert_freed(transformer(token, batch=batch, opset=opset), batch)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_class_token_expanded_as_pytorch_writes_it_takes_the_batch_of_the_run(batch: int) -> None:
    """``cls.expand(B, -1, -1)``: a -1 means 'as it is', which Expand does not know."""
    token = [
        constant("requested", [batch, -1, -1]),
        constant("rank", [3]),
        node("ConstantOfShape", ["rank"], "ones", value=numpy_helper.from_array(np.array([1]))),
        constant("minus", -1),
        node("Mul", ["ones", "minus"], "minus_ones"),
        node("Equal", ["requested", "minus_ones"], "kept"),
        node("Where", ["kept", "ones", "requested"], "shape"),
        node("Expand", ["cls", "shape"], "token"),
    ]
    assert_freed(transformer(token, batch=batch), batch)


def test_an_expand_of_what_is_computed_no_longer_holds_to_the_fixed_batch() -> None:
    nodes = [node("Expand", ["pooled", "shape"], "expanded"), node("Flatten", ["expanded"], "flat")]
    freed = assert_freed(classifier(nodes, {"shape": [2, 6, 1, 1]}, batch=2), 2)
    assert shape_read_by(freed, "expanded") == [1, 6, 1, 1]


def test_new_names_do_not_collide_when_a_freed_model_is_fixed_and_freed_again() -> None:
    token = [constant("shape", [1, 1, WIDTH]), node("Expand", ["cls", "shape"], "token")]
    again = free_batch(transformer(token), "image")
    for info in (again.graph.input[0], again.graph.output[0]):
        info.type.tensor_type.shape.dim[0].dim_value = 1
    again.graph.node.extend(
        [constant("last_shape", [1, 2, 2]), node("Reshape", ["logits", "last_shape"], "square")],
    )
    again.graph.output.append(tiny.value_info("square", [1, 2, 2]))
    freed = assert_freed(again)
    names = [name for made in freed.graph.node for name in made.output]
    assert len(names) == len(set(names))


def test_a_free_batch_stays_as_it_is() -> None:
    model = tiny.model(batch="n")
    model.graph.value_info.append(tiny.value_info("relu1", ["n", 6, 10, 10]))
    assert free_batch(model, "image") == model


def test_shapes_noted_for_the_fixed_batch_are_dropped() -> None:
    model = tiny.model(batch=1)
    model.graph.value_info.append(tiny.value_info("relu1", [1, 6, 10, 10]))
    assert not free_batch(model, "image").graph.value_info


def fixed_rich_model() -> onnx.ModelProto:
    model = rich_model()
    for info in (model.graph.input[0], model.graph.output[0]):
        info.type.tensor_type.shape.dim[0].dim_value = 1
    return model


def test_the_model_given_is_not_changed() -> None:
    token = [constant("shape", [1, 1, WIDTH]), node("Expand", ["cls", "shape"], "token")]
    for model in (fixed_rich_model(), transformer(token)):
        before = model.SerializeToString()
        free_batch(model, "image")
        assert model.SerializeToString() == before


def test_metadata_documents_opsets_functions_and_subgraphs_are_kept() -> None:
    model = fixed_rich_model()
    freed = free_batch(model, "image")
    assert freed != model
    for info in (freed.graph.input[0], freed.graph.output[0]):
        info.type.tensor_type.shape.dim[0].dim_value = 1
    assert freed == model


def test_a_shape_that_a_subgraph_reads_too_is_kept() -> None:
    model = fixed_rich_model()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, tiny.CLASSES]), "shape"))
    branch = next(made for made in model.graph.node if made.op_type == "If")
    inner = branch.attribute[0].g.node[0]
    inner.CopyFrom(node("Reshape", ["twice", "shape"], inner.output[0]))
    model.graph.node.insert(len(model.graph.node) - 1, node("Reshape", ["logits", "shape"], "unread"))
    freed = free_batch(model, "image")
    assert shape_read_by(freed, "unread") == [-1, tiny.CLASSES]
    assert "shape" in {tensor.name for tensor in freed.graph.initializer}


def test_a_graph_that_cannot_be_freed_does_not_raise() -> None:
    nodes = [
        node("Reshape", ["pooled", "column"], "turned"),  # the batch ends up in the columns: (6, B)
        node("MatMul", ["left", "turned"], "product"),
        node("Reshape", ["product", "shape"], "flat"),
    ]
    left = np.ones((6, 6), np.float32)
    freed = free_batch(classifier(nodes, {"left": left, "column": [6, -1], "shape": [1, 6]}), "image")
    assert logits(freed, tiny.image()[None]).shape == (1, tiny.CLASSES)


@pytest.mark.parametrize(
    "odd",
    [
        node("Reshape", [], "x"),
        node("Reshape", ["pooled"], "x"),
        node("Reshape", ["pooled", "missing"], "x"),
        node("Reshape", ["pooled", "b1"], "x"),
        node("Reshape", ["pooled", "empty"], "x"),
        node("Reshape", ["pooled", "outside"], "x"),
        node("Concat", [], "x"),
        node("Concat", ["pooled", "unknown"], "x", axis=1),
        node("Expand", ["b1"], "x"),
        node("Expand", ["", "shape"], "x"),
        node("Transpose", ["pooled"], "x"),
    ],
    ids=lambda odd: f"{odd.op_type}({', '.join(odd.input)})",
)
def test_a_node_that_is_not_understood_stays_as_it_is(odd: onnx.NodeProto) -> None:
    model = tiny.model(batch=1)
    model.graph.node.extend([helper.make_node("Strange", ["b1"], ["unknown"], domain="nowhere"), odd])
    for name, shape in {"empty": [], "shape": [1, 6]}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
    outside = onnx.TensorProto(name="outside", data_type=onnx.TensorProto.INT64, dims=[2])
    outside.data_location = onnx.TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="missing.bin")
    model.graph.initializer.append(outside)
    assert list(free_batch(model, "image").graph.node) == list(model.graph.node)


def test_a_model_without_that_input_stays_as_it_is() -> None:
    assert free_batch(tiny.model(batch=1), "picture") == tiny.model(batch=1)
