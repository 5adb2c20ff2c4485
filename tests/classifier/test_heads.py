"""Heads: what the numbers of an output are taken for, and that no class gets a probability that the model did not give.

`body()` of tests/tiny.py ends in ``logits`` (N, 4); each test puts a tail of its own after them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper
from PIL import Image

import onnx_cam
from onnx_cam.cli.main import main
from onnx_cam.errors import LabelsError, ModelError, SettingError
from onnx_cam.graph.heads import softmax
from onnx_cam.graph.tap import tap
from tests import tiny

X = tiny.image(1)
SOFTMAX = helper.make_node("Softmax", ["logits"], ["p"], axis=1)
SIGMOID = helper.make_node("Sigmoid", ["logits"], ["p"])
Tail = list[onnx.NodeProto]
F = np.float32


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def model_of(
    tail: Tail, constants: dict[str, Any] | None = None, outputs: list[onnx.ValueInfoProto] | None = None, **extra: Any
) -> onnx.ModelProto:
    outputs = outputs or [tiny.value_info("y", ["n", None])]
    settings = {"image": ["n", 3, tiny.SIZE, tiny.SIZE]} | extra
    made = tiny.build([*tiny.body(), *tail], {**tiny.weights(), **(constants or {})}, outputs=outputs, **settings)
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    return made


def load(proto: onnx.ModelProto, folder: Path, **settings: Any) -> onnx_cam.Classifier:
    return onnx_cam.load(tiny.save(proto, folder), device="cpu", preprocess="none", **settings)


def single(*tail: onnx.NodeProto) -> Tail:
    """Return nodes that make one number, ``z`` (N, 1), of the features, and others after it."""
    return [node("MatMul", "flat one", "m"), node("Add", "m forty", "z"), *tail]


ONE: dict[str, Any] = {"one": np.linspace(-2, 3, tiny.CHANNELS, dtype=F)[:, None], "forty": F(40)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> onnx_cam.Classifier:
    return load(tiny.model(), tmp_path_factory.mktemp("plain"))


# --------------------------------------------------------------------------------------------------------------------
# Probabilities in another unit.

SUM = {"axis": np.array([1])}
BY_HAND = [
    node("Exp", "logits", "e"),
    node("ReduceSum", "e axis", "total", keepdims=1),
    node("Div", "e total", "p"),
]
UNITS: dict[str, tuple[str, Tail, dict[str, Any]]] = {
    "percent": ("percent", [SOFTMAX, node("Mul", "p c", "y")], {"c": F(100)}),
    "percent, constant first": ("percent", [SOFTMAX, node("Mul", "c p", "y")], {"c": np.array([[100]], F)}),
    "percent by a division": ("percent", [SOFTMAX, node("Div", "p c", "y")], {"c": F(0.01)}),
    "percent by hand": ("percent", [*BY_HAND, node("Mul", "p c", "y")], SUM | {"c": F(100)}),
    "percent in two steps": (
        "percent",
        [SOFTMAX, node("Mul", "p a", "h"), node("Identity", "h", "i"), node("Mul", "i b", "y")],
        {"a": F(10), "b": F(10)},
    ),
    "percent, clipped": (
        "percent",
        [SOFTMAX, node("Mul", "p c", "h"), node("Clip", "h low c", "y")],
        {"c": F(100), "low": F(0)},
    ),
    "hundredths of a percent": (
        "percent",
        [SOFTMAX, node("Mul", "p a", "h"), node("Round", "h", "r"), node("Div", "r b", "y")],
        {"a": F(1e6), "b": F(1e4)},
    ),
    "negated": ("negated", [SOFTMAX, node("Neg", "p", "y")], {}),
    "negated by a product": ("negated", [SOFTMAX, node("Mul", "p c", "y")], {"c": F(-1)}),
    "negated by hand": ("negated", [*BY_HAND, node("Neg", "p", "y")], SUM),
    "complement": ("complement", [SOFTMAX, node("Sub", "c p", "y")], {"c": F(1)}),
    "complement by a sum": ("complement", [SOFTMAX, node("Neg", "p", "n"), node("Add", "n c", "y")], {"c": F(1)}),
    "complement by hand": ("complement", [*BY_HAND, node("Sub", "c p", "y")], SUM | {"c": F(1)}),
    "bytes": ("scaled", [SOFTMAX, node("Mul", "p c", "y")], {"c": F(255)}),
    "a sum of two": ("scaled", [SOFTMAX, *BY_HAND[:2], node("Div", "e total", "q"), node("Add", "p q", "y")], SUM),
    "smoothed": ("scaled", [SOFTMAX, node("Mul", "p a", "h"), node("Add", "h b", "y")], {"a": F(0.9), "b": F(0.025)}),
    "negative logarithms": (
        "negative-log",
        [node("LogSoftmax", "logits", "l", axis=1), node("Neg", "l", "y")],
        {},
    ),
    "negative logarithms of a Softmax": (
        "negative-log",
        [SOFTMAX, node("Add", "p c", "h"), node("Log", "h", "l"), node("Neg", "l", "y")],
        {"c": F(1e-7)},
    ),
    "negative logarithms by hand": (
        "negative-log",
        [node("ReduceLogSumExp", "logits", "l", axes=[1], keepdims=1), node("Sub", "l logits", "y")],
        {},
    ),
    "logarithms": ("log-softmax", [SOFTMAX, node("Log", "p", "y")], {}),
    "logarithms by hand": ("log-softmax", [*BY_HAND, node("Log", "p", "y")], SUM),
}
SAID = {"percent", "negated", "complement", "scaled", "negative-log"}


@pytest.mark.parametrize("unit", UNITS)
def test_probabilities_in_another_unit_are_recognised(unit: str, tmp_path: Path, plain: onnx_cam.Classifier) -> None:
    kind, tail, constants = UNITS[unit]
    model = load(model_of(tail, constants), tmp_path)
    assert model.head.kind.name == kind
    assert any("not probabilities" in note for note in model.notes) == (kind in SAID)
    np.testing.assert_allclose(model.sessions.scores(X[None]), plain.sessions.scores(X[None]), atol=1e-5)
    result, expected = onnx_cam.explain(model, X, target=2), onnx_cam.explain(plain, X, target=2)
    assert result.target.score == pytest.approx(expected.target.score, abs=1e-5)
    np.testing.assert_allclose(result.weights, expected.weights, atol=1e-5)


@pytest.mark.parametrize("unit", ["percent", "negated", "complement", "smoothed", "negative logarithms", "logarithms"])
def test_the_logits_are_those_before_the_softmax(unit: str, tmp_path: Path, plain: onnx_cam.Classifier) -> None:
    _, tail, constants = UNITS[unit]
    model = load(model_of(tail, constants), tmp_path)
    assert model.head.logits == "logits"
    np.testing.assert_allclose(
        model.sessions.scores(X[None], "logit"), plain.sessions.scores(X[None], "logit"), atol=1e-5
    )
    np.testing.assert_array_equal(
        onnx_cam.explain(model, X, method="cam", target=1).weights,
        onnx_cam.explain(plain, X, method="cam", target=1).weights,
    )


@pytest.mark.parametrize(
    ("factor", "shift", "kind"),
    [(100, 0, "percent"), (-1, 0, "negated"), (-1, 1, "sigmoid"), (-1, 0.99995, "sigmoid")],
)
def test_sigmoids_in_another_unit_are_recognised(factor: float, shift: float, kind: str, tmp_path: Path) -> None:
    tail = [SIGMOID, node("Mul", "p a", "h"), node("Add", "h b", "y")]
    model = load(model_of(tail, {"a": F(factor), "b": F(shift)}), tmp_path)
    p = load(model_of([SIGMOID], outputs=[tiny.value_info("p", ["n", 4])]), tmp_path).sessions.scores(X[None])
    assert model.head.kind.name == kind
    assert any("probabilities" in note for note in model.notes)
    # 1 − p is a probability, too, and stays what it is; --head complement takes p.
    np.testing.assert_allclose(model.sessions.scores(X[None]), shift - p if kind == "sigmoid" else p, atol=1e-5)
    if kind == "sigmoid":
        with pytest.raises(SettingError, match="no logits"):
            onnx_cam.explain(model, X, score="logit")


def test_the_complements_of_two_classes_stay_what_they_are(tmp_path: Path) -> None:
    tail = [node("MatMul", "flat two", "z"), node("Softmax", "z", "p", axis=1), node("Sub", "c p", "y")]
    model = load(model_of(tail, {"two": tiny.weights()["w3"].T[:, :2], "c": F(1)}), tmp_path)
    assert (model.head.kind.name, model.head.logits) == ("softmax", "")
    assert any("--head complement" in note for note in model.notes)
    raw = model.sessions._session.run(X[None], ["y"])[0]
    np.testing.assert_allclose(model.sessions.scores(X[None]), raw, atol=1e-6)


@pytest.mark.parametrize("kind", ["softmax", "log-softmax", "sigmoid"])
def test_the_usual_heads_need_no_note(kind: str, tmp_path: Path) -> None:
    op = {"softmax": "Softmax", "log-softmax": "LogSoftmax", "sigmoid": "Sigmoid"}[kind]
    model = load(model_of([node(op, "logits", "y", **({} if kind == "sigmoid" else {"axis": 1}))]), tmp_path)
    assert (model.head.kind.name, model.notes, model.head.logits) == (kind, (), "logits")


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_a_softmax_over_another_axis_is_refused(op: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="sum to 1 over the classes"):
        load(model_of([node(op, "logits", "y", axis=0)]), tmp_path)


# --------------------------------------------------------------------------------------------------------------------
# Numbers that are no probabilities.

NUMBERS: dict[str, tuple[Tail, dict[str, Any]]] = {
    "linear": (single(node("Identity", "z", "y")), {}),
    "scaled": (single(node("Mul", "z c", "y")), {"c": F(2)}),
    "relu": (single(node("Relu", "z", "y")), {}),
    "softplus": (single(node("Softplus", "z", "y")), {}),
    "exponential": (single(node("Mul", "z c", "h"), node("Exp", "h", "y")), {"c": F(0.1)}),
    "a scaled sigmoid": (
        [node("MatMul", "flat one", "m"), node("Sigmoid", "m", "s"), node("Mul", "s c", "h"), node("Add", "h d", "y")],
        {"c": F(4), "d": F(1)},
    ),
    "a percentage": (
        [node("MatMul", "flat one", "m"), node("Sigmoid", "m", "s"), node("Mul", "s c", "y")],
        {"c": F(100)},
    ),
    "an expected age": ([SOFTMAX, node("MatMul", "p ages", "y")], {"ages": np.array([[5], [20], [40], [70]], F)}),
    "a norm": ([node("ReduceL2", "logits", "y", axes=[1], keepdims=1)], {}),
}


@pytest.mark.parametrize("number", NUMBERS)
def test_one_unbounded_number_is_a_regression(number: str, tmp_path: Path) -> None:
    tail, constants = NUMBERS[number]
    model = load(model_of(tail, ONE | constants, [tiny.value_info("y", ["n", 1])]), tmp_path)
    assert (model.head.kind.name, model.classes) == ("raw", 1)
    assert sum("regression" in note for note in model.notes) == 1
    result = onnx_cam.explain(model, X)
    value = float(model.sessions._session.run(X[None], ["y"])[0][0, 0])
    assert result.target.index == 0
    assert result.target.score == pytest.approx(value)
    assert result.top == (result.target,)
    assert result.record()["parameters"]["score"] == "raw"
    assert "output 0" in repr(result)
    # The weights are the differences of the number itself: no softmax, no sigmoid.
    maps = model.sessions.activations(model.layer(), X).maps
    live = [k for k in range(tiny.CHANNELS) if np.ptp(maps[k])]
    up = [_upsampled(maps[k]) for k in live]
    masked = np.stack([X * (a - a.min()) / (a.max() - a.min()) for a in up])
    scores = model.sessions._session.run(np.concatenate([masked, 0 * X[None]]), ["y"])[0][:, 0]
    np.testing.assert_allclose(result.weights[live], scores[:-1] - scores[-1], rtol=1e-4, atol=1e-4)


def _upsampled(a: np.ndarray) -> np.ndarray:
    import cv2

    return np.asarray(cv2.resize(a, (tiny.SIZE, tiny.SIZE), interpolation=cv2.INTER_LINEAR))


def test_the_gradient_and_the_weights_of_a_number_are_its_own(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    nodes = [*tiny.body()[:-1], *single(node("Identity", "z", "y"))]
    constants = {name: array for name, array in tiny.weights().items() if name not in ("w3", "b3")} | ONE
    outputs = [tiny.value_info("y", ["n", 1])]
    made = tiny.build(nodes, constants, image=["n", 3, tiny.SIZE, tiny.SIZE], outputs=outputs)
    model = load(made, tmp_path)
    np.testing.assert_array_equal(onnx_cam.explain(model, X, method="cam").weights, ONE["one"][:, 0])
    weights = onnx_cam.explain(model, X, method="gradcam").weights
    np.testing.assert_allclose(weights, ONE["one"][:, 0] / 25, rtol=1e-5)
    assert onnx_cam.explain(model, X, variant="torchcam").record()["parameters"]["score"] == "raw"


def test_numbers_are_no_probabilities_anywhere(tmp_path: Path) -> None:
    tail, _ = NUMBERS["linear"]
    model = load(model_of(tail, ONE, [tiny.value_info("y", ["n", 1])]), tmp_path)
    with pytest.raises(SettingError, match=r"not probabilities .head raw., which score=probability needs"):
        onnx_cam.explain(model, X, score="probability")
    with pytest.raises(SettingError, match="which sscam-max needs"):
        onnx_cam.explain(model, X, method="sscam-max")
    assert onnx_cam.explain(model, X, score="logit").parameters["score"] == "raw"
    part = onnx_cam.explain(model, X, budget=3)
    exact = onnx_cam.explain(model, X)
    assert part.exact_passes is not None
    assert np.abs(part.weights).max() == pytest.approx(np.abs(exact.weights).max(), rel=0.5)  # not within [0, 1]
    found = {finding.what: finding.value for finding in onnx_cam.inspect(model)}
    assert (found["head"], found["output"]) == ("raw", "y (1 number)")


def test_numbers_are_not_measured_by_metrics_of_probabilities(tmp_path: Path) -> None:
    from onnx_cam.evaluation import evaluate

    tail, _ = NUMBERS["linear"]
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "photos" / "a.png")
    path = tiny.save(model_of(tail, ONE, [tiny.value_info("y", ["n", 1])]), tmp_path)
    with pytest.raises(SettingError, match=r"not probabilities .head raw., on which the metrics are defined"):
        evaluate(path, tmp_path / "photos", methods="equal", out=tmp_path / "run")


def test_the_command_prints_a_value_and_not_a_class(tmp_path: Path) -> None:
    tail, _ = NUMBERS["linear"]
    path = tiny.save(model_of(tail, ONE, [tiny.value_info("y", ["n", 1])]), tmp_path)
    np.save(tmp_path / "x.npy", X)
    words = ["explain", str(path), str(tmp_path / "x.npy"), "--preprocess", "none", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0
    first = result.stdout.splitlines()[0]
    assert re.search(r"x\.npy: output 0, value \d\d\.\d+$", first)
    assert "class 0" not in result.stdout
    assert "as of a regression" in result.stderr
    binary = CliRunner().invoke(main, [*words, "--head", "logits"])
    assert "class 1, score 1.000" in binary.stdout


def test_two_names_make_one_number_the_logit_of_two_classes(tmp_path: Path) -> None:
    proto = model_of([node("MatMul", "flat one", "y")], ONE, [tiny.value_info("y", ["n", 1])])
    z = float(load(proto, tmp_path, head="raw").sessions.scores(X[None])[0, 0])
    p = 1 / (1 + np.exp(-z))
    named = onnx.ModelProto()
    named.CopyFrom(proto)
    helper.set_model_props(named, {"names": "{0: 'no', 1: 'yes'}"})
    for model in (
        load(named, tmp_path),
        load(proto, tmp_path, labels=["no", "yes"]),
        load(proto, tmp_path, head="logits"),
    ):
        assert (model.head.kind.name, model.classes, model.facts.is_binary) == ("logits", 2, True)
        np.testing.assert_allclose(model.sessions.scores(X[None]), [[1 - p, p]], rtol=1e-5)
        assert not any("regression" in note for note in model.notes)
    assert load(named, tmp_path, head="raw").classes == 1
    one = load(proto, tmp_path, labels=["age"])
    assert (one.head.kind.name, onnx_cam.explain(one, X).target.label) == ("raw", "age")
    with pytest.raises(LabelsError, match="3 names"):
        load(proto, tmp_path, labels=["a", "b", "c"])


def test_a_configuration_tells_logits_of_labels_and_regressions_from_those_of_a_choice(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    z = load(tiny.model(), tmp_path).sessions.scores(X[None], "logit")
    config.write_text('{"problem_type": "multi_label_classification"}')
    model = load(tiny.model(), tmp_path)
    assert (model.head.kind.name, model.classes) == ("multi-label", 4)
    assert model.head.reason == f"{config}, problem_type: multi_label_classification"
    np.testing.assert_allclose(model.sessions.scores(X[None]), 1 / (1 + np.exp(-z)), atol=1e-6)
    result = onnx_cam.explain(model, X, target=2)
    assert result.target.score == pytest.approx(1 / (1 + np.exp(-z[0, 2])), abs=1e-6)
    named = load(tiny.model(), tmp_path, head="multi-label")
    np.testing.assert_array_equal(onnx_cam.explain(named, X, target=2).weights, result.weights)
    # The graph, and what the user says, count more.
    assert load(tiny.softmax_model(), tmp_path).head.kind.name == "softmax"
    assert load(tiny.model(), tmp_path, head="logits").head.kind.name == "logits"
    config.write_text('{"problem_type": "regression"}')
    model = load(tiny.model(), tmp_path)
    assert (model.head.kind.name, model.classes) == ("raw", 4)
    np.testing.assert_array_equal(model.sessions.scores(X[None]), z)
    for other in ('{"problem_type": "single_label_classification"}', '{"problem_type": 3}', "[]", "{", "[" * 10_000):
        config.write_text(other)
        assert load(tiny.model(), tmp_path).head.kind.name == "logits"


def test_one_number_of_a_multi_label_model_is_two_classes(tmp_path: Path) -> None:
    proto = model_of([node("MatMul", "flat one", "y")], ONE, [tiny.value_info("y", ["n", 1])])
    helper.set_model_props(proto, {"problem_type": "multi_label_classification"})
    model = load(proto, tmp_path)
    assert (model.head.kind.name, model.classes, model.facts.is_binary, model.notes) == ("multi-label", 2, True, ())
    assert onnx_cam.explain(model, X, target=[0, 1], score="logit")[1].target.index == 1


@pytest.mark.parametrize("op", ["Tanh", "Softplus", "Exp", "Abs"])
def test_numbers_that_are_neither_logits_nor_probabilities_are_left_alone(op: str, tmp_path: Path) -> None:
    model = load(model_of([node(op, "logits", "y")]), tmp_path)
    assert model.head.kind.name == "raw"
    assert any(op in note and "neither logits nor probabilities" in note for note in model.notes)
    raw = model.sessions._session.run(X[None], ["y"])[0]
    np.testing.assert_allclose(model.sessions.scores(X[None]), raw)
    assert load(model_of([node(op, "logits", "y")]), tmp_path, head="logits").head.kind.name == "logits"


def test_normalised_features_are_said_to_be_features(tmp_path: Path) -> None:
    tail = [node("LayerNormalization", "flat scale", "y", axis=-1)]
    model = load(model_of(tail, {"scale": np.linspace(0.5, 2, tiny.CHANNELS, dtype=F)}, opset=17), tmp_path)
    assert model.head.kind.name == "raw"
    assert any("features or an embedding" in note for note in model.notes)


@pytest.mark.parametrize("op", ["Relu", "LeakyRelu"])
def test_what_an_activation_leaves_of_logits_are_logits(op: str, tmp_path: Path) -> None:
    model = load(model_of([node(op, "logits", "y")]), tmp_path)
    assert (model.head.kind.name, model.notes) == ("logits", ())


FEATURES: dict[str, tuple[str, Tail, dict[str, Any]]] = {
    "average of a layer's maps": ("flat", [], {}),
    "batch-normalised numbers": (
        "y",
        [node("MatMul", "flat wide", "m"), node("BatchNormalization", "m ones zeros zeros ones", "y")],
        {"wide": np.eye(tiny.CHANNELS, dtype=F), "ones": np.ones(6, F), "zeros": np.zeros(6, F)},
    ),
    "name of features": (
        "embedding",
        [node("MatMul", "flat wide", "embedding")],
        {"wide": np.eye(tiny.CHANNELS, dtype=F)},
    ),
}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("what", FEATURES)
def test_what_may_be_features_is_said_where_no_class_has_a_name(what: str, named: bool, tmp_path: Path) -> None:
    """SqueezeNet's logits are an average of maps; a network without its last layer gives the same."""
    output, tail, constants = FEATURES[what]
    proto = model_of(tail, constants, [tiny.value_info(output, ["n", tiny.CHANNELS])])
    model = load(proto, tmp_path, labels=list("abcdef") if named else None)
    assert model.head.kind.name == "logits"
    assert any(what in note and "--head raw" in note for note in model.notes) == (not named)
    assert load(proto, tmp_path, head="logits").notes == ()


