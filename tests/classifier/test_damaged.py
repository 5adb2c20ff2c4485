"""Damaged models: an error of one line from Python, soon, and no MemoryError; each of a kind that fuzzing found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.errors import ModelError, OnnxCamError, OutOfMemoryError
from tests import tiny

HUGE = 2**40
SOON = 20.0  # seconds


def refusal(model: onnx.ModelProto, folder: Path, **settings: Any) -> str:
    """Return the message that loading a model, or explaining an image with it, is refused with."""
    start = time.monotonic()
    with pytest.raises(OnnxCamError) as caught:
        onnx_cam.explain(onnx_cam.load(tiny.save(model, folder), preprocess="none", **settings), tiny.image())
    assert time.monotonic() - start < SOON
    message = str(caught.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize("location", ["a\0b", "\0", "weights\0.bin"])
def test_a_nul_in_an_external_path(location: str, tmp_path: Path) -> None:
    model = tiny.model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    assert "outside its own folder" in refusal(model, tmp_path)


@pytest.mark.parametrize("size", [HUGE, 2**31 - 1, 2**63 - 1])
@pytest.mark.parametrize("dimension", ["batch", "channels", "height", "width"])
def test_a_huge_dimension_of_the_input(dimension: str, size: int, tmp_path: Path) -> None:
    shape = {"batch": "N", "channels": 3, "height": 20, "width": 20} | {dimension: size}
    sizes: Sequence[Any] = list(shape.values())
    outputs = [tiny.value_info("logits", ["N", 4])]
    model = tiny.build(tiny.body(), tiny.weights(), image=sizes, outputs=outputs)
    assert "expected at most" in refusal(model, tmp_path)


def test_dimensions_that_are_large_together(tmp_path: Path) -> None:
    sizes = [4096, 4096, 5000, 5000]
    model = tiny.build(tiny.body(), tiny.weights(), image=sizes, outputs=[tiny.value_info("logits", ["N", 4])])
    assert "values in all" in refusal(model, tmp_path)


@pytest.mark.parametrize("size", [HUGE, 2**63 - 1, -1])
@pytest.mark.parametrize("name", ["w1", "b2", "w3"])
def test_a_weight_that_promises_more_than_the_file_holds(name: str, size: int, tmp_path: Path) -> None:
    model = tiny.model()
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.dims[0] = size
    assert f"{name!r}" in refusal(model, tmp_path)


@pytest.mark.parametrize("field", ["float_data", "raw_data"])
def test_a_weight_that_lacks_its_values(field: str, tmp_path: Path) -> None:
    model = tiny.softmax_model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    if field == "float_data":
        tensor.float_data.append(0.5)
    refusal(model, tmp_path)


@pytest.mark.parametrize("inputs", [["image"], []])
@pytest.mark.parametrize("operator", ["NoSuchOperator", "Transpose", "Conv", "Identity", "Cast", "Sub"])
@pytest.mark.parametrize("domain", ["", "nowhere", "com.microsoft"])
def test_a_node_without_outputs(domain: str, operator: str, inputs: list[str], tmp_path: Path) -> None:
    model = tiny.model()
    model.graph.node.insert(0, helper.make_node(operator, inputs, [], domain=domain))
    if domain == "nowhere":
        model.opset_import.append(helper.make_opsetid(domain, 1))
    refusal(model, tmp_path)


def quantized(layer_inputs: list[str], head_inputs: list[str]) -> onnx.ModelProto:
    """Return the tiny network with 8-bit integers after its layer and as its scores."""
    body = tiny.body()
    body[4].input[0] = "d"
    nodes = [
        *body[:4],
        helper.make_node("QuantizeLinear", ["relu2", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", layer_inputs, ["d"]),
        *body[4:],
        helper.make_node("QuantizeLinear", ["logits", "scale", "zero"], ["ql"]),
        helper.make_node("QLinearSoftmax", head_inputs, ["p"], domain="com.microsoft", axis=1, opset=13),
    ]
    constants = {"scale": np.float32(0.1), "zero": np.uint8(128)}
    outputs = [tiny.value_info("p", ["N", 4], TensorProto.UINT8)]
    model = tiny.build(nodes, tiny.weights() | constants, image=["N", 3, 20, 20], outputs=outputs)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


LAYER, HEAD = ["q", "scale", "zero"], ["ql", "scale", "zero", "scale", "zero"]


@pytest.mark.parametrize(
    ("layer", "head"),
    [
        (["q", "", "zero"], HEAD),
        (["q"], HEAD),
        (["q", "nowhere", "zero"], HEAD),
        (LAYER, ["ql", "", "zero", "scale", "zero"]),
        (LAYER, ["ql", "scale", "zero", "", "zero"]),
        (LAYER, ["ql", "scale", "zero"]),
        (LAYER, ["ql"]),
        (LAYER, []),
    ],
)
def test_a_quantized_layer_or_head_without_a_scale(layer: list[str], head: list[str], tmp_path: Path) -> None:
    refusal(quantized(layer, head), tmp_path)


@pytest.mark.parametrize("operator", ["Add", "Mul", "Sub", "Div", "Identity", "Softmax", "Flatten", "Concat"])
def test_a_cycle_at_the_head(operator: str, tmp_path: Path) -> None:
    inputs = ["logits", "scores"] if operator in ("Add", "Mul", "Sub", "Div", "Concat") else ["scores"]
    tail = [helper.make_node(operator, inputs, ["scores"])]
    if operator == "Concat":
        tail[0].attribute.append(helper.make_attribute("axis", 1))
    assert "'scores' is computed from itself" in refusal(tiny.model(tail=tail, output="scores"), tmp_path)


def test_a_message_that_quotes_odd_names_is_one_line(tmp_path: Path) -> None:
    model = tiny.model()
    model.opset_import.add(domain="a\0b\nc\u2028", version=99)
    model.graph.node[0].op_type = "No\nSuch\0Operator"
    message = refusal(model, tmp_path)
    assert "a\\x00b\\nc\\u2028" in message


@pytest.mark.parametrize("step", ["read_model", "run_trial", "find_built_in"])
def test_a_lack_of_memory_is_an_error_of_ours(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **settings: Any) -> Any:
        raise MemoryError("Unable to allocate 8.00 TiB for an array")

    monkeypatch.setattr(f"onnx_cam.classifier.loading.{step}", fail)
    with pytest.raises(OutOfMemoryError, match=r"out of memory \(Unable to allocate 8.00 TiB.*try a smaller --size"):
        onnx_cam.load(tiny.save(tiny.model(), tmp_path))


def test_a_sparse_weight_with_indices_outside_it_has_no_gradients(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from onnx_cam.gradients.build import Builder

    model = tiny.model()
    sparse = model.graph.sparse_initializer.add()
    sparse.dims.append(6)
    sparse.values.CopyFrom(helper.make_tensor("s", TensorProto.FLOAT, [2], [0.5, -0.5]))
    sparse.indices.CopyFrom(helper.make_tensor("", TensorProto.INT64, [2], [1, HUGE]))
    with pytest.raises(ModelError, match=r"the sparse weight 's' of m.onnx is damaged"):
        Builder(model, "m.onnx", weights=None).subgraph(model.graph)


def test_an_attribute_that_refers_to_none_has_no_gradients() -> None:
    pytest.importorskip("torch")
    from onnx_cam.gradients.build import Builder

    model = tiny.model()
    model.graph.node[0].attribute[0].ref_attr_name = "elsewhere"
    with pytest.raises(ModelError, match=r"the attribute '\w+' of node 'Conv_1' has no value"):
        Builder(model, "m.onnx", weights=None).subgraph(model.graph)


def test_a_producer_that_is_not_utf_8_is_shown(tmp_path: Path) -> None:
    model = tiny.model()
    model.producer_name = "replaced"
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString().replace(b"replaced", b"\xff\xfe\x80\xc0 tool"[:8]))
    findings = {finding.what: finding.value for finding in onnx_cam.inspect(onnx_cam.load(path))}
    assert findings["producer"].endswith("too")
