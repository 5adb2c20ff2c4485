"""Matrix products."""

from __future__ import annotations

from typing import Any

from onnx_cam.graph.backward.step import Gradients, NoRule, Step

__all__ = ["fused_matmul", "gemm", "matmul"]


def gemm(step: Step) -> Gradients:
    """``alpha · A' B' + beta · C``, where A' and B' may be transposed."""
    alpha, beta = step.attribute("alpha", 1.0), step.attribute("beta", 1.0)
    flip_a, flip_b = bool(step.attribute("transA", 0)), bool(step.attribute("transB", 0))
    g = step.gradient
    gradients: dict[int, str | None] = {}
    if step.wants(0):  # ∂A' = g B'ᵀ
        left, right = (g, step.value(1)) if not flip_a else (step.value(1), g)
        flips: dict[str, Any] = {"transB": int(not flip_b)} if not flip_a else {"transA": int(flip_b), "transB": 1}
        gradients[0] = step.emit.gemm(left, right, alpha=alpha, **flips)
    if step.wants(1):  # ∂B' = A'ᵀ g
        left, right = (step.value(0), g) if not flip_b else (g, step.value(0))
        flips = {"transA": int(not flip_a)} if not flip_b else {"transA": 1, "transB": int(flip_a)}
        gradients[1] = step.emit.gemm(left, right, alpha=alpha, **flips)
    if step.wants(2):
        gradients[2] = step.unbroadcast(g if beta == 1 else step.emit.add("Mul", g, float(beta)), 2)
    return gradients


def matmul(step: Step) -> Gradients:
    """A product of matrices, whose leading axes are broadcast; of matrices and constant weights, by Gemm."""
    left, right = step.shape(0), step.shape(1)
    if len(left) < 2 or len(right) < 2:
        return _with_vector(step)
    gradients: dict[int, str | None] = {}
    if step.wants(0) and len(right) == 2:
        # Gemm reads the weights transposed: a Transpose of weights would be a second copy of them.
        rows = step.emit.reshape(step.gradient, (None, step.output_shape()[-1]))
        product = step.emit.gemm(rows, step.value(1), transB=1)
        gradients[0] = step.like_input(product, 0)
    elif step.wants(0):
        product = step.emit.add("MatMul", step.gradient, _flipped(step, 1))
        gradients[0] = _unbroadcast(step, product, 0)
    if step.wants(1):
        product = step.emit.add("MatMul", _flipped(step, 0), step.gradient)
        gradients[1] = _unbroadcast(step, product, 1)
    return gradients


def fused_matmul(step: Step) -> Gradients:
    """com.microsoft's FusedMatMul, ``alpha · A' B'``, where A' and B' may be transposed."""
    transposed_batch = step.attribute("transBatchA", 0) or step.attribute("transBatchB", 0)
    if min(len(step.shape(0)), len(step.shape(1))) < 2 or transposed_batch:
        raise NoRule("vectors and transposed batches are not supported")
    emit, alpha = step.emit, step.attribute("alpha", 1.0)
    flip_a, flip_b = bool(step.attribute("transA", 0)), bool(step.attribute("transB", 0))
    g = step.gradient if alpha == 1 else emit.add("Mul", step.gradient, alpha)
    gradients: dict[int, str | None] = {}
    if step.wants(0) and not flip_a and not flip_b and len(step.shape(1)) == 2:  # as in `matmul`
        rows = emit.reshape(g, (None, step.output_shape()[-1]))
        gradients[0] = step.like_input(emit.gemm(rows, step.value(1), transB=1), 0)
    elif step.wants(0):  # ∂A = g B'ᵀ, or B' gᵀ
        factor = step.value(1) if flip_a != flip_b else _flipped(step, 1)
        pair = (factor, _turned(step, g)) if flip_a else (g, factor)
        gradients[0] = _unbroadcast(step, emit.add("MatMul", *pair), 0)
    if step.wants(1):  # ∂B = A'ᵀ g, or gᵀ A'
        factor = step.value(0) if flip_a != flip_b else _flipped(step, 0)
        pair = (_turned(step, g), factor) if flip_b else (factor, g)
        gradients[1] = _unbroadcast(step, emit.add("MatMul", *pair), 1)
    return gradients


def _flipped(step: Step, place: int) -> str:
    return step.emit.transpose(step.value(place), _last_two_swapped(len(step.shape(place))))


def _turned(step: Step, gradient: str) -> str:
    return step.emit.transpose(gradient, _last_two_swapped(len(step.output_shape())))


def _last_two_swapped(rank: int) -> list[int]:
    return [*range(rank - 2), rank - 1, rank - 2]


def _unbroadcast(step: Step, product: str, place: int) -> str:
    """Return a product summed over the leading axes along which an operand was broadcast."""
    wide, narrow = step.output_shape()[:-2], step.shape(place)[:-2]
    missing = len(wide) - len(narrow)
    padded = (1,) * missing + tuple(narrow)
    axes = [axis for axis, (n, m) in enumerate(zip(wide, padded, strict=True)) if m == 1 and n != 1]
    summed = step.emit.reduce("ReduceSum", product, axes)
    return step.like_input(summed, place) if missing else summed


def _with_vector(step: Step) -> Gradients:
    """A product where one operand is a vector, which counts as one row or one column."""
    left, right = step.shape(0), step.shape(1)
    if len(left) == len(right) == 1:
        g = step.gradient
        return {0: step.emit.add("Mul", g, step.value(1)), 1: step.emit.add("Mul", g, step.value(0))}
    gradients: dict[int, str | None] = {}
    if len(right) == 1:  # (…, n, k) · (k): the gradient (…, n) is a column
        column = step.emit.reshape(step.gradient, (*step.output_shape(), 1), None)
        if step.wants(0):
            gradients[0] = step.emit.add("Mul", column, step.value(1))
        if step.wants(1):
            product = step.emit.add("Mul", column, step.value(0))
            axes = list(range(len(left) - 1))
            gradients[1] = step.like_input(step.emit.reduce("ReduceSum", product, axes), 1)
        return gradients
    row = step.emit.reshape(step.gradient, (*step.output_shape()[:-1], 1, step.output_shape()[-1]), None)
    if step.wants(0):
        product = step.emit.add("Mul", row, step.value(1))  # (…, k, m)
        axes = [axis for axis in range(len(right)) if axis != len(right) - 2]
        gradients[0] = step.like_input(step.emit.reduce("ReduceSum", product, axes), 0)
    if step.wants(1):
        gradients[1] = step.emit.add("Mul", row, step.emit.reshape(step.value(0), (left[0], 1)))
    return gradients
