"""Attention as a single operator: ONNX's own, since opset 23, and those of com.microsoft."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnx_cam.graph.backward.attention_scores import Scores, attention_backward, causal_bias
from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.step import Gradients, NoRule, Step
from onnx_cam.graph.backward.windows import fixed_sizes

__all__ = ["attention", "microsoft_attention", "multi_head_attention"]

_QUERY, _KEY, _VALUE, _MASK, _PAST_KEY, _PAST_VALUE, _LENGTHS = range(7)


def attention(step: Step) -> Gradients:
    """ONNX's Attention on (B, heads, S, D), or on (B, S, heads · D) with the numbers of heads as attributes."""
    if step.has_input(_LENGTHS) or any(step.gradients[3:]):
        raise NoRule("lengths of keys and the products of queries and keys are not supported")
    emit = step.emit
    by_heads = {place: _by_heads(step, place) for place in (_QUERY, _KEY, _VALUE)}
    query, (batch, heads, queries, width) = by_heads[_QUERY]
    past = fixed_sizes(step.shape(_PAST_KEY)[2:3])[0] if step.has_input(_PAST_KEY) else 0
    keys = past + fixed_sizes(by_heads[_KEY][1][2:3])[0]
    groups = fixed_sizes([heads])[0] // fixed_sizes(by_heads[_KEY][1][1:2])[0]
    gradient = step.gradient
    if len(step.shape()) == 3:
        gradient = _split(emit, gradient, step.output_shape(), heads)[0]

    # Past keys and values come before the new ones, and groups of heads share them.
    wide: list[str] = []
    for place, past_place in ((_KEY, _PAST_KEY), (_VALUE, _PAST_VALUE)):
        tensor, (_, _, _, size) = by_heads[place]
        if step.has_input(past_place):
            tensor = emit.add("Concat", step.value(past_place), tensor, axis=2)
        wide.append(_repeated(emit, tensor, groups, (batch, heads, keys, size)))
    settings = Scores(
        scale=step.attribute("scale", fixed_sizes([width])[0] ** -0.5),
        softcap=step.attribute("softcap", 0.0),
        bias=causal_bias(fixed_sizes([queries])[0], keys, past) if step.attribute("is_causal", 0) else None,
        mask=_mask(step, keys),
        is_truth=step.has_input(_MASK) and not step.input_facts(_MASK).is_float,
    )
    found = attention_backward(emit, gradient, (query, wide[0], wide[1]), settings)

    # Back to the inputs' own form; the keys and values with past ones are outputs, too.
    gradients: dict[int, str | None] = {_QUERY: _as_input(step, found.query, _QUERY)}
    if step.wants(_MASK):
        gradients[_MASK] = step.unbroadcast(found.scores, _MASK, (batch, heads, queries, keys))
    for output, (place, past_place, one) in enumerate(
        ((_KEY, _PAST_KEY, found.key), (_VALUE, _PAST_VALUE, found.value)), start=1
    ):
        _, shared_heads, _, size = by_heads[place][1]
        above = step.gradients[output] if output < len(step.gradients) else None
        total = _summed(emit, one, (batch, shared_heads, groups, keys, size))
        total = emit.total([total, above]) if above else total
        if step.wants(place):
            gradients[place] = _as_input(step, emit.slice(total, [past], [keys], [2]) if past else total, place)
        if step.wants(past_place):
            gradients[past_place] = emit.slice(total, [0], [past], [2])
    return gradients


