"""The walk from the image through the graph: which part of the input each tensor's axes cover."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_graphsurgeon as gs

from onnx_cam.graph.image_axes import frame_rules, shape_rules
from onnx_cam.graph.image_axes.rules import Facts, MissingFact, Rule, merged
from onnx_cam.graph.image_axes.spans import NOWHERE, Span, TokenSpan, Unsettled, View
from onnx_cam.graph.walk import input_names, output_names, tensors_read

__all__ = ["follow_image"]

_POINTWISE = {
    *("Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd", "BitwiseNot"),
    *("BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Cos", "Cosh", "DequantizeLinear", "Div"),
    *(
        "Dropout",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "HardSwish",
    ),
    *("Hardmax", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "Max", "Mean"),
    *("Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "QuantizeLinear", "Reciprocal", "Relu", "Round"),
    *("Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Sub", "Sum"),
    *("Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor", "ScaledTanh", "ParametricSoftplus", "Affine"),
    *(
        "BatchNormalization",
        "GroupNormalization",
        "InstanceNormalization",
        "LRN",
        "LayerNormalization",
        "LpNormalization",
    ),
    *("MeanVarianceNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "DynamicQuantizeLinear"),
    *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "GroupNorm", "SkipGroupNorm", "QuickGelu"),
    *("BiasGelu", "FastGelu", "BiasAdd", "BiasSplitGelu", "QLinearAdd", "QLinearMul", "QLinearLeakyRelu"),
    *("QLinearSigmoid", "QLinearSoftmax", "QLinearReduceMean", "FusedGelu", "Scaler", "ReorderInput", "ReorderOutput"),
    *("SpaceToDepth", "DepthToSpace", "Rope", "RotaryEmbedding", "CumSum"),
}
"""Operators that leave every entry where it is, or whose output has the axes of their image input."""

_MEASURES = {"Shape", "Size", "RandomNormalLike", "RandomUniformLike", "EyeLike", "ConstantOfShape"}
"""Operators that read a tensor's dimensions and not its values."""

_SELECTIONS = {"Concat", "Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "Slice", "Split"}
"""Operators that can put tokens into another order."""

_RULES: dict[str, Rule] = {**frame_rules.RULES, **shape_rules.RULES}


def follow_image(
    graph: gs.Graph,
    image: str,
    axes: tuple[int, int],
    facts: Facts,
) -> dict[str, View | Unsettled]:
    """Follow the image's height and width from tensor to tensor, as far as the operators say where they go.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    image : str
        The input that takes the image.
    axes : tuple of int
        Its axes of height and width: (2, 3) for NCHW.
    facts : Facts
        Shapes and values of tensors. What is needed and not known is noted in `facts.missing`.

    Returns
    -------
    dict of str to View or Unsettled
        What each tensor that is computed from the image covers.

    Examples
    --------
    >>> from onnx_cam.graph.constants import Constants
    >>> from onnx_cam.graph.read import import_graph, read_model
    >>> file = read_model("model.onnx")
    >>> views = follow_image(import_graph(file), "image", (2, 3), Facts(Constants(file)))
    >>> sorted(views["relu2"])
    [2, 3]
    """
    views: dict[str, View | Unsettled] = {image: {axes[0]: Span("height"), axes[1]: Span("width")}}
    for node in graph.nodes:  # the nodes of an ONNX file are sorted
        sources = [views[name] for name in tensors_read(node) if name in views]
        if not sources or node.op in _MEASURES:
            continue
        # Once a fact is missing, those of all nodes after it may be: one run is to tell them all.
        if facts.missing and node.op in _RULES and any(isinstance(view, Unsettled) for view in sources):
            facts.note_missing(node)
        for name, view in zip(output_names(node), _views(node, views, facts), strict=False):
            views[name] = view
    return views


def _views(node: gs.Node, views: Mapping[str, View | Unsettled], facts: Facts) -> list[View | Unsettled]:
    """Return what each output of a node covers."""
    outputs = output_names(node)
    named = {name: views[name] for name in input_names(node) if name in views}
    unsettled = next((view for view in named.values() if isinstance(view, Unsettled)), None)
    settled: dict[str, View] = {name: view for name, view in named.items() if not isinstance(view, Unsettled)}
    tokens = any(isinstance(span, TokenSpan) for view in settled.values() for span in view.values())
    reason = f"{node.op} {node.name or outputs[0]!r}" if outputs else node.op
    here = Unsettled(reason)
    if tokens and node.op in _SELECTIONS:
        here = Unsettled(f"{reason}, which rearranges the tokens,", reorders_tokens=True)
    if len(named) == 0:  # only the branches of an If read the image
        return [here] * len(outputs)
    if unsettled is not None:
        return [unsettled] * len(outputs)
    if all(view == NOWHERE for view in settled.values()):
        return [NOWHERE] * len(outputs)
    try:
        rule = _RULES.get(node.op)
        if rule is not None:
            covered = rule(node, settled, facts)
            return [here] * len(outputs) if covered is None else list(covered)
        if node.op in _POINTWISE or node.op.lower().endswith("attention"):
            view = merged(settled, facts)
            return [here if view is None else view] * len(outputs)
    except MissingFact:
        facts.note_missing(node)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        pass  # attributes or constants that no such operator has: where its output lies is not settled
    return [here] * len(outputs)
