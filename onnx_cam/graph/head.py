"""Which output holds the class scores, and what comes before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import onnx
import onnx_graphsurgeon as gs

from onnx_cam.errors import ModelError, did_you_mean
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.head_ending import RESHAPING, Source, find_ending, find_source
from onnx_cam.graph.heads import HEADS, HeadKind
from onnx_cam.graph.score_tensor import behind_labels, behind_squeeze, holds_labels
from onnx_cam.graph.tap import Dequantized
from onnx_cam.graph.walk import leading_to, tensors_read

__all__ = ["AS_REQUESTED", "RESHAPING", "Head", "find_heads", "with_kind", "with_scores"]

_QUANTIZERS = {"QuantizeLinear": slice(1, 3), "QLinearSoftmax": slice(3, 5), "QLinearSigmoid": slice(3, 5)}
"""Where their inputs hold the scale and the zero point of their output."""

_FEATURES = re.compile(r"embed|feat|hidden|pool|represent|descriptor|penultimate", re.IGNORECASE)
_NO_END = Source("unknown")

AS_REQUESTED = "as requested"
"""The reason of a head whose kind the user named."""


@dataclass(frozen=True)
class Head:
    """How the model ends.

    Attributes
    ----------
    output : str
        The tensor that holds the scores: mostly an output of the model.
    kind : HeadKind
        What its numbers are.
    logits : str
        The tensor before the final Softmax, LogSoftmax or Sigmoid; `output` itself where there is none; empty where no
        tensor holds logits.
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
    source : Source
        What makes the numbers, where no Softmax, LogSoftmax or Sigmoid does.
    parts : tuple of Head
        Where several tensors are joined to this one: each of them as a head of its own.
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
    source: Source = field(default=_NO_END, repr=False)
    parts: tuple[Head, ...] = ()

    @property
    def tapped_logits(self) -> str | Dequantized:
        """What to tap for the logits."""
        return self.integers or self.logits

    @property
    def is_named_features(self) -> bool:
        """Whether the output's name says that it holds features."""
        return _FEATURES.search(self.output) is not None

    @property
    def quantization(self) -> tuple[gs.Tensor, ...]:
        """The tensors that hold the scale and the zero point of an integer output; none of a float one."""
        return () if self.quantizer is None else tuple(self.quantizer.inputs[_QUANTIZERS[self.quantizer.op]])


def find_heads(graph: gs.Graph, constants: Constants, model: str, name: str | None = None) -> list[Head]:
    """Return the heads that a classifier may have, the likeliest first: a run tells whether it holds class scores.

    Without a name, an output that ends in Softmax or Sigmoid comes before others, and the input of a linear layer that
    another output comes from (an embedding) after them. Where outputs hold labels, ranks or names with scores only, the
    tensor that they are made from is taken.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    constants : Constants
        The model's constants.
    model : str
        The file's name, for messages.
    name : str, optional
        The output to take, or another tensor of the graph.

    Raises
    ------
    ModelError
        No output has the shape of class scores, or there is no tensor of that name.

    Examples
    --------
    >>> from onnx_cam.graph.read import import_graph, read_model
    >>> file = read_model("model.onnx")
    >>> [head.output for head in find_heads(import_graph(file), Constants(file), file.name)]
    ['logits']
    """
    if name is not None:
        return _named(graph, constants, model, name)
    fitting = [output for output in graph.outputs if _may_hold_scores(output)]
    rows = [output for output in fitting if output.shape is None or len(output.shape) > 1]
    behind = [scores for output in graph.outputs if (scores := behind_labels(output)) is not None]
    candidates = _ranked(graph, constants, rows) or behind[:1] or fitting
    if not candidates:
        raise ModelError(f"{model} has no class scores; expected an output (N, classes), got {_listed(graph)}")
    heads = []
    for tensor in candidates:
        choice = _choice(graph, tensor, candidates)
        heads += [replace(head, choice=choice) for head in _heads_at(tensor, constants)]
    return heads


