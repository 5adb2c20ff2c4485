"""The table of rules: every operator whose gradient can be written as a graph."""

from __future__ import annotations

from collections.abc import Mapping

from onnx_cam.graph.backward import activation as act
from onnx_cam.graph.backward import arithmetic as math
from onnx_cam.graph.backward import (
    attention,
    convolution,
    cumulative,
    fused_convolution,
    gelu,
    indexing,
    max_pooling,
    pooling,
    products,
    reduction,
    resize,
    scatter,
    shape,
    softmax,
    transposed_convolution,
)
from onnx_cam.graph.backward import einsum as named_axes
from onnx_cam.graph.backward import elementary as function
from onnx_cam.graph.backward import integer_operators as integer
from onnx_cam.graph.backward import integer_products as sums
from onnx_cam.graph.backward import layer_normalisation as layer_norm
from onnx_cam.graph.backward import normalisation as norm
from onnx_cam.graph.backward import quantization as quant
from onnx_cam.graph.backward.step import Rule

__all__ = ["ENDS", "RULES"]

_ONNX: dict[str, Rule] = {
    # arithmetic
    "Abs": function.absolute,
    "Add": math.add,
    "Ceil": function.piecewise_constant,
    "Cos": function.cosine,
    "Div": math.divide,
    "Erf": function.erf,
    "Exp": function.exponential,
    "Floor": function.piecewise_constant,
    "Log": function.logarithm,
    "Max": math.maximum,
    "Mean": math.mean,
    "Min": math.minimum,
    "Mod": math.modulo,
    "Mul": math.multiply,
    "Neg": function.negative,
    "Pow": math.power,
    "Reciprocal": function.reciprocal,
    "Round": function.piecewise_constant,
    "Sign": function.piecewise_constant,
    "Sin": function.sine,
    "Sqrt": function.square_root,
    "Sub": math.subtract,
    "Sum": math.total,
    "Tan": function.tangent,
    "Where": math.where,
    # types and copies
    "Cast": math.cast,
    "CastLike": math.cast_like,
    "Dropout": act.identity,
    "Identity": act.identity,
    # convolutions and matrix products
    "Conv": convolution.conv,
    "ConvTranspose": transposed_convolution.conv_transpose,
    "Einsum": named_axes.einsum,
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
    "GroupNormalization": norm.group_normalization,
    "InstanceNormalization": norm.instance_normalization,
    "LRN": norm.lrn,
    "LayerNormalization": layer_norm.layer_normalization,
    "LpNormalization": norm.lp_normalization,
    "MeanVarianceNormalization": norm.mean_variance_normalization,
    "RMSNormalization": layer_norm.rms_normalization,
    "SimplifiedLayerNormalization": layer_norm.rms_normalization,
    # activations
    "Celu": act.celu,
    "Clip": act.clip,
    "Elu": act.elu,
    "Gelu": gelu.gelu,
    "HardSigmoid": act.hard_sigmoid,
    "HardSwish": act.hard_swish,
    "LeakyRelu": act.leaky_relu,
    "LogSoftmax": softmax.log_softmax,
    "Mish": act.mish,
    "PRelu": act.prelu,
    "Relu": act.relu,
    "Selu": act.selu,
    "Shrink": act.shrink,
    "Sigmoid": function.sigmoid,
    "Softmax": softmax.softmax,
    "Softplus": act.softplus,
    "Softsign": act.softsign,
    "Swish": act.swish,
    "Tanh": function.tanh,
    "ThresholdedRelu": act.thresholded_relu,
    # reductions
    "CumSum": cumulative.cumsum,
    "ReduceL1": reduction.reduction(reduction.l1),
    "ReduceL2": reduction.reduction(reduction.l2),
    "ReduceLogSum": reduction.reduction(reduction.log_sum),
    "ReduceLogSumExp": reduction.reduction(reduction.log_sum_exp),
    "ReduceMax": reduction.reduction(reduction.maximum),
    "ReduceMean": reduction.reduction(reduction.mean),
    "ReduceMin": reduction.reduction(reduction.minimum),
    "ReduceProd": reduction.reduction(reduction.product),
    "ReduceSum": reduction.reduction(reduction.total),
    "ReduceSumSquare": reduction.reduction(reduction.sum_square),
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
    # quantized
    "ConvInteger": sums.conv_integer,
    "DequantizeLinear": quant.dequantize_linear,
    "DynamicQuantizeLinear": quant.dynamic_quantize_linear,
    "MatMulInteger": sums.matmul_integer,
    "QLinearConv": sums.qlinear_conv,
    "QLinearMatMul": sums.qlinear_matmul,
    "QuantizeLinear": quant.quantize_linear,
    # attention
    "Attention": attention.attention,
}

_MICROSOFT: dict[str, Rule] = {
    "Attention": attention.microsoft_attention,
    "BiasGelu": gelu.bias_gelu,
    "DequantizeLinear": quant.dequantize_linear,
    "FastGelu": gelu.fast_gelu,
    "FusedConv": fused_convolution.fused_conv,
    "FusedMatMul": products.fused_matmul,
    "Gelu": gelu.gelu,
    "LayerNormalization": layer_norm.layer_normalization,
    "MatMulIntegerToFloat": sums.matmul_integer_to_float,
    "MultiHeadAttention": attention.multi_head_attention,
    "QGemm": sums.qgemm,
    "QLinearAdd": integer.qlinear_add,
    "QLinearAveragePool": integer.qlinear_average_pool,
    "QLinearConcat": integer.qlinear_concat,
    "QLinearConv": sums.qlinear_conv,
    "QLinearGlobalAveragePool": integer.qlinear_global_average_pool,
    "QLinearLeakyRelu": integer.qlinear_leaky_relu,
    "QLinearMul": integer.qlinear_mul,
    "QLinearSigmoid": integer.qlinear_sigmoid,
    "QLinearSoftmax": integer.qlinear_softmax,
    "QuantizeLinear": quant.quantize_linear,
    "QuickGelu": act.quick_gelu,
    "SimplifiedLayerNormalization": layer_norm.rms_normalization,
    "SkipLayerNormalization": layer_norm.skip_layer_normalization,
    "SkipSimplifiedLayerNormalization": layer_norm.skip_rms_normalization,
}

RULES: Mapping[str, Mapping[str, Rule]] = {"": _ONNX, "com.microsoft": _MICROSOFT}
"""Domain to operator to rule; ONNX's own domain is empty."""

ENDS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        (
            *("Shape", "Size", "ArgMax", "ArgMin", "NonZero", "IsNaN", "IsInf"),
            *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor"),
            *("Cast", "Hardmax"),  # Cast to integers only
            *("EyeLike", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"),
            *("ConstantOfShape", "Range"),
        )
    ),
}
"""Operators whose outputs have no gradient: shapes, positions, truth values, and random numbers."""
