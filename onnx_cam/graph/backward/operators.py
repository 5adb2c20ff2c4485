"""The table of rules: every operator whose gradient can be written as a graph."""

from __future__ import annotations

from collections.abc import Mapping

from onnx_cam.graph.backward import activation as act
from onnx_cam.graph.backward import arithmetic as math
from onnx_cam.graph.backward import (
    convolution,
    cumulative,
    fused_convolution,
    indexing,
    max_pooling,
    pooling,
    products,
    resize,
    scatter,
    shape,
    transposed_convolution,
)
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
    "ConvTranspose": transposed_convolution.conv_transpose,
    "Gemm": products.gemm,
    "MatMul": products.matmul,
    # pooling
    "AveragePool": pooling.average_pool,
    "GlobalAveragePool": pooling.global_average_pool,
    "GlobalLpPool": pooling.global_lp_pool,
    "GlobalMaxPool": pooling.global_max_pool,
    "LpPool": pooling.lp_pool,
    "MaxPool": max_pooling.max_pool,
    # normalisations
    "BatchNormalization": norm.batch_normalization,
    # activations
    "Clip": act.clip,
    "Relu": act.relu,
    # reductions
    "CumSum": cumulative.cumsum,
    "TopK": indexing.top_k,
    # shapes
    "Concat": shape.concat,
    "DepthToSpace": shape.depth_to_space,
    "Expand": shape.expand,
    "Flatten": shape.reshaped,
    "Pad": shape.pad,
    "Reshape": shape.reshaped,
    "Resize": resize.resize,
    "SpaceToDepth": shape.space_to_depth,
    "Split": shape.split,
    "Squeeze": shape.reshaped,
    "Tile": shape.tile,
    "Transpose": shape.transpose,
    "Unsqueeze": shape.reshaped,
    "Upsample": resize.upsample,
    # parts of a tensor
    "Gather": indexing.gather,
    "GatherElements": indexing.gather_elements,
    "GatherND": indexing.gather_nd,
    "Scatter": scatter.scatter_elements,
    "ScatterElements": scatter.scatter_elements,
    "ScatterND": scatter.scatter_nd,
    "Slice": indexing.slice_,
    "Trilu": shape.trilu,
}

_MICROSOFT: dict[str, Rule] = {
    "FusedConv": fused_convolution.fused_conv,
}

RULES: Mapping[str, Mapping[str, Rule]] = {"": _ONNX, "com.microsoft": _MICROSOFT}
"""Domain to operator to rule; ONNX's own domain is empty."""

ENDS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        (
            *("Shape", "Size", "ArgMax", "ArgMin", "NonZero", "IsNaN", "IsInf"),
            *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor"),
            *("EyeLike", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"),
            *("ConstantOfShape", "OneHot", "Range"),
        )
    ),
}
"""Operators whose outputs have no gradient: shapes, positions, truth values, and random numbers."""
