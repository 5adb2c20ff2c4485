"""The table of rules: every operator whose gradient can be written as a graph."""

from __future__ import annotations

from collections.abc import Mapping

from onnx_cam.graph.backward import activation as act
from onnx_cam.graph.backward import arithmetic as math
from onnx_cam.graph.backward import convolution, pooling, products, shape
from onnx_cam.graph.backward import normalisation as norm
from onnx_cam.graph.backward.step import Rule

__all__ = ["ENDS", "RULES"]

_ONNX: dict[str, Rule] = {
    # arithmetic
    "Add": math.add,
    "Div": math.divide,
    "Mul": math.multiply,
    "Sub": math.subtract,
    "Sum": math.total,
    # types and copies
    "Dropout": act.identity,
    "Identity": act.identity,
    # convolutions and matrix products
    "Conv": convolution.conv,
    "Gemm": products.gemm,
    "MatMul": products.matmul,
    # pooling
    "GlobalAveragePool": pooling.global_average_pool,
    # normalisations
    "BatchNormalization": norm.batch_normalization,
    # activations
    "Clip": act.clip,
    "Relu": act.relu,
    # shapes
    "Flatten": shape.reshaped,
    "Reshape": shape.reshaped,
    "Squeeze": shape.reshaped,
    "Unsqueeze": shape.reshaped,
}

_MICROSOFT: dict[str, Rule] = {}

RULES: Mapping[str, Mapping[str, Rule]] = {"": _ONNX, "com.microsoft": _MICROSOFT}
"""Domain to operator to rule; ONNX's own domain is empty."""

ENDS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        (
            *("Shape", "Size", "ArgMax", "ArgMin", "NonZero", "IsNaN", "IsInf"),
            *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor"),
            *("EyeLike", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"),
        )
    ),
}
"""Operators whose outputs have no gradient: shapes, positions, truth values, and random numbers."""
