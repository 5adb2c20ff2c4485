"""The table of rules: every operator that can be differentiated."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from onnx_cam.gradients import activation as act
from onnx_cam.gradients import arithmetic as math
from onnx_cam.gradients import attention, convolution, creation, indexing, pooling, reduction, resize, shape
from onnx_cam.gradients import integer_operators as integer
from onnx_cam.gradients import normalisation as norm
from onnx_cam.gradients import quantization as quant
from onnx_cam.gradients.node import Rule

__all__ = ["RULES"]

_ONNX: dict[str, Rule] = {
    # arithmetic
    "Abs": math.elementwise(torch.abs),
    "Add": math.pairwise(math.add),
    "Ceil": math.elementwise(torch.ceil),
    "Clip": math.clip,
    "Cos": math.elementwise(torch.cos),
    "Div": math.pairwise(math.divide),
    "Erf": math.elementwise(torch.erf),
    "Exp": math.elementwise(torch.exp),
    "Floor": math.elementwise(torch.floor),
    "Log": math.elementwise(torch.log),
    "Max": math.folded(torch.maximum),
    "Mean": math.mean,
    "Min": math.folded(torch.minimum),
    "Mod": math.modulo,
    "Mul": math.pairwise(torch.mul),
    "Neg": math.elementwise(torch.neg),
    "Pow": math.power,
    "Reciprocal": math.elementwise(torch.reciprocal),
    "Round": math.elementwise(torch.round),
    "Sign": math.elementwise(torch.sign),
    "Sin": math.elementwise(torch.sin),
    "Sqrt": math.elementwise(torch.sqrt),
    "Sub": math.pairwise(torch.sub),
    "Sum": math.folded(math.add),
    "Tan": math.elementwise(torch.tan),
    # comparisons and logic
    "And": math.pairwise(torch.logical_and),
    "Equal": math.pairwise(torch.eq),
    "Greater": math.pairwise(torch.gt),
    "GreaterOrEqual": math.pairwise(torch.ge),
    "IsInf": math.is_inf,
    "IsNaN": math.elementwise(torch.isnan),
    "Less": math.pairwise(torch.lt),
    "LessOrEqual": math.pairwise(torch.le),
    "Not": math.elementwise(torch.logical_not),
    "Or": math.pairwise(torch.logical_or),
    "Where": math.where,
    "Xor": math.pairwise(torch.logical_xor),
    # types and copies
    "Cast": math.cast,
    "CastLike": math.cast_like,
    "Dropout": math.dropout,
    "Identity": math.identity,
    # convolutions and matrix products
    "Conv": convolution.conv,
    "ConvTranspose": convolution.conv_transpose,
    "Einsum": convolution.einsum,
    "Gemm": convolution.gemm,
    "MatMul": convolution.matmul,
    # pooling
    "AveragePool": pooling.average_pool,
    "GlobalAveragePool": pooling.global_average_pool,
    "GlobalLpPool": pooling.global_lp_pool,
    "GlobalMaxPool": pooling.global_max_pool,
    "LpPool": pooling.lp_pool,
    "MaxPool": pooling.max_pool,
    # normalisations
    "BatchNormalization": norm.batch_normalization,
    "GroupNormalization": norm.group_normalization,
    "InstanceNormalization": norm.instance_normalization,
    "LRN": norm.lrn,
    "LayerNormalization": norm.layer_normalization,
    "LpNormalization": norm.lp_normalization,
    "MeanVarianceNormalization": norm.mean_variance_normalization,
    "RMSNormalization": norm.rms_normalization,
    "SimplifiedLayerNormalization": norm.rms_normalization,
    # activations
    "Celu": act.celu,
    "Elu": act.elu,
    "Gelu": act.gelu,
    "HardSigmoid": act.hard_sigmoid,
    "HardSwish": act.hard_swish,
    "Hardmax": act.hardmax,
    "LeakyRelu": act.leaky_relu,
    "LogSoftmax": act.log_softmax,
    "Mish": act.mish,
    "PRelu": act.prelu,
    "Relu": act.relu,
    "Selu": act.selu,
    "Shrink": act.shrink,
    "Sigmoid": math.elementwise(torch.sigmoid),
    "Softmax": act.softmax,
    "Softplus": act.softplus,
    "Softsign": act.softsign,
    "Swish": act.swish,
    "Tanh": math.elementwise(torch.tanh),
    "ThresholdedRelu": act.thresholded_relu,
    # reductions
    "ArgMax": reduction.arg_max,
    "ArgMin": reduction.arg_min,
    "CumSum": reduction.cumsum,
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
    "TopK": reduction.top_k,
    # shapes
    "Concat": shape.concat,
    "DepthToSpace": shape.depth_to_space,
    "Expand": shape.expand,
    "Flatten": shape.flatten,
    "Pad": shape.pad,
    "Reshape": shape.reshape,
    "Resize": resize.resize,
    "Shape": shape.shape_of,
    "Size": shape.size_of,
    "SpaceToDepth": shape.space_to_depth,
    "Split": shape.split,
    "Squeeze": shape.squeeze,
    "Tile": shape.tile,
    "Transpose": shape.transpose,
    "Unsqueeze": shape.unsqueeze,
    "Upsample": resize.upsample,
    # parts of a tensor
    "Gather": indexing.gather,
    "GatherElements": indexing.gather_elements,
    "GatherND": indexing.gather_nd,
    "Scatter": indexing.scatter_elements,
    "ScatterElements": indexing.scatter_elements,
    "ScatterND": indexing.scatter_nd,
    "Slice": indexing.slice_,
    # tensors created from shapes and numbers
    "Constant": creation.constant,
    "ConstantOfShape": creation.constant_of_shape,
    "EyeLike": creation.eye_like,
    "NonZero": creation.non_zero,
    "OneHot": creation.one_hot,
    "Range": creation.range_,
    "Trilu": creation.trilu,
    # quantized
    "ConvInteger": integer.conv_integer,
    "DequantizeLinear": quant.dequantize_linear,
    "DynamicQuantizeLinear": quant.dynamic_quantize_linear,
    "MatMulInteger": integer.matmul_integer,
    "QLinearConv": integer.qlinear_conv,
    "QLinearMatMul": integer.qlinear_matmul,
    "QuantizeLinear": quant.quantize_linear,
    # attention
    "Attention": attention.attention,
}

_MICROSOFT: dict[str, Rule] = {
    "Attention": attention.microsoft_attention,
    "BiasGelu": act.bias_gelu,
    "DequantizeLinear": quant.dequantize_linear,
    "FastGelu": act.fast_gelu,
    "FusedConv": convolution.fused_conv,
    "FusedMatMul": convolution.fused_matmul,
    "Gelu": act.gelu,
    "LayerNormalization": norm.layer_normalization,
    "MatMulIntegerToFloat": integer.matmul_integer_to_float,
    "MultiHeadAttention": attention.multi_head_attention,
    "QGemm": integer.qgemm,
    "QLinearAdd": integer.qlinear_add,
    "QLinearAveragePool": integer.qlinear_average_pool,
    "QLinearConcat": integer.qlinear_concat,
    "QLinearConv": integer.qlinear_conv,
    "QLinearGlobalAveragePool": integer.qlinear_global_average_pool,
    "QLinearLeakyRelu": integer.qlinear_leaky_relu,
    "QLinearMul": integer.qlinear_mul,
    "QLinearReduceMean": integer.qlinear_reduce_mean,
    "QLinearSigmoid": integer.qlinear_sigmoid,
    "QLinearSoftmax": integer.qlinear_softmax,
    "QuantizeLinear": quant.quantize_linear,
    "QuickGelu": act.quick_gelu,
    "SimplifiedLayerNormalization": norm.rms_normalization,
    "SkipLayerNormalization": norm.skip_layer_normalization,
    "SkipSimplifiedLayerNormalization": norm.skip_rms_normalization,
}

RULES: Mapping[str, Mapping[str, Rule]] = {"": _ONNX, "com.microsoft": _MICROSOFT}
"""Domain to operator to rule; ONNX's own domain is empty. ``If`` is not here: `GraphModule` runs its branches."""
