"""What makes the numbers of an output: the operators before it, followed backwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.heads import (
    HEADS,
    Complement,
    HeadKind,
    LogSoftmax,
    Negated,
    NegativeLog,
    Percent,
    Scaled,
    Sigmoid,
    Softmax,
    head_of_operator,
)

__all__ = ["RESHAPING", "Ending", "Origin", "Source", "constant", "find_ending", "find_source"]

RESHAPING = {
    *("Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Dropout", "Cast", "Transpose"),
    *("QuantizeLinear", "DequantizeLinear"),
}
"""Operators that hand their values on."""

Origin = Literal["linear", "other", "unknown"]
"""What an output's numbers come from: a linear layer or its like; another operator; or the graph does not tell."""

_LINEAR = {
    *("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv", "NhwcFusedConv", "QLinearConvTranspose"),
    *("Gemm", "FusedGemm", "QGemm", "GemmFloat8", "MatMul", "MatMulInteger", "MatMulIntegerToFloat", "QLinearMatMul"),
    *("FusedMatMul", "FusedMatMulActivation", "TransposeMatMul", "SparseToDenseMatMul", "DynamicQuantizeMatMul"),
    *("MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "Einsum"),
}
_CONVOLUTIONS = {op for op in _LINEAR if "Conv" in op}
_POOLS = {
    *("GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool", "ReduceMean", "ReduceMax"),
    *("QLinearGlobalAveragePool", "QLinearAveragePool", "QLinearReduceMean"),
}
_FIRST_INPUT = {
    *RESHAPING,
    *_POOLS,
    *("ReduceSum", "ReduceMin", "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "FastGelu", "HardSwish"),
    *("Mish", "QLinearLeakyRelu", "Clip", "BatchNormalization", "Neg", "Div", "Slice", "Split", "Gather", "Expand"),
    *("Tile", "Pad", "ReorderOutput", "BiasGelu", "BiasAdd"),
}
"""Operators after which numbers of a linear layer are still like those of one; only their first input counts."""

_ALL_INPUTS = {
    *("Add", "Sub", "Mul", "Sum", "Mean", "Max", "Min", "Concat", "Where", "QLinearAdd", "QLinearMul"),
    *("QLinearConcat", "QLinearWhere"),
}
"""The same, where one of several inputs is enough: a bias, a gate, an average of several heads."""

_OTHER = {
    *("Exp", "Log", "Tanh", "Softplus", "Softsign", "Sqrt", "Pow", "Abs", "Reciprocal", "Erf", "HardSigmoid"),
    *("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "ThresholdedRelu"),
    *("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "CumSum"),
    *("LpNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization"),
    *("SimplifiedLayerNormalization", "SkipLayerNormalization", "MeanVarianceNormalization", "Hardmax", "Mod"),
    *("Floor", "Ceil", "Round", "Sign", "Softmax", "LogSoftmax", "Sigmoid", "QLinearSoftmax", "QLinearSigmoid"),
    *("Greater", "Less", "Equal", "Not", "And", "Or", "OneHot"),
}
"""Operators whose numbers are certainly not those of a linear layer."""

_ROUNDING = {"Round", "Floor", "Ceil"}
_FEWEST_STEPS = 50
_CLOSE = 1e-4  # relative: float16 constants are rounded


@dataclass(frozen=True)
class Source:
    """Where an output's numbers come from.

    Attributes
    ----------
    origin : {"linear", "other", "unknown"}
        What makes them.
    operator : str
        The ONNX operator that does.
    features : str
        Why they may be features and not scores, although a linear layer makes them; empty where nothing says so.
    nodes : tuple of onnx_graphsurgeon.Node
        The operators themselves; of a linear origin the linear layers.
    """

    origin: Origin
    operator: str = ""
    features: str = ""
    nodes: tuple[gs.Node, ...] = ()


@dataclass(frozen=True)
class Ending:
    """A Softmax, LogSoftmax or Sigmoid that an output's numbers come from.

    Attributes
    ----------
    node : onnx_graphsurgeon.Node
        That operator.
    kind : HeadKind or None
        What the numbers are; None where what comes after the operator leaves no probabilities that could be read.
    steps : str
        In words: the operator, and what is done with its numbers.
    keeps_logits : bool
        Whether the operator's input holds the logits of the same probabilities.
    """

    node: gs.Node
    kind: HeadKind | None
    steps: str
    keeps_logits: bool = True


def constant(tensor: gs.Tensor, constants: Constants) -> float | None:
    """Return the single number that a tensor holds; None for more than one, or where a run computes it."""
    value = constants.value(tensor)
    if value is None:
        value = constants.evaluated(tensor.name)
    if value is None and isinstance(tensor, gs.Constant):  # a constant within a branch
        value = _value_in_branch(tensor)
    return float(np.ravel(value)[0]) if value is not None and value.size == 1 and value.dtype.kind in "fiu" else None


def _value_in_branch(tensor: gs.Constant) -> NDArray[Any] | None:
    try:
        return np.asarray(tensor.values)
    except Exception:  # of a damaged tensor, or of weights beside the model
        return None


def find_ending(tensor: gs.Tensor, constants: Constants) -> Ending | None:
    """Return the Softmax, LogSoftmax or Sigmoid that a tensor's values come from.

    After it come only operators that hand their values on, multiply or shift all of them alike, or take a logarithm.

    Examples
    --------
    >>> import onnx
    >>> z, p, hundred = gs.Variable("z"), gs.Variable("p"), gs.Constant("hundred", np.array(100, np.float32))
    >>> softmax = gs.Node("Softmax", inputs=[z], outputs=[p])
    >>> times = gs.Node("Mul", inputs=[p, hundred], outputs=[gs.Variable("y")])
    >>> find_ending(times.outputs[0], Constants(onnx.ModelProto())).kind
    Percent(factor=100.0, shift=0.0)
    """
    factor, shift = 1.0, 0.0  # the tensor's values are factor · v + shift …
    scale_of_log: float | None = None  # … of a logarithm v = scale · log(u), where there is one
    steps_of_1 = math.inf  # how many steps a Round leaves of a probability from 0 to 1
    while len(tensor.inputs) == 1:
        node = tensor.inputs[0]
        if head_of_operator(node.op) is not None and node.inputs:
            return _ending(node, factor, shift, scale_of_log) if abs(steps_of_1) >= _FEWEST_STEPS else None
        step = _affine_step(node, constants)
        if step is not None:
            tensor, by, plus = step
            factor, shift, steps_of_1 = factor * by, shift + factor * plus, steps_of_1 * by
        elif node.op in _ROUNDING and node.inputs:
            tensor, steps_of_1 = node.inputs[0], min(abs(steps_of_1), 1.0)
        elif node.op == "Log" and node.inputs and scale_of_log is None and _is(shift, 0):
            scale_of_log, factor, shift = factor, 1.0, 0.0
            tensor = node.inputs[0]
        else:
            return None
    return None


def _affine_step(node: gs.Node, constants: Constants) -> tuple[gs.Tensor, float, float] | None:
    """Return a node's input v, and how its output is computed from it: ``factor · v + shift``; None for others."""
    if node.op in RESHAPING and node.inputs:
        return node.inputs[0], 1.0, 0.0
    if node.op == "Neg" and node.inputs:
        return node.inputs[0], -1.0, 0.0
    if node.op in ("Mul", "Div", "Add", "Sub") and len(node.inputs) == 2:
        return _arithmetic_step(node, *(constant(source, constants) for source in node.inputs))
    return None


def _arithmetic_step(node: gs.Node, left: float | None, right: float | None) -> tuple[gs.Tensor, float, float] | None:
    """Return the same for an operator of two inputs, one of which is a single constant number."""
    if right is not None:
        steps = {"Mul": (right, 0.0), "Div": (1 / (right or math.nan), 0.0), "Add": (1.0, right), "Sub": (1.0, -right)}
        return node.inputs[0], *steps[node.op]
    if left is not None and node.op != "Div":
        steps = {"Mul": (left, 0.0), "Add": (1.0, left), "Sub": (-1.0, left)}
        return node.inputs[1], *steps[node.op]
    return None


def _ending(node: gs.Node, factor: float, shift: float, scale_of_log: float | None) -> Ending | None:
    kind = head_of_operator(node.op)
    if not factor or not math.isfinite(factor) or not math.isfinite(shift):
        return None
    if scale_of_log is None:
        scaled, steps = _scaled_kind(kind, node.op, factor, shift)
        # What is left of a sigmoid to 1 is a probability of its own, with another logit.
        return Ending(node, scaled, steps, keeps_logits=not (isinstance(scaled, Sigmoid) and factor < 0))
    is_plain = isinstance(kind, Softmax) and _is(factor, 1) and _is(shift, 0)
    steps = f"Log of {node.op}" if scale_of_log > 0 else f"−Log of {node.op}"
    return Ending(node, _log_kind(scale_of_log) if is_plain else None, steps)


def _scaled_kind(kind: HeadKind | None, op: str, factor: float, shift: float) -> tuple[HeadKind | None, str]:
    """Return what ``factor · v + shift`` is of a Softmax's, LogSoftmax's or Sigmoid's numbers v, and that in words."""
    if _is(factor, 1) and _is(shift, 0):
        return kind, op
    steps = _in_words(op, factor, shift)
    if isinstance(kind, LogSoftmax):
        return (_log_kind(factor) if _is(shift, 0) else None), steps
    if _is(factor, 100) and _is(shift, 0):
        return Percent(), steps
    if _is(factor, -1) and _is(shift, 0):
        return Negated(), steps
    if _is(factor, -1) and _is(shift, 1):
        return (Complement() if isinstance(kind, Softmax) else kind), steps
    return (Scaled(factor, shift) if isinstance(kind, Softmax) else None), steps


def _log_kind(scale: float) -> HeadKind | None:
    if _is(scale, 1):
        return HEADS["log-softmax"]
    return NegativeLog() if _is(scale, -1) else None


def _in_words(op: str, factor: float, shift: float) -> str:
    scaled = op if _is(abs(factor), 1) else f"{abs(factor):g} · {op}"
    if _is(shift, 0):
        return scaled if factor > 0 else f"−{scaled}"
    shown = 1 if _is(shift, 1) else shift  # as it is read
    return f"{shown:g} {'+' if factor > 0 else '−'} {scaled}"


def _is(value: float, expected: float) -> bool:
    return math.isclose(value, expected, rel_tol=_CLOSE, abs_tol=_CLOSE)


def find_source(tensor: gs.Tensor, constants: Constants) -> Source:
    """Return what makes a tensor's numbers: a linear layer or its like, another operator, or nobody knows.

    Examples
    --------
    >>> import onnx
    >>> z, y = gs.Variable("z"), gs.Variable("y")
    >>> nodes = gs.Node("Gemm", inputs=[gs.Variable("x")], outputs=[z]), gs.Node("Relu", inputs=[z], outputs=[y])
    >>> find_source(y, Constants(onnx.ModelProto())).origin
    'linear'
    >>> tanh = gs.Node("Tanh", inputs=[z], outputs=[gs.Variable("t")])
    >>> find_source(tanh.outputs[0], Constants(onnx.ModelProto())).origin
    'other'
    """
    ends = list(_ends(tensor, lambda node: _is_bounded(node, constants)))
    linear = [(node, passed) for node, passed in ends if _operator(node) in _LINEAR]
    if linear:
        return Source("linear", linear[0][0].op, _features(linear), tuple(node for node, _ in linear))
    operators = [_operator(node) for node, _ in ends]
    unknown = [operator for operator in operators if operator not in {*_OTHER, "Clip", "Div"}]
    if unknown or not ends:
        return Source("unknown", unknown[0] if unknown else "")
    return Source("other", operators[0], nodes=tuple(node for node, _ in ends))


def _features(linear: list[tuple[gs.Node, frozenset[str]]]) -> str:
    """Return why the numbers of linear layers may be features, by the layers and the operators after each of them."""
    if all(node.op in _CONVOLUTIONS and passed & _POOLS for node, passed in linear):
        return "the average of a layer's maps"
    if all(node.op not in _CONVOLUTIONS and "BatchNormalization" in passed for node, passed in linear):
        return "batch-normalised numbers of a linear layer"
    return ""


def _operator(node: gs.Node) -> str:
    """Return a node's operator; of a linear layer that is fused with an activation function, that function."""
    activation = str(node.attrs.get("activation", ""))
    return activation if activation in _OTHER else str(node.op)


def _ends(tensor: gs.Tensor, stops: Callable[[gs.Node], bool]) -> Iterator[tuple[gs.Node, frozenset[str]]]:
    """Yield the operators that make a tensor's numbers, each with the operators that hand these on to the tensor."""
    pending: list[tuple[gs.Tensor, frozenset[str]]] = [(tensor, frozenset())]
    seen = set()
    while pending:
        tensor, passed = pending.pop()
        if id(tensor) in seen or len(tensor.inputs) != 1:
            continue
        seen.add(id(tensor))
        node = tensor.inputs[0]
        before: list[gs.Tensor] = []
        if node.op in _ALL_INPUTS:
            before = list(reversed(node.inputs))
        elif node.op in ("If", "Loop", "Scan"):
            before = _branch_outputs(node, tensor)
        elif node.op in _FIRST_INPUT and not stops(node) and not _divides_constant(node):
            before = list(node.inputs[:1])
        pending.extend((source, passed | {node.op}) for source in before)
        if not before and node.op != "Constant":
            yield node, passed


def _divides_constant(node: gs.Node) -> bool:
    return node.op == "Div" and len(node.inputs) == 2 and not node.inputs[0].inputs


def _branch_outputs(node: gs.Node, tensor: gs.Tensor) -> list[gs.Tensor]:
    """Return the tensors within the subgraphs of a node that become its output; none where they cannot be told."""
    index = next((i for i, output in enumerate(node.outputs) if output is tensor), 0)
    graphs = [value for value in node.attrs.values() if isinstance(value, gs.Graph)]
    index += node.op == "Loop"  # the first output of a Loop's body is its condition
    return [graph.outputs[index] for graph in graphs if len(graph.outputs) > index]


def _is_bounded(node: gs.Node, constants: Constants) -> bool:
    """Tell whether a Clip keeps its numbers between 0 and 1."""
    if node.op != "Clip":
        return False
    if len(node.inputs) == 3:
        low, high = (constant(source, constants) for source in node.inputs[1:])
    else:
        low, high = node.attrs.get("min"), node.attrs.get("max")
    return low is not None and high is not None and low >= 0 and high <= 1
