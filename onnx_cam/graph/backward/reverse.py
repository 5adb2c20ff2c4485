"""Reverse mode as a rewriting of the graph: the gradient at a layer becomes an output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import onnx

from onnx_cam.errors import LayerError, MissingRuleError
from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.facts import TensorFacts
from onnx_cam.graph.backward.operators import ENDS, RULES
from onnx_cam.graph.backward.path import Path, ends_gradient, find_path
from onnx_cam.graph.backward.step import NoRule, Step
from onnx_cam.graph.emission import PREFIX
from onnx_cam.graph.tap import Dequantized
from onnx_cam.graph.walk_protobuf import all_names

__all__ = ["SEED", "Border", "Gradient", "add_gradient", "find_gradient", "path_to_layer"]

SEED = PREFIX + "seed"
"""The input that takes the coefficients of the logits, (N, classes) float32."""

_STEEP = ("Log", "Pow", "Reciprocal", "Sqrt")
"""Operators whose derivative may be infinite."""

_UNVERSIONED = 1  # the version of a domain that the model does not import
_FIRST_OPSET = 7
_MAKE_SEQUENCES = ("SequenceConstruct", "SequenceErase", "SequenceInsert", "SequenceMap", "SplitToSequence")
_ADVICE = "choose a layer after it, or a method that needs no gradient: scorecam, or cam for a heatmap in the model"

Border = str | Dequantized
"""A layer or logits: a tensor, or integers and what they stand for."""


def path_to_layer(proto: onnx.ModelProto, layer: Border, logits: Border, name: str) -> Path:
    """Return the part of the graph that the gradient passes.

    Parameters
    ----------
    proto : onnx.ModelProto
        A model without local functions.
    layer, logits : str or Dequantized
        Tensors of the graph.
    name : str
        The file's name, for messages.

    Raises
    ------
    LayerError
        The logits do not depend on the layer.
    MissingRuleError
        It holds sequences of tensors, which have no shape to measure.

    Examples
    --------
    >>> path_to_layer(onnx.load("model.onnx"), "relu2", "logits", "model.onnx").nodes[0].op_type
    'GlobalAveragePool'
    """
    source, end = _tensor(layer), _tensor(logits)
    path = find_path(proto.graph, source, end, ENDS)
    if end not in path.tensors:
        raise _no_way(proto, source, end, name)
    for node in path.nodes:
        if node.op_type in _MAKE_SEQUENCES and _domain(node) == "":
            raise MissingRuleError(f"no gradient is known for {_called(node, _versions(proto), name)}; {_ADVICE}")
    borders = [border for border in (layer, logits) if isinstance(border, Dequantized)]
    return replace(path, scales=frozenset(border.scale for border in borders))


@dataclass(frozen=True, eq=False)
class Gradient:
    """Nodes that compute the gradient at a layer.

    Attributes
    ----------
    nodes : tuple of onnx.NodeProto
        They read the seed, tensors of the model, and each other.
    output : str
        The gradient, in the layer's shape, float32.
    classes : int
        The length of a seed.

    Examples
    --------
    >>> Gradient((onnx.helper.make_node("Identity", ["seed"], ["gradient"]),), "gradient", classes=4).nodes[0].op_type
    'Identity'
    """

    nodes: tuple[onnx.NodeProto, ...]
    output: str
    classes: int


def add_gradient(
    proto: onnx.ModelProto,
    layer: Border,
    logits: Border,
    facts: Mapping[str, TensorFacts],
    name: str,
    *,
    seed: str,
) -> str:
    """Add the nodes of `find_gradient` to a model, which is changed, and return the tensor that holds the gradient.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> layer, logits = model.layer(), model.head.tapped_logits
    >>> proto = onnx.load("model.onnx")
    >>> proto.graph.input.extend([onnx.ValueInfoProto(name="seed")])
    >>> gradient = add_gradient(
    ...     proto, layer.name, logits, model.gradients.tensor_facts(layer), "model.onnx", seed="seed"
    ... )
    >>> proto.graph.node[-1].output[0] == gradient
    True
    """
    gradient = find_gradient(proto, layer, logits, facts, name, seed=seed)
    proto.graph.node.extend(gradient.nodes)
    return gradient.output


def find_gradient(
    proto: onnx.ModelProto,
    layer: Border,
    logits: Border,
    facts: Mapping[str, TensorFacts],
    name: str,
    *,
    seed: str = SEED,
) -> Gradient:
    """Return the nodes that compute the gradient at a layer.

    The gradient is ``∂(Σ_c seed_c · Y^c)/∂A`` for each image of the batch, Y the logits and A the layer. Only what
    leads to the layer is emitted, at the model's opset.

    Parameters
    ----------
    proto : onnx.ModelProto
        A model without local functions, of opset 7 or later; it is not changed.
    layer, logits : str or Dequantized
        Tensors of the graph. Integers count as the real numbers that they stand for.
    facts : mapping of str to TensorFacts
        Of each tensor that the path touches: `Path.touched` of `path_to_layer`.
    name : str
        The file's name, for messages.
    seed : str
        The tensor (N, classes), float32, that holds the coefficients.

    Raises
    ------
    LayerError
        The logits do not depend on the layer.
    MissingRuleError
        An operator in between has no rule, or one that does not cover this node.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> layer, logits = model.layer(), model.head.tapped_logits
    >>> facts = model.gradients.tensor_facts(layer)
    >>> gradient = find_gradient(onnx.load("model.onnx"), layer.name, logits, facts, "model.onnx")
    >>> [node.op_type for node in gradient.nodes if node.op_type != "Constant"]
    ['Reshape', 'Gemm', 'Reshape', 'Mul', 'Mul']
    """
    path = path_to_layer(proto, layer, logits, name)
    versions = _versions(proto)
    opset = versions.get("", _UNVERSIONED)
    if opset < _FIRST_OPSET:
        raise MissingRuleError(f"the opset of {name} is {opset}; expected {_FIRST_OPSET} or later for a gradient")
    is_steep = any(node.op_type in _STEEP for node in path.nodes)
    emitter = Emitter(opset, all_names(proto.graph) | {seed}, may_be_infinite=is_steep)
    source, end = _tensor(layer), _tensor(logits)

    # The gradient at the logits is the seed; integers count as (q − zero point) · scale.
    start = emitter.reshape(seed, facts[end].shape, end)
    if isinstance(logits, Dequantized):
        start = emitter.add("Mul", start, _scale(emitter, logits, facts))
    gradients: dict[str, list[str]] = {end: [start]}

    # Backwards through the path: each node's rule turns the gradient at its outputs into that at its inputs, and where
    # a tensor is read several times the gradients add up.
    values: dict[str, str] = {}
    for node in reversed(path.nodes):
        above = [_sum(emitter, gradients, output) for output in node.output]
        if all(one is None for one in above):
            continue
        step = Step(
            node,
            versions.get(_domain(node), _UNVERSIONED),
            emitter=emitter,
            facts=facts,
            wanted=path.tensors,
            gradients=above,
            values=values,
        )
        for place, gradient in _differentiate(step, _called(node, versions, name)).items():
            if gradient is not None and step.wants(place):
                gradients.setdefault(node.input[place], []).append(gradient)
    found = _sum(emitter, gradients, source)
    if found is None:
        raise _no_way(proto, source, end, name)
    if isinstance(layer, Dequantized):
        found = emitter.add("Div", found, _scale(emitter, layer, facts))
    return Gradient(_needed(emitter.nodes, found), found, math.prod(size or 1 for size in facts[end].shape[1:]))


def _needed(nodes: Sequence[onnx.NodeProto], output: str) -> tuple[onnx.NodeProto, ...]:
    """Return the nodes that an output needs, in their order."""
    needed, kept = {output}, []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
            kept.append(node)
    return tuple(reversed(kept))


def _versions(proto: onnx.ModelProto) -> dict[str, int]:
    return {("" if one.domain == "ai.onnx" else one.domain): one.version for one in proto.opset_import}


def _domain(node: onnx.NodeProto) -> str:
    return "" if node.domain == "ai.onnx" else node.domain


def _called(node: onnx.NodeProto, versions: Mapping[str, int], name: str) -> str:
    """Return what a node is called in messages."""
    domain = _domain(node)
    return (
        f"operator {node.op_type} of domain {domain or 'ai.onnx'!r}, version {versions.get(domain, _UNVERSIONED)}, "
        f"node {node.name or node.output[0]!r} of {name}"
    )


def _differentiate(step: Step, what: str) -> Mapping[int, str | None]:
    rule = RULES.get(_domain(step.node), {}).get(step.node.op_type)
    if rule is None:
        raise MissingRuleError(f"no gradient is known for {what}; {_ADVICE}")
    try:
        return rule(step)
    except (NoRule, ValueError, KeyError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise MissingRuleError(f"no gradient is known for {what}: {reason}; {_ADVICE}") from error


def _sum(emitter: Emitter, gradients: dict[str, list[str]], tensor: str) -> str | None:
    """Return the gradient at a tensor: the sum over all who read it."""
    parts = gradients.get(tensor)
    if not parts:
        return None
    if len(parts) > 1:
        gradients[tensor] = [emitter.total(parts)]
    return gradients[tensor][0]


def _scale(emitter: Emitter, border: Dequantized, facts: Mapping[str, TensorFacts]) -> str:
    return border.scale if facts[border.scale].dtype == "float32" else emitter.cast(border.scale)


def _tensor(border: Border) -> str:
    return border if isinstance(border, str) else border.tensor


def _no_way(proto: onnx.ModelProto, layer: str, logits: str, name: str) -> LayerError:
    """Return an error that says why there is no gradient: nothing leads to the logits, or integers end it."""
    open_path = find_path(proto.graph, layer, logits, {})
    ends = [node for node in open_path.nodes if ends_gradient(node, ENDS) and node.op_type not in ("Shape", "Size")]
    if ends:
        end = ends[0]
        return LayerError(
            f"the gradient of {name} does not reach layer {layer!r}: operator {end.op_type}, node "
            f"{end.name or end.output[0]!r}, has an output without a gradient; {_ADVICE}"
        )
    return LayerError(
        f"the score of {name} does not depend on layer {layer!r}; choose another, listed by: onnx-cam layers"
    )