def test_an_operator_that_tells_nothing_is_named(tmp_path: Path) -> None:
    """A GRU's numbers may be anything."""
    constants = {
        "w": np.ones((1, 9, 4), F), "r": np.ones((1, 9, 3), F), "to": np.array([1, -1, 4]), "row": np.array([-1, 3]),
    }  # fmt: skip
    tail = [
        node("Reshape", "logits to", "sequence"),
        node("GRU", "sequence w r", "all last", hidden_size=3),
        node("Reshape", "last row", "h"),
        node("Mul", "h ten", "y"),
    ]
    model = load(model_of(tail, constants | {"ten": F(-10)}), tmp_path)
    assert model.head.kind.name == "logits"
    assert any("does not show what output 'y' holds, as it comes from GRU" in note for note in model.notes)


# --------------------------------------------------------------------------------------------------------------------
# Embeddings, and several outputs.

UNIT: dict[str, tuple[Tail, dict[str, Any]]] = {
    "LpNormalization": ([node("LpNormalization", "flat", "y", axis=1, p=2)], {}),
    "ReduceL2": ([node("ReduceL2", "flat", "length", axes=[1], keepdims=1), node("Div", "flat length", "y")], {}),
    "ReduceL2 and Clip": (
        [
            node("ReduceL2", "flat", "length", axes=[1], keepdims=1),
            node("Clip", "length least", "at_least"),
            node("Expand", "at_least shape", "wide"),
            node("Div", "flat wide", "y"),
        ],
        {"least": F(1e-12), "shape": np.array([1, tiny.CHANNELS])},
    ),
    "squares": (
        [
            node("Mul", "flat flat", "squares"),
            node("ReduceSum", "squares axis", "sum", keepdims=1),
            node("Sqrt", "sum", "length"),
            node("Reciprocal", "length", "inverse"),
            node("Mul", "flat inverse", "y"),
        ],
        {"axis": np.array([1])},
    ),
    "of a linear layer": (
        [node("MatMul", "flat wide", "m"), node("LpNormalization", "m", "y", axis=-1, p=2)],
        {"wide": np.random.default_rng(0).standard_normal((tiny.CHANNELS, 32)).astype(F)},
    ),
}


