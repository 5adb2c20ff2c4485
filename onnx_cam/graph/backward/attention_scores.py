"""The gradient of softmax(scale · Q Kᵀ) V, of queries, keys and values as (B, heads, S, D).

The scores and their softmax are computed again: no operator keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.emitter import Emitter, Source
from onnx_cam.graph.backward.softmax import softmax_backward

__all__ = ["AttentionGradients", "Scores", "attention_backward", "causal_bias"]

_LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True, eq=False)
class Scores:
    """How the products of S queries and T keys become scores.

    Attributes
    ----------
    scale : float
    softcap : float
        c in ``c · tanh(products / c)``; 0 for none.
    bias : ndarray, optional
        A constant that is added, (S, T).
    mask : str, optional
        What is added to the scores, or truth values that tell which keys a query may attend to, (…, S, T).
    is_truth : bool
        Whether the mask holds truth values.
    """

    scale: float
    softcap: float = 0.0
    bias: NDArray[Any] | None = None
    mask: str | None = None
    is_truth: bool = False


@dataclass(frozen=True)
class AttentionGradients:
    """The gradients at the queries, keys and values, and at the scores, (B, heads, S, T), to which a mask is added."""

    query: str
    key: str
    value: str
    scores: str


def causal_bias(queries: int, keys: int, past: int = 0) -> NDArray[Any]:
    """Return −∞ where query i may not attend to a key, which is behind key i + past, (queries, keys) float32.

    Examples
    --------
    >>> causal_bias(2, 3)
    array([[  0., -inf, -inf],
           [  0.,   0., -inf]], dtype=float32)
    """
    is_behind = np.triu(np.ones((queries, keys), bool), past + 1)
    return np.where(is_behind, -np.inf, 0).astype(np.float32)


def attention_backward(
    emit: Emitter, gradient: str, operands: tuple[str, str, str], settings: Scores
) -> AttentionGradients:
    """Return the gradients in front of attention.

    Parameters
    ----------
    emit : Emitter
    gradient : str
        At the output, (B, heads, S, D').
    operands : (str, str, str)
        Queries (B, heads, S, D), keys (B, heads, T, D) and values (B, heads, T, D').
    settings : Scores
    """
    query, key, value = operands
    # Forwards again: the weights are (B, heads, S, T).
    scores = emit.add("Mul", emit.add("MatMul", query, _flipped(emit, key)), settings.scale)
    bend = emit.add("Tanh", emit.add("Div", scores, settings.softcap)) if settings.softcap else None
    weights = _weights(emit, emit.add("Mul", bend, settings.softcap) if bend else scores, settings)

    # Backwards through the product with the values, the softmax, the softcap, and the product with the keys.
    at_value = emit.add("MatMul", _flipped(emit, weights), gradient)
    at_weights = emit.add("MatMul", gradient, _flipped(emit, value))
    at_scores = softmax_backward(emit, at_weights, weights, [3])
    scaled = emit.add("Mul", at_scores, settings.scale)
    if bend:
        scaled = emit.add("Mul", scaled, emit.add("Sub", 1.0, emit.square(bend)))
    at_query, at_key = emit.add("MatMul", scaled, key), emit.add("MatMul", _flipped(emit, scaled), query)
    return AttentionGradients(at_query, at_key, at_value, at_scores)


def _weights(emit: Emitter, scores: str, settings: Scores) -> str:
    """Return the softmax over the keys; 0 in rows in which every key is masked out."""
    others: list[Source] = [settings.bias, None if settings.is_truth else settings.mask]
    for other in others:
        scores = scores if other is None else emit.add("Add", scores, other)
    if settings.mask is None:
        return emit.add("Softmax", scores, axis=3)
    if settings.is_truth:
        scores = emit.add("Where", settings.mask, scores, -np.inf)
    is_masked = emit.add("Less", emit.reduce("ReduceMax", scores, [3]), _LOWEST)
    return emit.add("Where", is_masked, 0.0, emit.add("Softmax", scores, axis=3))  # in place of NaN


def _flipped(emit: Emitter, tensor: str) -> str:
    return emit.transpose(tensor, [0, 1, 3, 2])