def with_kind(head: Head, kind: HeadKind) -> Head:
    """Return a head whose numbers are what the user says: the kind of them is not concluded from anything.

    The logits are those that the graph shows, where it shows the same kind.

    Examples
    --------
    >>> head = Head("p", HEADS["logits"], "p", "no Softmax or Sigmoid before the output")
    >>> with_kind(head, HEADS["softmax"]).logits
    ''
    """
    if kind == head.kind:
        return replace(head, reason=AS_REQUESTED, parts=())
    is_own = kind.name in ("raw", "logits", "multi-label")
    logits, integers = _as_logits(head) if is_own else ("", None)
    return replace(head, kind=kind, logits=logits, integers=integers, reason=AS_REQUESTED, parts=())


def with_scores(proto: onnx.ModelProto, head: Head) -> onnx.ModelProto:
    """Return the model with the tensor of the scores as its only output, where it is not an output already.

    Examples
    --------
    >>> model = onnx.load("model.onnx")
    >>> [output.name for output in with_scores(model, Head("flat", HEADS["raw"], "flat", "")).graph.output]
    ['flat']
    """
    if head.output in {output.name for output in proto.graph.output}:
        return proto
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name=head.output))
    return model


def _named(graph: gs.Graph, constants: Constants, model: str, name: str) -> list[Head]:
    """Return the heads at the output of a name, or at a tensor within the graph."""
    tensors = graph.tensors()
    tensor = next((output for output in graph.outputs if output.name == name), tensors.get(name))
    if tensor is None or not tensor.inputs:
        known = {output.name: None for output in graph.outputs}
        parts = [part.output for output in graph.outputs for part in _parts(output, constants)]
        hint = did_you_mean(name, [*known, *parts])
        raise ModelError(f"no output {name!r} in {model}{hint} It has {_listed(graph)}")
    if holds_labels(tensor) and (scores := behind_labels(tensor)) is not None:
        return list(_heads_at(scores, constants))
    if not _may_hold_scores(tensor):
        raise ModelError(
            f"output {name!r} of {model} holds no class scores; expected (N, classes), float: {_listed(graph)}"
        )
    return list(_heads_at(tensor, constants))


def _ranked(graph: gs.Graph, constants: Constants, outputs: Sequence[gs.Tensor]) -> list[gs.Tensor]:
    """Return outputs in the order in which they are likely to hold the class scores."""
    if len(outputs) < 2:
        return list(outputs)
    endings = {output.name: find_ending(output, constants) for output in outputs}

    def rank(output: gs.Tensor) -> tuple[int, bool]:
        if endings[output.name] is not None:
            return 0, False
        is_input = any(_feeds(graph, output, other, constants) for other in outputs if other is not output)
        return 1 + is_input, _FEATURES.search(output.name) is not None

    return sorted(outputs, key=rank)


def _feeds(graph: gs.Graph, features: gs.Tensor, scores: gs.Tensor, constants: Constants) -> bool:
    """Tell whether one output is what the linear layer of another computes its numbers from."""
    ending = find_ending(scores, constants)
    source = find_source(ending.node.inputs[0] if ending else scores, constants)
    read = (name for node in source.nodes for name in tensors_read(node))
    return source.origin == "linear" and features.name in leading_to(graph, *read)


def _choice(graph: gs.Graph, tensor: gs.Tensor, candidates: Sequence[gs.Tensor]) -> str:
    outputs = {output.name for output in graph.outputs}
    if tensor.name not in outputs:
        listed = ", ".join(repr(output.name) for output in graph.outputs)
        subject = f"output {listed} holds" if len(graph.outputs) == 1 else f"outputs {listed} hold"
        return f"{subject} no class scores: taking those that are behind, {tensor.name!r}"
    others = ", ".join(repr(output.name) for output in candidates if output is not tensor)
    return f"output {tensor.name!r} taken among several: --output chooses another of {others}" if others else ""


def _heads_at(tensor: gs.Tensor, constants: Constants) -> Iterator[Head]:
    """Yield the head at a tensor; then, in case a run shows a single row there, the one before its Squeeze."""
    squeezed = behind_squeeze(tensor)
    if squeezed is None or tensor.shape is None:
        yield _head_at(tensor, constants)
    if squeezed is not None:
        yield _head_at(squeezed, constants)