@pytest.mark.parametrize("unit", UNIT)
def test_an_embedding_is_refused_or_passed_over(unit: str, tmp_path: Path, plain: onnx_cam.Classifier) -> None:
    tail, constants = UNIT[unit]
    with pytest.raises(ModelError, match=r"'y' .* is an embedding, not class scores: .* --output.*--head raw") as error:
        load(model_of(tail, constants), tmp_path)
    assert "\n" not in str(error.value)
    raw = load(model_of(tail, constants), tmp_path, head="raw")
    assert onnx_cam.explain(raw, X, target=1).record()["parameters"]["score"] == "raw"
    outputs = [tiny.value_info("y", ["n", None]), tiny.value_info("logits", ["n", 4])]
    model = load(model_of(tail, constants, outputs), tmp_path)
    assert model.head.output == "logits"
    assert any("--output chooses another of 'y'" in note for note in model.notes)
    np.testing.assert_array_equal(model.sessions.scores(X[None]), plain.sessions.scores(X[None]))
    with pytest.raises(ModelError, match="is an embedding"):
        load(model_of(tail, constants, outputs), tmp_path, output="y")


def test_what_a_linear_layer_reads_is_passed_over(tmp_path: Path) -> None:
    proto = model_of([], outputs=[tiny.value_info("flat", ["n", 6]), tiny.value_info("logits", ["n", 4])])
    assert load(proto, tmp_path).head.output == "logits"
    assert load(proto, tmp_path, output="flat").head.output == "flat"