def microsoft_attention(step: Step) -> Gradients:
    """com.microsoft's Attention, without a mask or past keys and values: projection, heads, softmax."""
    _check_plain(step, first_mask=3)
    if step.wants(1) or step.wants(2) or step.attribute("do_rotary", 0):
        raise NoRule("its weights depend on the layer, or it rotates")
    emit = step.emit
    batch, count, _ = step.shape()
    projected = emit.add("MatMul", step.value(0), step.value(1))
    if step.has_input(2):
        projected = emit.add("Add", projected, step.value(2))
    width = fixed_sizes(step.shape(1)[1:])[0]
    sizes = step.ints("qkv_hidden_sizes") or [width // 3] * 3
    starts = [sum(sizes[:i]) for i in range(3)]
    tensors = [emit.slice(projected, [start], [start + size], [2]) for start, size in zip(starts, sizes, strict=True)]
    found = _attend(step, tensors, [(batch, count, size) for size in sizes])
    rows = emit.reshape(emit.add("Concat", *found, axis=2), (None, width))
    # Gemm reads the weights transposed: a Transpose of weights would be a second copy of them.
    return {0: step.like_input(emit.gemm(rows, step.value(1), transB=1))}


def multi_head_attention(step: Step) -> Gradients:
    """com.microsoft's MultiHeadAttention on (B, S, heads · D), without a mask or past keys and values."""
    _check_plain(step, first_mask=4)
    places = (_QUERY, _KEY, _VALUE)
    if not all(step.has_input(place) and len(step.shape(place)) == 3 for place in places):
        raise NoRule("only three-dimensional queries, keys and values are supported")
    if step.wants(3):
        raise NoRule("its bias depends on the layer")
    emit = step.emit
    shapes, tensors = [step.shape(place) for place in places], [step.value(place) for place in places]
    if step.has_input(3):
        sizes = fixed_sizes([shape[2] for shape in shapes])
        starts = [sum(sizes[:i]) for i in range(3)]
        biases = [
            emit.slice(step.value(3), [start], [start + size], [0]) for start, size in zip(starts, sizes, strict=True)
        ]
        tensors = [emit.add("Add", tensor, bias) for tensor, bias in zip(tensors, biases, strict=True)]
    return dict(zip(places, _attend(step, tensors, shapes), strict=True))


def _check_plain(step: Step, first_mask: int) -> None:
    if any(step.has_input(place) for place in range(first_mask, len(step.node.input))) or any(step.gradients[1:]):
        raise NoRule("masks and past keys and values are not supported")


def _attend(step: Step, tensors: Sequence[str], shapes: Sequence[Shape]) -> list[str]:
    """Return the gradients at queries, keys and values (B, S, heads · D) of one of com.microsoft's operators."""
    emit, heads = step.emit, step.attribute("num_heads", 1)
    split = [_split(emit, tensor, shape, heads) for tensor, shape in zip(tensors, shapes, strict=True)]
    _, queries, width = fixed_sizes([1, *shapes[0][1:]])
    causal = step.attribute("unidirectional", 0)
    settings = Scores(
        scale=step.attribute("scale", 0.0) or (width // heads) ** -0.5,
        bias=causal_bias(queries, fixed_sizes(shapes[1][1:2])[0]) if causal else None,
    )
    gradient = _split(emit, step.gradient, step.output_shape(), heads)[0]
    (query, _), (key, _), (value, _) = split
    found = attention_backward(emit, gradient, (query, key, value), settings)
    every = (found.query, found.key, found.value)
    return [_joined(emit, one, shape) for one, shape in zip(every, shapes, strict=True)]


def _by_heads(step: Step, place: int) -> tuple[str, Shape]:
    """Return an input as (B, heads, S, D), and its shape."""
    if len(step.shape(place)) == 4:
        return step.value(place), step.shape(place)
    heads = step.attribute("q_num_heads" if place == _QUERY else "kv_num_heads", 1)
    return _split(step.emit, step.value(place), step.shape(place), heads)


def _as_input(step: Step, gradient: str, place: int) -> str:
    shape = step.shape(place)
    return gradient if len(shape) == 4 else _joined(step.emit, gradient, shape)


def _split(emit: Emitter, tensor: str, shape: Shape, heads: int | None) -> tuple[str, Shape]:
    """Return a tensor (B, S, heads · D) as (B, heads, S, D), and its new shape."""
    batch, count, width = shape
    (each,) = fixed_sizes([None if width is None or heads is None else width // heads])
    parts = emit.reshape(tensor, (batch, count, heads, each))
    return emit.transpose(parts, [0, 2, 1, 3]), (batch, heads, count, each)


def _joined(emit: Emitter, tensor: str, shape: Shape) -> str:
    """Return a tensor (B, heads, S, D) in a shape (B, S, heads · D)."""
    return emit.reshape(emit.transpose(tensor, [0, 2, 1, 3]), shape)


def _repeated(emit: Emitter, tensor: str, groups: int, shape: Shape) -> str:
    """Return keys or values, each head repeated for the heads of the queries that share it, (B, heads, T, D)."""
    if groups == 1:
        return tensor
    ones = np.ones((groups, 1, 1), np.float32)
    return emit.reshape(emit.add("Mul", emit.unsqueeze(tensor, [2]), ones), shape)


def _summed(emit: Emitter, gradient: str, shape: Shape) -> str:
    """Return the gradient at heads that are shared, from that at the repeated ones as (B, heads, groups, T, D)."""
    if shape[2] == 1:
        return gradient
    return emit.reduce("ReduceSum", emit.reshape(gradient, shape), [2], keepdims=False)


def _mask(step: Step, keys: int) -> str | None:
    if not step.has_input(_MASK):
        return None
    if step.shape(_MASK)[-1] not in (1, keys):
        raise NoRule("its mask does not cover all keys")
    return step.value(_MASK) if step.input_facts(_MASK).is_float else step.node.input[_MASK]
