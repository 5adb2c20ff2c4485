"""Which output holds the class scores, and what stands in front of it."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnx_cam.errors import ModelError, did_you_mean
from onnx_cam.graph.heads import HEADS, HeadKind, head_of_operator
from onnx_cam.graph.tap import Dequantized

__all__ = ["RESHAPING", "Head", "find_head"]

_NO_SCORES = {"TopK", "NonMaxSuppression", "ArgMax"}
_QUANTIZERS = {"QuantizeLinear": slice(1, 3), "QLinearSoftmax": slice(3, 5), "QLinearSigmoid": slice(3, 5)}
"""Where their inputs hold the scale and the zero point of their output."""

RESHAPING = {
    *("Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Dropout", "Cast", "Transpose"),
    *("QuantizeLinear", "DequantizeLinear"),
}
"""Operators that hand their values on."""

_PASSED = RESHAPING | {"GlobalAveragePool", "AveragePool", "ReduceMean", "Add"}
_UNBOUNDED = {"Conv", "Gemm", "MatMul", "Relu"}


@dataclass(frozen=True)
class Head:
    """How the model ends.

    Attributes
    ----------
    output : str
        The output that holds the scores.
    kind : HeadKind
        What its numbers are.
    logits : str
        The tensor before the final Softmax, LogSoftmax or Sigmoid; `output` itself where there is none.
    reason : str
        What this was concluded from.
    choice : str
        Which other outputs would do; empty where there are none, or where the user named this one.
    quantizer : onnx_graphsurgeon.Node or None
        The operator whose scale and zero point an integer output has.
    scale, zero_point : float
        What the integers stand for: ``(q − zero_point) · scale``; 1 and 0 for floats.
    integers : Dequantized or None
        Where the logits themselves are integers.
    unbounded : bool
        The scores come of a linear layer or a ReLU: they are no probabilities, even if they lie between 0 and 1.
    """

    output: str
    kind: HeadKind
    logits: str
    reason: str
    choice: str = ""
    quantizer: gs.Node | None = None
    scale: float = 1.0
    zero_point: float = 0.0
    integers: Dequantized | None = None
    unbounded: bool = False

    @property
    def tapped_logits(self) -> str | Dequantized:
        """What to tap for the logits."""
        return self.integers or self.logits

    @property
    def quantization(self) -> tuple[gs.Tensor, ...]:
        """The tensors that hold the scale and the zero point of an integer output; none of a float one."""
        return () if self.quantizer is None else tuple(self.quantizer.inputs[_QUANTIZERS[self.quantizer.op]])


def find_head(graph: gs.Graph, model: str, name: str | None = None) -> Head:
    """Return the head of a classifier.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    model : str
        The file's name, for messages.
    name : str, optional
        The output to take. Without it: the only one of shape ``(N, classes)``; among several the one that ends in
        Softmax or Sigmoid, else the first.

    Raises
    ------
    ModelError
        No output has the shape of class scores, or there is none of that name.
    """
    tensor, choice = _choose(graph, model, name)
    end, quantizer = _final_operator(tensor), _quantizer(tensor)
    if end is None:
        logits = quantizer.inputs[0].name if quantizer is not None else tensor.name
        reason = "no Softmax or Sigmoid before the output"
        return Head(tensor.name, HEADS["logits"], logits, reason, choice, quantizer, unbounded=_is_unbounded(tensor))
    kind = head_of_operator(end.op)
    assert kind is not None  # _final_operator stops at no other
    reason = f"the graph ends in {end.op}" + (", quantized" if quantizer is not None else "")
    if not end.op.startswith("QLinear"):
        return Head(tensor.name, kind, end.inputs[0].name, reason, choice, quantizer)
    integers = Dequantized(*(source.name for source in end.inputs[:3]))
    return Head(tensor.name, kind, integers.name, reason, choice, quantizer, integers=integers)


def _choose(graph: gs.Graph, model: str, name: str | None) -> tuple[gs.Tensor, str]:
    outputs = {output.name: output for output in graph.outputs}
    if name is not None:
        if name not in outputs:
            raise ModelError(f"no output {name!r} in {model}{did_you_mean(name, outputs)} It has {_listed(graph)}")
        if not _may_hold_scores(outputs[name]):
            raise ModelError(
                f"output {name!r} of {model} holds no class scores; expected (N, classes), float: {_listed(graph)}"
            )
        return outputs[name], ""
    fitting = [output for output in graph.outputs if _may_hold_scores(output)]
    if not fitting:
        raise ModelError(f"{model} has no class scores; expected an output (N, classes), got {_listed(graph)}")
    if len(fitting) == 1:
        return fitting[0], ""
    chosen = next((output for output in fitting if _final_operator(output) is not None), fitting[0])
    others = ", ".join(repr(output.name) for output in fitting if output is not chosen)
    return chosen, f"output {chosen.name!r} taken among several: --output chooses another of {others}"


def _may_hold_scores(output: gs.Tensor) -> bool:
    kind = "f" if output.dtype is None else getattr(output.dtype, "kind", None)  # a sequence or a map has none
    if kind != "f" and (kind not in ("i", "u") or _quantizer(output) is None):
        return False
    if output.inputs and output.inputs[0].op in _NO_SCORES:
        return False
    shape = output.shape
    if shape is None:
        return True
    return len(shape) >= 2 and (all(size == 1 for size in shape[2:]) or all(size == 1 for size in shape[1:-1]))


def _quantizer(tensor: gs.Tensor) -> gs.Node | None:
    """Return the operator that makes an integer tensor's values, reshapes behind it aside."""
    while len(tensor.inputs) == 1:
        node = tensor.inputs[0]
        if node.op in _QUANTIZERS:
            return node
        if node.op not in RESHAPING or node.op in ("Cast", "DequantizeLinear") or not node.inputs:
            return None
        tensor = node.inputs[0]
    return None


def _final_operator(tensor: gs.Tensor) -> gs.Node | None:
    """Return the Softmax, LogSoftmax or Sigmoid that a tensor's values come from, reshapes after it aside."""
    return _nearest(lambda op: head_of_operator(op) is not None, tensor, RESHAPING)


def _is_unbounded(tensor: gs.Tensor) -> bool:
    return _nearest(_UNBOUNDED.__contains__, tensor, _PASSED) is not None


def _nearest(accept: Callable[[str], bool], tensor: gs.Tensor, passed: Container[str]) -> gs.Node | None:
    """Return the first accepted operator from a tensor backwards, where only those to pass come after it."""
    while len(tensor.inputs) == 1:
        node = tensor.inputs[0]
        if accept(node.op):
            return node
        if node.op not in passed or not node.inputs:
            return None
        tensor = node.inputs[0]
    return None


def _listed(graph: gs.Graph) -> str:
    return ", ".join(f"{output.name!r} {_shape(output)}" for output in graph.outputs)


def _shape(output: gs.Tensor) -> str:
    return "of unknown shape" if output.shape is None else f"({', '.join(str(size or '?') for size in output.shape)})"
