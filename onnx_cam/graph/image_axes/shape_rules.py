"""Operators that rearrange axes: Reshape and its like, Transpose, Concat, Gather, reductions and products."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.image_axes.rules import Facts, Rule, Views, image_view, integers, moved
from onnx_cam.graph.image_axes.spans import NOWHERE, Span, TokenSpan, View, agree
from onnx_cam.graph.walk import input_names, output_names

__all__ = ["RULES"]

_EXACT = 1e-6  # fractions that differ by rounding only
_REDUCTIONS = (
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"),
    *("ReduceProd", "ReduceSumSquare", "ArgMax", "ArgMin"),
)
_PRODUCTS = (
    *("MatMul", "Gemm", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "QGemm", "MatMulNBits", "MatMulFpQ4"),
    *("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulBnb4", "GemmFastGelu", "FusedGemm", "TransposeMatMul"),
    *("GemmFloat8", "SparseToDenseMatMul"),
)


def _reshape(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    """Reshape, Flatten, Squeeze, Unsqueeze: an axis is still there where the axes before it hold as many entries."""
    view = image_view(node, views)
    if view is None:
        return None
    before, after = facts.shape(input_names(node)[0]), facts.shape(output_names(node)[0])
    reshaped: dict[int, Span | TokenSpan] = {}
    axes = sorted(view)
    i = 0
    while i < len(axes):
        axis = axes[i]
        span = view[axis]
        following = view.get(axis + 1)
        target = _axis_at(before, axis, after, before[axis])
        if target is not None:
            reshaped[target] = span
        elif (
            isinstance(span, Span)
            and isinstance(following, Span)
            and (target := _axis_at(before, axis, after, before[axis] * before[axis + 1])) is not None
        ):
            reshaped[target] = TokenSpan(span, following, before[axis], before[axis + 1])
            i += 1
        elif isinstance(span, TokenSpan) and span.before == span.after == 0:
            target = _axis_at(before, axis, after, span.height)
            if target is None or target + 1 >= len(after) or after[target + 1] != span.width:
                return [NOWHERE] if len(after) < 3 else None
            reshaped[target], reshaped[target + 1] = span.rows, span.columns
        else:  # flattened for a linear layer, or rearranged
            return [NOWHERE] if len(after) < 3 else None
        i += 1
    return [reshaped]


def _axis_at(before: tuple[int, ...], axis: int, after: tuple[int, ...], size: int) -> int | None:
    """Return the new axis of a size that has as many entries before it as an old one had."""
    entries = prod(before[:axis])
    fitting = (j for j, length in enumerate(after) if length == size and prod(after[:j]) == entries)
    return next(fitting, None) if size > 1 else None


def _transpose(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    view = image_view(node, views)
    if view is None:
        return None
    permutation = list(node.attrs.get("perm", ())) or list(range(len(facts.shape(input_names(node)[0]))))[::-1]
    return [moved(view, {source: target for target, source in enumerate(permutation)})]


def _concat(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    names = input_names(node)
    axis = int(node.attrs.get("axis", 1))
    if node.op == "QLinearConcat":  # scale and zero point of the output, then each input with its own
        names = names[2::3]
    axis = axis + len(facts.shape(output_names(node)[0])) if axis < 0 else axis
    covering = [name for name in names if views.get(name)]
    first = views[covering[0]]
    if axis not in first:
        joins_images = axis == 0 and len(covering) > 1
        same = all(agree(first, views[name]) for name in covering[1:])
        return [first] if same and not joins_images else None
    span = first[axis]
    if isinstance(span, Span):
        return _joined_pieces(axis, [views[name] for name in covering]) if len(covering) == len(names) else None
    # A grid of tokens may be joined by tokens that lie nowhere in the image.
    if len(covering) > 1:
        return None
    position = names.index(covering[0])
    sizes = [facts.shape(name)[axis] for name in names]
    before, after = span.before + sum(sizes[:position]), span.after + sum(sizes[position + 1 :])
    return [{**first, axis: replace(span, before=before, after=after)}]


def _joined_pieces(axis: int, pieces: list[View]) -> list[View] | None:
    """Return the view of pieces of an image put side by side again, each beginning where the one before it ends."""
    spans = [span for piece in pieces if isinstance(span := piece.get(axis), Span)]
    if len(spans) < len(pieces) or len({span.axis for span in spans}) > 1:
        return None
    if any(abs(after.start - before.stop) > _EXACT for before, after in pairwise(spans)):
        return None
    whole = replace(spans[0], stop=spans[-1].stop)
    joined: list[View] = [{**piece, axis: whole} for piece in pieces]
    return joined[:1] if all(agree(joined[0], other) for other in joined) else None


def _gather(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    view = image_view(node, views)
    if view is None:
        return None
    names = input_names(node)
    axis = int(node.attrs.get("axis", 0))
    axis = axis + len(facts.shape(names[0])) if axis < 0 else axis
    indices = facts.value(names[1])
    if axis in view:
        span = view[axis]
        if indices.ndim == 1 and isinstance(span, Span):
            return _gathered_run(view, axis, span, np.asarray(indices, np.int64), facts.shape(names[0])[axis])
        if indices.ndim:
            return None
    added = indices.ndim - 1
    axes = {other: other + (added if other > axis else 0) for other in view if other != axis or indices.ndim == 1}
    return [moved(view, axes)]


def _gathered_run(view: View, axis: int, span: Span, indices: np.ndarray, size: int) -> list[View] | None:
    """Return the view of entries picked in their order, or in the reverse order, without gaps."""
    indices = np.where(indices < 0, indices + size, indices)
    steps = np.diff(indices)
    if len(indices) < 2 or not (np.all(steps == 1) or np.all(steps == -1)):
        return None
    first, last = int(indices[0]), int(indices[-1])
    cut = span.cut(size, first, last + 1) if first < last else span.cut(size, first + 1, last)
    return [{**view, axis: cut}]


def _reduce(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    view = image_view(node, views)
    if view is None:
        return None
    axes = [int(node.attrs["axis"])] if "axis" in node.attrs else integers(node, facts, "axes", 1)
    if axes is None:
        return [NOWHERE]
    if any(axis < 0 for axis in axes):
        rank = len(facts.shape(input_names(node)[0]))
        axes = [axis % rank for axis in axes]
    if node.attrs.get("keepdims", 1):
        return [{axis: span for axis, span in view.items() if axis not in axes}]
    renumbered = {axis: axis - sum(other < axis for other in axes) for axis in view if axis not in axes}
    return [moved(view, renumbered)]


def _product(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    """A matrix product: the rows of the first factor, and the columns of the second."""
    names = input_names(node)
    second_at = {"QLinearMatMul": 3, "QGemm": 3}.get(node.op, 1)
    output = output_names(node)[0]
    first, second = views.get(names[0], NOWHERE), views.get(names[second_at], NOWHERE) if len(names) > second_at else {}
    transposed = [bool(node.attrs.get(key, 0)) for key in ("transA", "transB")]
    if not first and not second:
        return [NOWHERE]
    if any(transposed) and (second or transposed[0]):
        return None
    view: dict[int, Span | TokenSpan] = {}
    if first:
        rank = len(facts.shape(names[0]))
        view |= {axis: span for axis, span in first.items() if axis < rank - 1}
    if second:
        rank, last = len(facts.shape(names[second_at])), len(facts.shape(output)) - 1
        if rank - 1 in second:
            view[last] = second[rank - 1]
    return [view]


def _expand(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    view = image_view(node, views)
    if view is None:
        return None
    names = input_names(node)
    before, after = facts.shape(names[0]), facts.shape(output_names(node)[0])
    shift = len(after) - len(before)
    kept = {axis: axis + shift for axis in view}
    same = all(before[axis] == after[axis + shift] for axis in view)
    return [moved(view, kept)] if same else None


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(("Concat", "QLinearConcat"), _concat),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(_PRODUCTS, _product),
    "Transpose": _transpose,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": _expand,
}