def test_what_is_made_of_the_scores_is_not_preferred_to_them(tmp_path: Path) -> None:
    tail = [node("ReduceMax", "logits", "best", axes=[1], keepdims=1)]
    outputs = [tiny.value_info("logits", ["n", 4]), tiny.value_info("best", ["n", 1])]
    assert load(model_of(tail, outputs=outputs), tmp_path).head.output == "logits"


def test_an_output_called_a_feature_comes_last(tmp_path: Path) -> None:
    tail = [node("MatMul", "flat wide", "image_embeds"), node("MatMul", "flat five", "scores")]
    draw = np.random.default_rng(1).standard_normal
    constants = {"wide": draw((tiny.CHANNELS, 16)).astype(F), "five": draw((tiny.CHANNELS, 5)).astype(F)}
    outputs = [tiny.value_info("image_embeds", ["n", 16]), tiny.value_info("scores", ["n", 5])]
    model = load(model_of(tail, constants, outputs), tmp_path)
    assert model.head.output == "scores"
    assert any("'image_embeds'" in note for note in model.notes)


# --------------------------------------------------------------------------------------------------------------------
# Several heads in one vector.

DRAW = np.random.default_rng(2).standard_normal((tiny.CHANNELS, 6)).astype(F)
WEIGHTS = {"wa": DRAW[:, :2], "wb": DRAW[:, 2:5], "wc": DRAW[:, 5:]}
LINEAR = [node("MatMul", f"flat w{part}", f"z{part}") for part in "abc"]
ENDED = [
    *LINEAR,
    node("Softmax", "za", "pa", axis=1),
    node("Softmax", "zb", "pb", axis=1),
    node("Sigmoid", "zc", "pc"),
]


