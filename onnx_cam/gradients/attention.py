"""Attention as a single operator: ONNX's own, since opset 23, and those of com.microsoft."""

from __future__ import annotations

import torch
from torch import Tensor

from onnx_cam.gradients.node import Node
from onnx_cam.gradients.shape import parts

__all__ = ["attention", "microsoft_attention", "multi_head_attention"]


def attention(
    node: Node,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """ONNX's Attention on (B, heads, S, D), or on (B, S, heads · D) with the numbers of heads as attributes."""
    # Bring all inputs into the form (B, heads, S, D), and put past keys and values before the new ones.
    flat = query.ndim == 3
    if flat:
        query = _heads(query, node.attributes["q_num_heads"])
        key, value = (_heads(t, node.attributes["kv_num_heads"]) for t in (key, value))
    key = key if past_key is None else torch.cat([past_key, key], 2)
    value = value if past_value is None else torch.cat([past_value, value], 2)

    # Grouped queries: several heads of the query share one head of the key and the value.
    scale = node.get("scale", query.shape[-1] ** -0.5)
    groups = query.shape[1] // key.shape[1]
    wide_key, wide_value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)

    # The scores are (B, heads, S, T) for S queries and T keys.
    scores = query @ wide_key.mT * scale
    if softcap := node.get("softcap", 0.0):
        scores = softcap * torch.tanh(scores / softcap)
    past = 0 if past_key is None else past_key.shape[2]
    scores = _masked(scores, mask, causal=bool(node.get("is_causal", 0)), past=past)
    y = _softmax_of_allowed(scores) @ wide_value
    return (_joined(y) if flat else y), key, value


def microsoft_attention(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None, *masks: Tensor) -> Tensor:
    """com.microsoft's Attention, without a mask or past keys and values: projection, heads, softmax."""
    if any(mask is not None for mask in masks):
        raise ValueError("masks and past keys and values are not supported")
    projected = x @ weight if bias is None else x @ weight + bias
    sizes = node.ints("qkv_hidden_sizes") or [projected.shape[-1] // 3] * 3
    query, key, value = parts(projected, sizes, -1)
    return _attend(node, query, key, value, causal=bool(node.get("unidirectional", 0)))


def multi_head_attention(
    node: Node, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None, *masks: Tensor
) -> Tensor:
    """com.microsoft's MultiHeadAttention on (B, S, heads · D), without a mask or past keys and values."""
    if any(mask is not None for mask in masks) or query.ndim != 3:
        raise ValueError("only three-dimensional inputs without masks or past keys and values are supported")
    if bias is not None:
        biases = parts(bias, [query.shape[-1], key.shape[-1], value.shape[-1]], 0)
        query, key, value = (t + b for t, b in zip((query, key, value), biases, strict=True))
    return _attend(node, query, key, value, causal=bool(node.get("unidirectional", 0)))


def _attend(node: Node, query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Tensor:
    """Return attention over (B, S, heads · D) without a mask."""
    query, key, value = (_heads(t, node.attributes["num_heads"]) for t in (query, key, value))
    scale = node.get("scale", 0.0) or query.shape[-1] ** -0.5
    scores = _masked(query @ key.mT * scale, None, causal=causal)
    return _joined(torch.softmax(scores, -1) @ value)


def _softmax_of_allowed(scores: Tensor) -> Tensor:
    """Return the softmax over the last axis; 0 in rows in which every position is masked out."""
    is_masked = torch.isneginf(scores).all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(is_masked, 0), -1).masked_fill(is_masked, 0)


def _heads(x: Tensor, count: int) -> Tensor:
    return x.reshape(*x.shape[:-1], count, -1).transpose(1, 2)  # (B, heads, S, D)


def _joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)  # (B, S, heads · D)


def _masked(scores: Tensor, mask: Tensor | None, *, causal: bool, past: int = 0) -> Tensor:
    """Return scores of −∞ where attention is not allowed; a mask of floats is added instead.

    With `causal`, query i may attend to the keys 0 to i + past.
    """
    if causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril(past)
        scores = scores.masked_fill(~allowed, -torch.inf)
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
