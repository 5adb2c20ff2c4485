"""Head kinds: the same probabilities in NumPy and in a graph, and which numbers can be of a kind."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime
import pytest
from onnx import TensorProto, helper

from onnx_cam.errors import ModelError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.emission import Emission
from onnx_cam.graph.head import find_heads
from onnx_cam.graph.head_ending import find_ending, find_source
from onnx_cam.graph.heads import HEADS, HeadKind, Logits, Percent, Scaled, Several, Sigmoid, Softmax, softmax
from onnx_cam.graph.score_tensor import behind_labels, behind_squeeze

DRAWN = np.random.default_rng(0).standard_normal((3, 5))
P = softmax(DRAWN)
NUMBERS = {
    "logits": DRAWN, "softmax": P, "log-softmax": np.log(P), "sigmoid": P, "percent": 100 * P, "complement": 1 - P,
    "negated": -P, "negative-log": -np.log(P), "raw": 40 + DRAWN, "multi-label": np.log(P / (1 - P)),
}  # fmt: skip
SEVERAL = Several(((2, Softmax()), (2, Logits()), (1, Percent())))


def emitted(kind: HeadKind, values: np.ndarray, opset: int) -> np.ndarray:
    """Return what the nodes of a kind compute."""
    model = onnx.ModelProto(ir_version=8)
    emission = Emission(model, opset, "back")
    output = kind.emit(emission, emission.add("Identity", "values"), binary=values.shape[1] == 1)
    graph = emission.exported()
    graph.name = "head"
    graph.input.append(helper.make_tensor_value_info("values", TensorProto.DOUBLE, values.shape))
    graph.output.append(helper.make_tensor_value_info(output.name, TensorProto.DOUBLE, None))
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"values": values})[0])


@pytest.mark.parametrize("opset", [7, 13, 17])
@pytest.mark.parametrize("name", HEADS)
def test_a_kind_is_the_same_in_numpy_and_in_a_graph(name: str, opset: int) -> None:
    kind = HEADS[name]
    np.testing.assert_allclose(emitted(kind, NUMBERS[name], opset), kind.probabilities(NUMBERS[name]), rtol=1e-9)
    if name not in ("softmax", "log-softmax", "negative-log"):
        one = NUMBERS[name][:, :1]
        expected = kind.probabilities(one)
        assert expected.shape[1] == (1 if name == "raw" else 2)
        binary = emitted(kind, one, opset)
        np.testing.assert_allclose(binary, expected, rtol=1e-9)


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - {"logits", "sigmoid", "raw"}))
def test_a_kind_gives_the_probabilities_back(name: str) -> None:
    np.testing.assert_allclose(HEADS[name].probabilities(NUMBERS[name]), P, rtol=1e-9)


@pytest.mark.parametrize("opset", [7, 13, 17])
@pytest.mark.parametrize("kind", [SEVERAL, Scaled(255.0), Scaled(0.9, 0.02)])
def test_concluded_kinds_are_the_same_in_numpy_and_in_a_graph(kind: HeadKind, opset: int) -> None:
    np.testing.assert_allclose(emitted(kind, DRAWN, opset), kind.probabilities(DRAWN), rtol=1e-9)


@pytest.mark.parametrize("name", HEADS)
def test_the_numbers_of_a_kind_fit_it(name: str) -> None:
    assert HEADS[name].fits(NUMBERS[name])
    fitting = {other for other in NUMBERS if HEADS[name].fits(NUMBERS[other])}
    expected = {
        **{any_number: set(NUMBERS) for any_number in ("logits", "raw", "multi-label")},
        **{fraction: {"softmax", "sigmoid", "complement"} for fraction in ("sigmoid", "complement")},
        "softmax": {"softmax", "sigmoid"},
    }  # fmt: skip
    assert fitting >= {name}
    assert fitting == expected.get(name, fitting)
    assert ("raw" in fitting) == (
        name in ("logits", "multi-label", "raw", "percent")
    )  # numbers about 40 could be per cent


def test_numbers_far_out_warn_of_nothing() -> None:
    huge = np.array([[1e6, -1e6]])
    assert not any(HEADS[name].fits(huge) for name in HEADS if name not in ("logits", "multi-label", "raw"))


# --------------------------------------------------------------------------------------------------------------------
# What makes an output's numbers.

NOTHING = Constants(onnx.ModelProto())


def chain(*operators: tuple[str, dict[str, object]] | tuple[str, float]) -> gs.Tensor:
    """Return the last tensor of operators in a row; a number is an operator's second input."""
    tensor = gs.Variable("x")
    for i, (op, argument) in enumerate(operators):
        inputs, attributes = [tensor], {}
        if isinstance(argument, dict):
            attributes = argument
        else:
            inputs.append(gs.Constant(f"c{i}", np.array(argument, np.float32)))
        tensor = gs.Variable(f"t{i}")
        gs.Node(op, inputs=inputs, outputs=[tensor], attrs=attributes)
    return tensor