def parts_of(model: onnx_cam.Classifier) -> list[np.ndarray]:
    flat = model.sessions.open(tap(model.facts.proto, ["flat"])).run(X[None], ["flat"])[0]
    return [flat @ WEIGHTS[f"w{part}"] for part in "abc"]


def test_joined_heads_are_scored_each_by_itself(tmp_path: Path) -> None:
    proto = model_of([*ENDED, node("Concat", "pa pb pc", "y", axis=1)], WEIGHTS)
    model = load(proto, tmp_path)
    a, b, c = parts_of(model)
    expected = np.concatenate([softmax(a), softmax(b), 1 / (1 + np.exp(-c))], axis=1)
    assert (model.head.kind.name, model.classes) == ("several", 6)
    np.testing.assert_allclose(model.sessions.scores(X[None]), expected, atol=1e-6)
    note = next(note for note in model.notes if "joins several heads" in note)
    assert "'pa' (2, softmax), 'pb' (3, softmax), 'pc' (1, sigmoid)" in note
    found = {finding.what: finding.value for finding in onnx_cam.inspect(model)}
    assert found["parts of the output"] == "pa (2, softmax), pb (3, softmax), pc (1, sigmoid)"
    # The target is the position in the whole vector; `output` takes one part.
    whole, part = (
        onnx_cam.explain(model, X, target=3),
        onnx_cam.explain(load(proto, tmp_path, output="pb"), X, target=1),
    )
    assert whole.target.score == pytest.approx(part.target.score)
    np.testing.assert_allclose(whole.weights, part.weights, atol=1e-6)
    with pytest.raises(SettingError, match=r"joins several heads.*--output: 'pa', 'pb', 'pc'"):
        onnx_cam.explain(model, X, method="cam")
    part = onnx_cam.explain(load(proto, tmp_path, output="pb"), X, score="logit", target=1)
    assert part.parameters["score"] == "logit"
    with pytest.raises(ModelError, match=r"no output 'pd'.*did you mean"):
        load(proto, tmp_path, output="pd")


def test_joined_logits_get_a_softmax_each(tmp_path: Path) -> None:
    proto = model_of([*LINEAR, node("Concat", "za zb", "j", axis=1), node("Identity", "j", "y")], WEIGHTS)
    model = load(proto, tmp_path)
    a, b, _ = parts_of(model)
    np.testing.assert_allclose(
        model.sessions.scores(X[None]), np.concatenate([softmax(a), softmax(b)], axis=1), atol=1e-6
    )
    assert any("joins several heads" in note for note in model.notes)
    # Someone may have split the classes of one softmax over two layers.
    one = load(proto, tmp_path, head="logits")
    np.testing.assert_allclose(one.sessions.scores(X[None]), softmax(np.concatenate([a, b], axis=1)), atol=1e-6)


def test_a_regression_among_joined_heads_is_refused_by_name(tmp_path: Path) -> None:
    proto = model_of([*LINEAR, node("Concat", "za zc", "y", axis=1)], WEIGHTS)
    with pytest.raises(ModelError, match=r"joins several heads.*--output: 'za' \(2, logits\), 'zc' \(1, raw\)"):
        load(proto, tmp_path)
    assert load(proto, tmp_path, output="za").classes == 2
    assert load(proto, tmp_path, output="zc").head.kind.name == "raw"


def test_joined_numbers_are_several_regressions(tmp_path: Path) -> None:
    tail = [*LINEAR, node("MatMul", "flat wd", "zd"), node("Concat", "zc zd", "y", axis=1)]
    model = load(model_of(tail, WEIGHTS | {"wd": DRAW[:, :1]}), tmp_path)
    assert (model.head.kind.name, model.classes) == ("raw", 2)