def _head_at(tensor: gs.Tensor, constants: Constants) -> Head:
    ending, quantizer = find_ending(tensor, constants), _quantizer(tensor)
    if ending is None or ending.kind is None:
        logits = quantizer.inputs[0].name if quantizer is not None else tensor.name
        reason = f"the graph ends in {ending.steps}" if ending else "no Softmax or Sigmoid before the output"
        source = Source("other", ending.steps) if ending else find_source(tensor, constants)
        parts = _parts(tensor, constants)
        return Head(tensor.name, HEADS["logits"], logits, reason, "", quantizer, source=source, parts=parts)
    end = ending.node
    reason = f"the graph ends in {ending.steps}" + (", quantized" if quantizer is not None else "")
    source = Source("other", ending.steps)
    if not ending.keeps_logits:
        return Head(tensor.name, ending.kind, "", reason, "", quantizer, source=source)
    if not end.op.startswith("QLinear"):
        return Head(tensor.name, ending.kind, end.inputs[0].name, reason, "", quantizer, source=source)
    integers = _dequantized(end.inputs[0], end.inputs[1:3])
    return Head(tensor.name, ending.kind, integers.name, reason, "", quantizer, integers=integers, source=source)


def _as_logits(head: Head) -> tuple[str, Dequantized | None]:
    """Return how to tap the output's own numbers: a tensor of floats, or integers with their scale."""
    if head.quantizer is None:
        return head.output, None
    if head.quantizer.op == "QuantizeLinear":
        return head.quantizer.inputs[0].name, None
    integers = _dequantized(head.quantizer.outputs[0], head.quantization)
    return integers.name, integers


def _dequantized(integers: gs.Tensor, quantization: Sequence[gs.Tensor]) -> Dequantized:
    """Return how to tap integers with their scale and zero point; a damaged graph may lack these."""
    scale, zero_point, *_ = (*(tensor.name for tensor in quantization), "", "")
    return Dequantized(integers.name, scale, zero_point)


def _parts(output: gs.Tensor, constants: Constants) -> tuple[Head, ...]:
    return tuple(_head_at(part, constants) for part in _part_tensors(output, constants))


def _part_tensors(tensor: gs.Tensor, constants: Constants) -> list[gs.Tensor]:
    """Return the tensors joined to a vector, where each has a Softmax, a Sigmoid or a linear layer of its own."""
    while len(tensor.inputs) == 1 and tensor.inputs[0].op in RESHAPING and tensor.inputs[0].inputs:
        tensor = tensor.inputs[0].inputs[0]
    if len(tensor.inputs) != 1 or tensor.inputs[0].op != "Concat":
        return []
    parts = list(tensor.inputs[0].inputs)
    ends: list[set[int]] = []
    for part in parts:
        ending = find_ending(part, constants)
        nodes = (ending.node,) if ending else find_source(part, constants).nodes
        ends.append({id(node) for node in nodes})
    are_apart = len(parts) > 1 and all(ends) and len(set().union(*ends)) == sum(map(len, ends))
    return parts if are_apart else []


def _may_hold_scores(output: gs.Tensor) -> bool:
    kind = "f" if output.dtype is None else getattr(output.dtype, "kind", None)  # a sequence or a map has none
    if kind != "f" and (kind not in ("i", "u") or _quantizer(output) is None):
        return False
    if holds_labels(output) or (output.inputs and output.inputs[0].op == "NonMaxSuppression"):
        return False
    shape = output.shape
    if shape is None or len(shape) == 1:
        return True
    return len(shape) >= 2 and (all(size == 1 for size in shape[2:]) or all(size == 1 for size in shape[1:-1]))


def _quantizer(tensor: gs.Tensor) -> gs.Node | None:
    """Return the operator that makes an integer tensor's values, reshapes after it aside."""
    while len(tensor.inputs) == 1:
        node = tensor.inputs[0]
        if node.op in _QUANTIZERS and len(node.inputs) > 1:
            return node
        if node.op not in RESHAPING or node.op in ("Cast", "DequantizeLinear") or not node.inputs:
            return None
        tensor = node.inputs[0]
    return None


def _listed(graph: gs.Graph) -> str:
    return ", ".join(f"{output.name!r} {_shape(output)}" for output in graph.outputs)


def _shape(output: gs.Tensor) -> str:
    return "of unknown shape" if output.shape is None else f"({', '.join(str(size or '?') for size in output.shape)})"
