"""Inputs of every type and shape give the map of the plain network, and other inputs take the values they are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.errors import ModelError, SettingError
from tests import tiny

Nodes = Sequence[onnx.NodeProto]

PIXELS = np.clip(np.rint(128 + 60 * tiny.image()), 0, 255).astype(np.float32)
"""Pixel values of the tiny photo, (3, 20, 20)."""

SCALED = [helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT), helper.make_node("Div", ["f", "c"], ["x"])]
"""From pixels of any type to the numbers that the network takes."""


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def network(before: Nodes, shape: Sequence[Any], *, output: Sequence[Any] = ("N", 4), **settings: Any) -> Any:
    """Return the tiny network on ``x``, which nodes make of the input."""
    constants = settings.pop("constants", {})
    body = tiny.body()
    body[0].input[0] = "x"
    outputs = [tiny.value_info("logits", output)]
    return tiny.build([*before, *body], tiny.weights() | constants, image=shape, outputs=outputs, **settings)


def explain(model: Any, x: Any, method: str = "sscam2", **settings: Any) -> onnx_cam.Explanation:
    classifier = onnx_cam.load(model, device="cpu", preprocess="none", **settings)
    samples = 2 if method == "sscam2" else None
    result: onnx_cam.Explanation = onnx_cam.explain(classifier, x, method=method, samples=samples)
    return result


def plain_map(x: np.ndarray, scale: float = 1, method: str = "sscam2") -> np.ndarray:
    model = network([node("Div", "image c", "x")], ["N", 3, 20, 20], constants={"c": np.float32(scale)})
    return explain(model, x, method).map


@pytest.mark.parametrize("opset", [10, 13])
@pytest.mark.parametrize(
    "kind", ["UINT8", "UINT16", "INT16", "INT32", "UINT32", "INT64", "UINT64", "DOUBLE", "FLOAT16"]
)
def test_pixels_of_every_type_give_the_same_map(kind: str, opset: int) -> None:
    model = network(
        SCALED,
        ["N", 3, 20, 20],
        constants={"c": np.float32(64)},
        image_type=getattr(TensorProto, kind),
        opset=opset,
    )
    classifier = onnx_cam.load(model, device="cpu", preprocess="none")
    result = onnx_cam.explain(classifier, PIXELS, method="scorecam")
    # A float32 model that rounds its input itself is what whole numbers must give.
    rounded = [node("Round" if classifier.input.takes_integers else "Identity", "image", "f"), SCALED[1]]
    reference = network(rounded, ["N", 3, 20, 20], constants={"c": np.float32(64)}, opset=13)
    tolerance = 2e-3 if kind == "FLOAT16" else 1e-5
    np.testing.assert_allclose(result.map, explain(reference, PIXELS, "scorecam").map, atol=tolerance)
    assert classifier.fixed_batch is None


def test_bfloat16_pixels_are_rounded_as_the_type_rounds() -> None:
    cast = [node("Cast", "image", "x", to=TensorProto.FLOAT)]
    model = network(cast, ["N", 3, 20, 20], image_type=TensorProto.BFLOAT16)
    classifier = onnx_cam.load(model, device="cpu", preprocess="none")
    x = tiny.image()
    fed = classifier.input.feed(x[None])
    assert fed.dtype.name == "bfloat16"
    rounded = fed[0].astype(np.float32)
    assert 0 < np.abs(rounded - x).max() < 0.02
    np.testing.assert_allclose(explain(model, x).map, plain_map(rounded), atol=0.02)


SHAPES: dict[str, tuple[Nodes, list[Any], list[Any], dict[str, Any]]] = {
    "no batch": ([node("Unsqueeze", "image a0", "x")], [3, 20, 20], [1, 4], {}),
    "no batch, Reshape": ([node("Reshape", "image s", "x")], [3, 20, 20], [1, 4], {"s": np.array([1, 3, 20, 20])}),
    "no batch, Reshape to -1": (
        [node("Reshape", "image s", "x")],
        [3, 20, 20],
        [1, 4],
        {"s": np.array([-1, 3, 20, 20])},
    ),
    "no batch, free sizes": ([node("Unsqueeze", "image a0", "x")], [3, "h", "w"], [1, 4], {}),
    "no batch, channels last": (
        [node("Transpose", "image", "t", perm=[2, 0, 1]), node("Unsqueeze", "t a0", "x")],
        [20, 20, 3],
        [1, 4],
        {},
    ),
    "no batch, channels last, free sizes": (
        [node("Unsqueeze", "image a0", "t"), node("Transpose", "t", "x", perm=[0, 3, 1, 2])],
        ["h", "w", 3],
        [1, 4],
        {},
    ),
    "no batch, broadcast": (
        [node("Sub", "image m", "x")],
        [3, 20, 20],
        [1, 4],
        {"m": np.zeros((1, 3, 1, 1), np.float32)},
    ),
    "flat": ([node("Reshape", "image s", "x")], ["N", 1200], ["N", 4], {"s": np.array([-1, 3, 20, 20])}),
    "flat, batch fixed": ([node("Reshape", "image s", "x")], [1, 1200], [1, 4], {"s": np.array([1, 3, 20, 20])}),
    "flat, scaled first": (
        [node("Div", "image one", "y"), node("Reshape", "y s", "x")],
        ["N", 1200],
        ["N", 4],
        {"s": np.array([-1, 3, 20, 20]), "one": np.float32(1)},
    ),
    "flat, no batch": ([node("Reshape", "image s", "x")], [1200], [1, 4], {"s": np.array([1, 3, 20, 20])}),
}


@pytest.mark.parametrize("form", SHAPES)
def test_an_input_of_fewer_dimensions_gives_the_same_map(form: str) -> None:
    before, shape, output, constants = SHAPES[form]
    used = {name for one in before for name in one.input}
    constants = {k: v for k, v in (constants | {"a0": np.array([0])}).items() if k in used}
    model = network(before, shape, output=output, constants=constants)
    x = tiny.image()
    np.testing.assert_allclose(explain(model, x, size=(20, 20)).map, plain_map(x), atol=1e-5)


@pytest.mark.parametrize(
    ("before", "shape"),
    [
        ([node("Unsqueeze", "image a1", "x")], ["N", 20, 20]),
        ([node("Reshape", "image s", "x")], ["N", 20, 20]),
        ([node("Reshape", "image s", "x")], ["N", 400]),
        ([node("Reshape", "image t", "y"), node("Transpose", "y", "x", perm=[0, 3, 1, 2])], ["N", 400]),
        ([node("Unsqueeze", "image a1", "x")], [1, 20, 20]),
        ([node("Unsqueeze", "image both", "x")], [20, 20]),
    ],
)
def test_an_input_without_channels_gives_the_same_map(before: Nodes, shape: list[Any]) -> None:
    constants = {
        "a1": np.array([1]),
        "both": np.array([0, 1]),
        "s": np.array([-1, 1, 20, 20]),
        "t": np.array([-1, 20, 20, 1]),
    }
    used = {name for one in before for name in one.input}
    weights = tiny.weights() | {"w1": tiny.weights()["w1"][:, :1]} | {k: v for k, v in constants.items() if k in used}
    body = tiny.body()
    body[0].input[0] = "x"
    free = shape[0] == "N"
    model = tiny.build(
        [*before, *body], weights, image=shape, outputs=[tiny.value_info("logits", ["N" if free else 1, 4])]
    )
    four = tiny.build(
        tiny.body(),
        tiny.weights() | {"w1": weights["w1"]},
        image=["N", 1, 20, 20],
        outputs=[tiny.value_info("logits", ["N", 4])],
    )
    x = tiny.image(channels=1)
    expected = explain(four, x).map
    np.testing.assert_allclose(explain(model, x).map, expected, atol=1e-5)
    np.testing.assert_allclose(explain(model, x.reshape(shape[1:] if free else shape)).map, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(20, 20, 3), (1, 20, 20, 3), (3, 20, 20), (1, 3, 20, 20)])
def test_a_networks_input_may_have_the_models_own_layout(shape: tuple[int, ...]) -> None:
    before, declared, output, constants = SHAPES["no batch, channels last"]
    model = network(before, declared, output=output, constants=constants | {"a0": np.array([0])})
    x = tiny.image()
    given = (np.moveaxis(x, 0, -1) if shape[-1] == 3 else x).reshape(shape)
    np.testing.assert_allclose(explain(model, given).map, plain_map(x), atol=1e-5)


def test_the_layer_lies_in_the_image_whatever_the_inputs_shape() -> None:
    for before, shape, output, constants in SHAPES.values():
        used = {name for one in before for name in one.input}
        kept = {k: v for k, v in (constants | {"a0": np.array([0])}).items() if k in used}
        model = network(before, shape, output=output, constants=kept)
        classifier = onnx_cam.load(model, device="cpu", preprocess="none", size=(20, 20))
        assert str(classifier.layer(None).geometry) == "the whole input", shape


def test_export_keeps_the_inputs_of_the_file(tmp_path: Path) -> None:
    before, shape, output, _ = SHAPES["no batch"]
    model = network(before, shape, output=output, constants={"a0": np.array([0])})
    model.graph.input.append(tiny.value_info("unused", ["N", 2]))
    classifier = onnx_cam.load(model, device="cpu", preprocess="none", constants={"unused": [1, 2]})
    onnx_cam.export(classifier, tmp_path / "tapped.onnx")
    exported = onnx.load(tmp_path / "tapped.onnx").graph
    assert [len(info.type.tensor_type.shape.dim) for info in exported.input] == [3, 2]
    assert [info.name for info in exported.output] == ["logits", "relu2"]


FLAG = [
    node("Cast", "training", "t", to=TensorProto.FLOAT),
    node("Mul", "t noise", "n"),
    node("Add", "image n", "x"),
]
SIDES = [
    node("Mul", "im_shape zero", "s0"),
    node("ReduceSum", "s0 a1", "s1", keepdims=1),
    node("Reshape", "s1 r", "s"),
    node("Add", "image s", "x"),
]
SECOND: dict[str, tuple[Nodes, onnx.ValueInfoProto, Any, str]] = {
    "flag": (FLAG, tiny.value_info("training", [], TensorProto.BOOL), False, "false"),
    "flag of one": (FLAG, tiny.value_info("training", [1], TensorProto.BOOL), [False], "0"),
    "number": (FLAG, tiny.value_info("training", [], TensorProto.FLOAT), 0, "0.0"),
    "row": (SIDES, tiny.value_info("im_shape", ["N", 2]), [20, 20], "20,20"),
    "row of whole numbers": (
        [node("Cast", "im_shape", "f", to=TensorProto.FLOAT), node("Mul", "f zero", "s0"), *SIDES[1:]],
        tiny.value_info("im_shape", ["N", 2], TensorProto.INT64),
        np.array([[20, 20]]),
        "[[20, 20]]",
    ),
}
CONSTANTS = {
    "noise": np.full((1, 3, 1, 1), 100, np.float32),
    "zero": np.float32(0),
    "a1": np.array([1]),
    "r": np.array([-1, 1, 1, 1]),
}


@pytest.mark.parametrize("name", SECOND)
def test_another_input_takes_the_value_it_is_given(name: str) -> None:
    before, extra, value, text = SECOND[name]
    used = {key for one in before for key in one.input}
    model = network(before, ["N", 3, 20, 20], constants={k: v for k, v in CONSTANTS.items() if k in used})
    model.graph.input.append(extra)
    x = tiny.image()
    with pytest.raises(ModelError, match=f"needs more than the image 'image': a value for '{extra.name}'.*--set"):
        explain(model, x)
    for given in (value, text):
        result = explain(model, x, constants={extra.name: given})
        np.testing.assert_allclose(result.map, plain_map(x), atol=1e-5)
        assert list(result.record()["constants"]) == [extra.name]


def test_a_row_of_numbers_is_repeated_for_each_image_of_a_batch() -> None:
    nodes = [
        *tiny.body()[:6],
        node("Concat", "flat age", "both", axis=1),
        node("Gemm", "both w4 b3", "logits", transB=1),
    ]
    weights = {k: v for k, v in tiny.weights().items() if k != "w3"}
    weights["w4"] = np.concatenate([tiny.weights()["w3"], np.array([[1, -1]] * 4, np.float32)], axis=1)
    model = tiny.build(nodes, weights, image=["N", 3, 20, 20], outputs=[tiny.value_info("logits", ["N", 4])])
    model.graph.input.append(tiny.value_info("age", ["N", 2]))
    classifier = onnx_cam.load(model, device="cpu", preprocess="none", constants={"age": [0.25, 0.75]})
    assert classifier.fixed_batch is None
    shifted = tiny.weights() | {"b3": tiny.weights()["b3"] - 0.5}
    plain = tiny.build(tiny.body(), shifted, image=["N", 3, 20, 20], outputs=[tiny.value_info("logits", ["N", 4])])
    x = tiny.image()
    np.testing.assert_allclose(explain(model, x, constants={"age": "0.25,0.75"}).map, explain(plain, x).map, atol=1e-5)


def test_an_image_beside_the_image_can_be_a_constant(tmp_path: Path) -> None:
    model = network([node("Mul", "image mask", "x")], ["N", 3, 20, 20])
    model.graph.input.append(tiny.value_info("mask", ["N", 1, 20, 20]))
    mask = np.zeros((1, 20, 20), np.float32)
    mask[:, :, :10] = 1
    np.save(tmp_path / "mask.npy", mask)
    x = tiny.image()
    with pytest.raises(ModelError, match=r"2 inputs that can take the image; name it with --input.*--set"):
        explain(model, x)
    result = explain(model, x, "scorecam", constants={"mask": str(tmp_path / "mask.npy")})
    np.testing.assert_allclose(result.map, plain_map(x * mask, method="scorecam"), atol=0.02)


def branch(nodes: Nodes, output: str) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), output, [], [tiny.value_info(output, None)])


def flagged(then: Nodes, other: Nodes, output: str) -> onnx.NodeProto:
    return helper.make_node(
        "If", ["training"], [output], then_branch=branch(then, "then"), else_branch=branch(other, "else")
    )


def renamed_end(nodes: Nodes, name: str) -> list[onnx.NodeProto]:
    copies = [helper.make_node(n.op_type, n.input, n.output, name=n.name) for n in nodes]
    for copy, given in zip(copies, nodes, strict=True):
        copy.attribute.extend(given.attribute)
    copies[-1].output[0] = name
    return copies


@pytest.mark.parametrize(("first", "last"), [(0, 7), (1, 3), (2, 4), (5, 6)])
def test_a_flag_decides_which_branch_is_explained(first: int, last: int, tmp_path: Path) -> None:
    """An If around a part of the network, or all of it: only the branch that is taken counts."""
    body = tiny.body()
    part, output = body[first:last], body[last - 1].output[0]
    twice = [*renamed_end(part, "half"), node("Add", "half half", "then")]
    nodes = [*body[:first], flagged(twice, renamed_end(part, "else"), output), *body[last:]]
    model = tiny.build(nodes, tiny.weights(), image=["N", 3, 20, 20], outputs=[tiny.value_info("logits", ["N", 4])])
    model.graph.input.append(tiny.value_info("training", [], TensorProto.BOOL))
    x = tiny.image()
    for method in ("scorecam", "cam"):
        result = explain(model, x, method, constants={"training": False})
        assert result.layer == "relu2"
        np.testing.assert_allclose(result.map, explain(tiny.model(), x, method).map, atol=1e-6)
    classifier = onnx_cam.load(model, device="cpu", preprocess="none", constants={"training": "true"})
    assert np.isfinite(onnx_cam.explain(classifier, x).map).all()
    if first == 0:
        with pytest.raises(ModelError, match="lies in the branch of an If"):
            onnx_cam.export(classifier, tmp_path / "tapped.onnx")


def test_a_default_can_be_given_another_value() -> None:
    model = network([node("Mul", "image gain", "x")], ["N", 3, 20, 20], constants={"gain": np.zeros(1, np.float32)})
    model.graph.input.append(tiny.value_info("gain", [1]))
    x = tiny.image()
    np.testing.assert_allclose(explain(model, x, constants={"gain": 1}).map, plain_map(x), atol=1e-5)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"trainig": False}, r"no input 'trainig' in .*; did you mean 'training'\?"),
        ({"image": 1, "training": False}, "'image' takes the image"),
        ({"w1": 1, "training": False}, "no input 'w1'"),
        (
            {"training": "maybe"},
            r"invalid value 'maybe' for input 'training' \(a single value; bool\): expected true or",
        ),
        ({"training": 2}, "expected true or false"),
        ({"training": "1,0"}, r"it has the shape \(2,\); expected a single value"),
        ({"training": "missing.npy"}, "cannot read a value from 'missing.npy'"),
        ({"training": object()}, "invalid value"),
        ({"training": None}, "invalid value"),
    ],
)
def test_values_that_do_not_fit_are_refused(constants: dict[str, Any], message: str) -> None:
    model = network(FLAG, ["N", 3, 20, 20], constants={"noise": CONSTANTS["noise"]})
    model.graph.input.append(tiny.value_info("training", [], TensorProto.BOOL))
    with pytest.raises((SettingError, ModelError), match=message) as raised:
        onnx_cam.load(model, input="image", constants=constants)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        (["N", 1, 16, 20, 20], TensorProto.FLOAT, "takes a volume or a video"),
        (["N"], TensorProto.STRING, "takes encoded image files or text"),
        (["N", 3, 20, 20], TensorProto.BOOL, "has the type bool, which an image cannot be cast to"),
        (["N", 3, 20, 20], TensorProto.FLOAT8E4M3FN, "has the type float8e4m3fn, which an image cannot be cast to"),
        (["N", 7], TensorProto.FLOAT, "is not an image, as far as its graph tells"),
    ],
)
def test_an_input_that_takes_no_image_is_named(shape: list[Any], kind: int, words: str) -> None:
    model = tiny.build(
        [node("Identity", "image", "y")], {}, image=shape, outputs=[tiny.value_info("y", shape, kind)], image_type=kind
    )
    with pytest.raises(ModelError, match=words):
        onnx_cam.load(model)


def test_a_signal_is_named() -> None:
    weights = {"v": np.ones((4, 2, 3), np.float32)}
    nodes = [node("Conv", "image v", "y")]
    model = tiny.build(nodes, weights, image=["N", 2, 256], outputs=[tiny.value_info("y", ["N", 4, 254])])
    with pytest.raises(ModelError, match="takes a signal"):
        onnx_cam.load(model)


def test_the_batch_of_a_free_input_never_changes_the_map() -> None:
    before, shape, output, constants = SHAPES["flat"]
    model = onnx_cam.load(network(before, shape, output=output, constants=constants), device="cpu", preprocess="none")
    maps = [onnx_cam.explain(model, tiny.image(), batch_size=size).map for size in (1, 3, 7)]
    assert model.fixed_batch is None
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-6)
    np.testing.assert_allclose(maps[2], maps[0], atol=1e-6)