def test_joined_sigmoids_are_one_head(tmp_path: Path) -> None:
    tail = [
        *LINEAR,
        *(node("Sigmoid", f"z{part}", f"s{part}") for part in "abc"),
        node("Concat", "sa sb sc", "y", axis=1),
    ]
    model = load(model_of(tail, WEIGHTS), tmp_path)
    assert (model.head.kind.name, model.notes) == ("sigmoid", ())


def test_a_vector_of_one_distribution_is_one_head(tmp_path: Path) -> None:
    """Both classes of a sigmoid; a logit and its negative; a constant beside logits."""
    one = {"one": ONE["one"] / 4, "unit": F(1)}
    both = [node("MatMul", "flat one", "z"), node("Sigmoid", "z", "s"), node("Sub", "unit s", "n")]
    model = load(model_of([*both, node("Concat", "n s", "y", axis=1)], one), tmp_path)
    assert (model.head.kind.name, model.notes) == ("softmax", ())
    pair = [node("MatMul", "flat one", "z"), node("Neg", "z", "m"), node("Concat", "m z", "y", axis=1)]
    model = load(model_of(pair, one), tmp_path)
    assert (model.head.kind.name, model.notes) == ("logits", ())
    # The logit of a background class is computed from the image's size alone.
    constant = [
        node("MatMul", "flat wa", "z"),
        node("Shape", "z", "size"),
        node("Slice", "size zero_ one_", "batch"),
        node("Concat", "batch one_", "row", axis=0),
        node("ConstantOfShape", "row", "zeros"),
        node("Concat", "zeros z", "y", axis=1),
    ]
    made = model_of(constant, WEIGHTS | {"zero_": np.array([0]), "one_": np.array([1])})
    model = load(made, tmp_path)
    assert (model.head.kind.name, model.classes, model.notes) == ("logits", 3, ())


def test_softmaxes_of_one_size_that_are_laid_out_in_a_row_are_told_by_their_sums(tmp_path: Path) -> None:
    """As of a licence plate: three characters of two classes."""
    tail = [
        node("MatMul", "flat w6", "z"),
        node("Reshape", "z grid", "g"),
        node("Softmax", "g", "p", axis=2),
        node("Flatten", "p", "y"),
    ]
    model = load(model_of(tail, {"w6": DRAW, "grid": np.array([-1, 3, 2])}), tmp_path)
    assert model.head.kind.name == "several"
    raw = model.sessions._session.run(X[None], ["y"])[0]
    np.testing.assert_allclose(model.sessions.scores(X[None]), raw, atol=1e-6)
    assert any("3 heads of 2 classes" in note for note in model.notes)


# --------------------------------------------------------------------------------------------------------------------
# Labels, ranks, and rows without a dimension of classes.

ANIMALS = ["bird", "cat", "fish", "dog"]
BEST = node("ArgMax", "logits", "best", axis=1, keepdims=0)


def encoder(source: str) -> onnx.NodeProto:
    names = {"keys_int64s": [3, 1, 2, 0], "values_strings": [ANIMALS[i] for i in (3, 1, 2, 0)]}
    return node("LabelEncoder", source, "y", domain="ai.onnx.ml", **names)


TEXT = tiny.value_info("y", ["n"], TensorProto.STRING)
LABELS: dict[str, tuple[Tail, dict[str, Any], onnx.ValueInfoProto]] = {
    "names": ([BEST, encoder("best")], {}, TEXT),
    "names in a tensor": ([BEST, node("Gather", "animals best", "y")], {"animals": np.array(ANIMALS, object)}, TEXT),
    "the best index": (
        [node("ArgMax", "logits", "y", axis=1, keepdims=1)],
        {},
        tiny.value_info("y", ["n", 1], TensorProto.INT64),
    ),
    "the best three": (
        [node("TopK", "logits k", "y index", axis=1)],
        {"k": np.array([3])},
        tiny.value_info("y", ["n", 3]),
    ),
    "the best index of probabilities": (
        [SOFTMAX, node("ArgMax", "p", "i", axis=-1, keepdims=0), node("Cast", "i", "y", to=TensorProto.INT32)],
        {},
        tiny.value_info("y", ["n"], TensorProto.INT32),
    ),
}


@pytest.mark.parametrize("kind", LABELS)
def test_the_scores_behind_labels_and_ranks_are_taken(kind: str, tmp_path: Path, plain: onnx_cam.Classifier) -> None:
    tail, constants, output = LABELS[kind]
    for name in (None, "y"):
        model = load(model_of(tail, constants, [output]), tmp_path, output=name)
        np.testing.assert_allclose(model.sessions.scores(X[None]), plain.sessions.scores(X[None]), atol=1e-6)
        result, expected = onnx_cam.explain(model, X), onnx_cam.explain(plain, X)
        np.testing.assert_allclose(result.weights, expected.weights, atol=1e-6)
        has_names = kind.startswith("names")
        assert result.target.label == (ANIMALS[result.target.index] if has_names else None)
        assert name or any("no class scores: taking those that are behind" in note for note in model.notes)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("with_index", [False, True])
def test_the_score_of_the_best_class_is_not_a_class(
    with_index: bool, keepdims: int, tmp_path: Path, plain: onnx_cam.Classifier
) -> None:
    tail = [SOFTMAX, node("ReduceMax", "p", "y", axes=[1], keepdims=keepdims)]
    outputs = [tiny.value_info("y", ["n", 1] if keepdims else ["n"])]
    if with_index:
        tail.append(node("ArgMax", "p", "i", axis=1, keepdims=0))
        outputs.append(tiny.value_info("i", ["n"], TensorProto.INT64))
    model = load(model_of(tail, outputs=outputs), tmp_path)
    assert (model.head.output, model.head.kind.name) == ("p", "softmax")
    np.testing.assert_allclose(model.sessions.scores(X[None]), plain.sessions.scores(X[None]), atol=1e-6)


def zip_map(names: dict[str, Any], key: int) -> onnx.ModelProto:
    made = model_of(
        [SOFTMAX, BEST, encoder("best"), node("ZipMap", "p", "map", domain="ai.onnx.ml", **names)], {}, [TEXT]
    )
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(key, value))
    made.graph.output.append(helper.make_value_info("map", kind))
    return made