def test_steps_after_a_softmax_are_added_up() -> None:
    ending = find_ending(chain(("Softmax", {}), ("Mul", 200.0), ("Neg", {}), ("Div", -2.0), ("Identity", {})), NOTHING)
    assert ending is not None
    assert ending.kind == Percent()
    ending = find_ending(chain(("Sigmoid", {}), ("Sub", 1.0), ("Neg", {})), NOTHING)
    assert ending is not None
    assert (ending.kind, ending.steps, ending.keeps_logits) == (Sigmoid(), "1 − Sigmoid", False)
    ending = find_ending(chain(("Softmax", {}), ("Mul", 0.0)), NOTHING)
    assert ending is None
    ending = find_ending(chain(("Softmax", {}), ("Div", 0.0)), NOTHING)
    assert ending is None


def test_what_a_logarithm_is_taken_of_matters() -> None:
    ending = find_ending(chain(("Softmax", {}), ("Add", 1e-7), ("Log", {})), NOTHING)
    assert ending is not None
    assert ending.kind == HEADS["log-softmax"]


@pytest.mark.parametrize(
    "steps",
    [
        (("Mul", 2.0), ("Log", {})),
        (("Log", {}), ("Mul", 2.0)),
        (("Log", {}), ("Add", 1.0), ("Log", {})),
    ],
)
def test_other_logarithms_are_not_read(steps: tuple[tuple[str, float], ...]) -> None:
    ending = find_ending(chain(("Softmax", {}), *steps), NOTHING)
    assert ending is None or ending.kind is None


@pytest.mark.parametrize(
    ("operators", "origin"),
    [
        ((("Gemm", {}), ("Relu", {}), ("Flatten", {})), "linear"),
        ((("FusedGemm", {"activation": "Relu"}),), "linear"),
        ((("FusedGemm", {"activation": "Sigmoid"}),), "other"),
        ((("MatMulNBits", {}), ("Add", 1.0)), "linear"),
        ((("Gemm", {}), ("Clip", {"min": 0.0, "max": 6.0})), "linear"),
        ((("Gemm", {}), ("Clip", {"min": 0.0, "max": 1.0})), "other"),
        ((("Gemm", {}), ("Tanh", {})), "other"),
        ((("Gemm", {}), ("Frobnicate", {})), "unknown"),
        ((), "unknown"),
    ],
)
def test_what_makes_the_numbers_is_told(operators: tuple[tuple[str, dict[str, object]], ...], origin: str) -> None:
    assert find_source(chain(*operators), NOTHING).origin == origin


def test_a_chain_of_labels_without_scores_has_none_behind_it() -> None:
    assert behind_labels(chain(("Cast", {}), ("Identity", {}))) is None
    assert behind_squeeze(chain(("Relu", {}))) is None


def test_a_name_that_is_no_tensor_of_the_graph_is_refused() -> None:
    y = chain(("Gemm", {}))
    y.name = "y"
    graph = gs.Graph(nodes=list(y.inputs), outputs=[y])
    with pytest.raises(ModelError, match=r"no output 'z' in m.onnx.* It has 'y' of unknown shape"):
        find_heads(graph, NOTHING, "m.onnx", "z")
    with pytest.raises(ModelError, match=r"no output 'x'"):  # the image itself
        find_heads(graph, NOTHING, "m.onnx", "x")