@pytest.mark.parametrize("by_name", [True, False])
def test_the_scores_behind_a_map_of_names_are_taken(by_name: bool, tmp_path: Path, plain: onnx_cam.Classifier) -> None:
    """As converters of scikit-learn's models and Custom Vision end: a label, and a map of each name to its score."""
    names = {"classlabels_strings": ANIMALS} if by_name else {"classlabels_int64s": [0, 1, 2, 3]}
    made = zip_map(names, TensorProto.STRING if by_name else TensorProto.INT64)
    for output in (None, "map"):
        model = load(made, tmp_path, output=output)
        assert model.labels.names == tuple(ANIMALS)
        np.testing.assert_allclose(model.sessions.scores(X[None]), plain.sessions.scores(X[None]), atol=1e-6)
        assert onnx_cam.explain(model, X).target.label in ANIMALS


def test_names_that_a_user_gives_come_before_those_of_the_graph(tmp_path: Path) -> None:
    tail, constants, output = LABELS["names"]
    made = model_of(tail, constants, [output])
    assert load(made, tmp_path, labels=list("wxyz")).labels.names == tuple("wxyz")


SQUEEZED: dict[str, tuple[Tail, dict[str, Any]]] = {
    "squeezed": ([node("Sigmoid", "z", "s"), node("Squeeze", "s axis", "y")], {"axis": np.array([1])}),
    "squeezed and cast": (
        [node("Sigmoid", "z", "s"), node("Squeeze", "s axis", "q"), node("Cast", "q", "y", to=TensorProto.FLOAT)],
        {"axis": np.array([1])},
    ),
    "reshaped": ([node("Sigmoid", "z", "s"), node("Reshape", "s row", "y")], {"row": np.array([-1])}),
    "gathered": ([node("Sigmoid", "z", "s"), node("Gather", "s first", "y", axis=1)], {"first": np.array(0)}),
    "summed": ([node("ReduceSum", "z axis", "t", keepdims=0), node("Sigmoid", "t", "y")], {"axis": np.array([1])}),
    "every dimension": ([node("Sigmoid", "z", "s"), node("Squeeze", "s", "y")], {}),
}


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("form", SQUEEZED)
def test_a_row_of_scores_is_one_class(form: str, declared: bool, tmp_path: Path) -> None:
    tail, constants = SQUEEZED[form]
    unknown = onnx.ValueInfoProto(name="y", type=helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    outputs = [tiny.value_info("y", ["n"]) if declared else unknown]
    made = model_of([node("MatMul", "flat one", "z"), *tail], {"one": ONE["one"] / 4} | constants, outputs)
    model = load(made, tmp_path)
    assert (model.head.kind.name, model.classes, model.fixed_batch) == ("sigmoid", 2, None)
    shown = onnx.ModelProto()
    shown.CopyFrom(made)
    shown.graph.output[0].CopyFrom(onnx.ValueInfoProto(name="z"))
    z = float(load(shown, tmp_path, head="raw").sessions.scores(X[None])[0, 0])
    assert onnx_cam.explain(model, X, target=1).target.score == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-6)


@pytest.mark.parametrize("op", ["Squeeze", "Reshape", "Gather"])
def test_scores_without_a_batch_are_those_of_one_image(op: str, tmp_path: Path, plain: onnx_cam.Classifier) -> None:
    tail = {
        "Squeeze": node("Squeeze", "p to", "y"),
        "Reshape": node("Reshape", "p to", "y"),
        "Gather": node("Gather", "p to", "y", axis=0),
    }
    to = {"Squeeze": np.array([0]), "Reshape": np.array([4]), "Gather": np.array(0)}
    made = model_of([SOFTMAX, tail[op]], {"to": to[op]}, [tiny.value_info("y", [4])], image=[1, 3, 20, 20])
    model = load(made, tmp_path)
    np.testing.assert_allclose(model.sessions.scores(X[None]), plain.sessions.scores(X[None]), atol=1e-6)
    np.testing.assert_allclose(onnx_cam.explain(model, X).weights, onnx_cam.explain(plain, X).weights, atol=1e-6)


def test_scores_whose_batch_is_lost_for_good_are_refused_with_advice(tmp_path: Path) -> None:
    made = model_of(
        [node("ReduceSum", "logits axis", "y", keepdims=0)], {"axis": np.array([0])}, [tiny.value_info("y", [4])]
    )
    with pytest.raises(ModelError, match=r"shape \(4,\).*export it again with scores of shape \(N, classes\)"):
        load(made, tmp_path)


# --------------------------------------------------------------------------------------------------------------------
# What the user says.


def test_a_head_that_the_user_names_is_taken(tmp_path: Path) -> None:
    proto = model_of([SOFTMAX, node("Mul", "p one_", "y")], {"one_": np.ones(4, F)})
    for kind in ("softmax", "sigmoid", "raw", "logits", "complement"):
        model = load(proto, tmp_path, head=kind)
        assert (model.head.kind.name, model.head.reason, model.notes) == (kind, "as requested", ())
    assert (
        load(model_of([SOFTMAX], outputs=[tiny.value_info("p", ["n", 4])]), tmp_path, head="softmax").head.logits
        == "logits"
    )


@pytest.mark.parametrize(
    "kind", ["softmax", "log-softmax", "sigmoid", "percent", "complement", "negated", "negative-log"]
)
def test_a_head_that_the_numbers_contradict_is_refused(kind: str, tmp_path: Path) -> None:
    shifted = model_of([node("Sub", "logits c", "y")], {"c": F(3)})
    with pytest.raises(
        ModelError, match=rf"--head {kind} does not fit output 'y'.*expected .*got numbers from"
    ) as error:
        load(shifted, tmp_path, head=kind)
    assert "\n" not in str(error.value)


def test_a_head_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"unknown head 'sofmax'.*did you mean 'softmax'"):
        load(tiny.model(), tmp_path, head="sofmax")


# --------------------------------------------------------------------------------------------------------------------
# Graphs that draw random numbers.


def noisy(scale: float, batch: int | str = "n", op: str = "RandomNormalLike", **attributes: Any) -> onnx.ModelProto:
    drawn = {
        "RandomNormalLike": node("RandomNormalLike", "image", "noise", scale=scale, **attributes),
        "RandomUniformLike": node("RandomUniformLike", "image", "noise", low=-scale, high=scale, **attributes),
    }
    nodes = [drawn[op], node("Add", "image noise", "noisy"), *tiny.body()]
    nodes[2].input[0] = "noisy"
    outputs = [tiny.value_info("logits", [batch, 4])]
    return tiny.build(nodes, tiny.weights(), image=[batch, 3, tiny.SIZE, tiny.SIZE], outputs=outputs)


@pytest.mark.parametrize("seed", [{}, {"seed": 3.0}])
@pytest.mark.parametrize("op", ["RandomNormalLike", "RandomUniformLike"])
@pytest.mark.parametrize("batch", [1, "n"])
def test_a_graph_that_draws_random_numbers_is_noticed(
    op: str, batch: int | str, seed: dict[str, float], tmp_path: Path
) -> None:
    model = load(noisy(0.01, batch, op, **seed), tmp_path)
    assert model.facts.randomness == f"the graph draws random numbers ({op})"
    assert any("seed does not hold" in note for note in model.notes)
    result = onnx_cam.explain(model, X, target=0)
    assert any(op in warning and "the seed does not hold" in warning for warning in result.record()["warnings"])
    found = {finding.what: finding.value for finding in onnx_cam.inspect(model)}
    assert found["equal runs"] == "different scores"
    # A little noise is not taken for a batch that changes the scores of its images.
    assert model.fixed_batch is None
    assert not any("fail, or change the scores" in note for note in model.notes)


@pytest.mark.parametrize("batch", [1, 2, "n"])
def test_much_noise_leaves_the_batch_open(batch: int | str, tmp_path: Path) -> None:
    model = load(noisy(10.0, batch), tmp_path)
    assert model.fixed_batch == (1 if batch == "n" else batch)
    assert not any("fail, or change the scores" in note for note in model.notes)
    assert batch == 1 or any("cannot be checked" in note for note in model.notes)
    assert onnx_cam.explain(model, X, target=0).batch_size == 1 or batch == 2


def test_drawn_numbers_that_switch_features_off_are_found(tmp_path: Path) -> None:
    """As dropout at test time, for an uncertainty."""
    tail = [
        node("RandomUniformLike", "flat", "u"),
        node("Bernoulli", "u", "kept"),
        node("Mul", "flat kept", "dropped"),
        node("MatMul", "dropped four", "y"),
    ]
    constants = {"four": np.random.default_rng(3).standard_normal((tiny.CHANNELS, 4)).astype(F)}
    model = load(model_of(tail, constants, opset=15), tmp_path)
    assert model.facts.randomness == "the graph draws random numbers (Bernoulli, RandomUniformLike)"


def test_random_numbers_in_a_branch_are_found(tmp_path: Path) -> None:
    then = helper.make_graph(
        [node("RandomNormalLike", "logits", "noise"), node("Add", "logits noise", "then_y")],
        "then",
        [],
        [tiny.value_info("then_y", None)],
    )
    other = helper.make_graph([node("Identity", "logits", "else_y")], "else", [], [tiny.value_info("else_y", None)])
    tail = [helper.make_node("If", ["yes"], ["y"], then_branch=then, else_branch=other)]
    assert "RandomNormalLike" in load(model_of(tail, {"yes": np.array(True)}), tmp_path).facts.randomness


def test_equal_runs_need_no_note(plain: onnx_cam.Classifier) -> None:
    assert (plain.facts.randomness, plain.notes) == ("", ())
    assert {finding.what: finding.value for finding in onnx_cam.inspect(plain)}["equal runs"] == "equal scores"


def test_random_operators_without_effect_need_no_note(tmp_path: Path) -> None:
    tail = [
        node("RandomNormalLike", "logits", "noise"),
        node("Mul", "noise zero", "none"),
        node("Add", "logits none", "y"),
    ]
    assert load(model_of(tail, {"zero": F(0)}), tmp_path).facts.randomness == ""


# --------------------------------------------------------------------------------------------------------------------
# Several images of one.


def tiled(*, stem: bool) -> onnx.ModelProto:
    """Return a model that folds 2×2 tiles into the batch, after a convolution or at once, and averages their scores."""
    source, body = "image", tiny.body()
    stem_nodes = [node("Conv", "image ws", "stem", pads=[1, 1, 1, 1])] if stem else []
    source = "stem" if stem else "image"
    before = [
        *stem_nodes,
        node("Reshape", f"{source} six", "a6"),
        node("Transpose", "a6", "t6", perm=[0, 2, 4, 1, 3, 5]),
        node("Reshape", "t6 four", "tiles"),
    ]
    body[0].input[0] = "tiles"
    body[-1].output[0] = "each"
    after = [node("Reshape", "each three", "t3"), node("ReduceMean", "t3", "logits", axes=[1], keepdims=0)]
    shapes = {
        "six": np.array([-1, 3, 2, 10, 2, 10]), "four": np.array([-1, 3, 10, 10]), "three": np.array([-1, 4, 4]),
        "ws": np.random.default_rng(0).standard_normal((3, 3, 3, 3)).astype(F) / 3,
    }  # fmt: skip
    return tiny.build(
        [*before, *body, *after],
        {**tiny.weights(), **shapes},
        image=["n", 3, 20, 20],
        outputs=[tiny.value_info("logits", ["n", 4])],
    )


def test_a_graph_that_makes_tiles_of_the_image_is_refused_by_name(tmp_path: Path) -> None:
    model = load(tiled(stem=False), tmp_path)
    with pytest.raises(
        ModelError, match=r"makes several images of one .tiles, crops, flips.: layer 'relu2' holds 4 images"
    ) as error:
        onnx_cam.explain(model, X)
    assert "no layer comes before that" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_layer_before_the_tiles_is_explained(tmp_path: Path) -> None:
    model = load(tiled(stem=True), tmp_path)
    assert onnx_cam.explain(model, X).layer == "stem"
    with pytest.raises(ModelError, match=r"layer 'relu2' holds 4 images.*--layer stem"):
        onnx_cam.explain(model, X, layer="relu2")
