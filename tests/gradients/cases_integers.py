"""Cases of quantized operators and of attention."""

from __future__ import annotations

import numpy as np

from tests.gradients.one_node import Case, floats, int8, int32, number, positive, uint8

MS = "com.microsoft"
X = floats(2, 4, 6, 5) * 2
SCALE, ZERO = number(0.05), number(120, "uint8")
A = [number(0.02), number(128, "uint8")]
Y = [number(0.04), number(100, "uint8")]
PIXELS = uint8(1, 4, 6, 6)
WEIGHT = int8(5, 4, 3, 3)
CHANNEL_SCALES, CHANNEL_ZEROS = positive(5) / 100, np.zeros(5, np.int8)
OUT = [number(0.5), number(100, "uint8")]
FINE = [number(0.011), number(101, "uint8")]  # clips

QUANTIZED = [
    Case("QuantizeLinear", [X, SCALE, ZERO]),
    Case("QuantizeLinear", [X, SCALE]),
    Case("QuantizeLinear", [X, SCALE, number(-3, "int8")]),
    Case("QuantizeLinear", [X, positive(4) / 50, uint8(4)], {"axis": 1}),
    Case("DequantizeLinear", [uint8(2, 4), SCALE, ZERO]),
    Case("DequantizeLinear", [int8(3, 4), positive(3)], {"axis": 0}),
    Case("DequantizeLinear", [int32(3, 4), SCALE]),
    Case("DequantizeLinear", [int8(3, 4), positive(3, 2), int8(3, 2)], {"axis": 1, "block_size": 2}, 21),
    Case("QuantizeLinear", [X, number(0.01), number(7, "uint8")], {}, 10),
    Case("QuantizeLinear", [X, number(0.01), number(7, "int8")], {}, 13),
    Case("QuantizeLinear", [X, positive(4) / 50, int8(4)], {"axis": -3}, 13),
    Case("QuantizeLinear", [X, positive(2, 2, 6, 5) / 50, uint8(2, 2, 6, 5)], {"axis": 1, "block_size": 2}, 21),
    Case("QuantizeLinear", [X, positive(2, 4, 6, 2) / 50], {"axis": 3, "block_size": 3, "output_dtype": 3}, 21),
    Case("QuantizeLinear", [X, number(2e-5), number(30000, "uint16")], {}, 21),
    Case("QuantizeLinear", [X, positive(4) / 50, uint8(4)], {"axis": 1}, domain=MS),
    Case("DequantizeLinear", [uint8(2, 4), SCALE, ZERO], {}, 10),
    Case("DequantizeLinear", [int8(3, 4), positive(4).astype(np.float16)], {"axis": 1}, 19, tolerance=1e-3),
    Case("DequantizeLinear", [int8(3, 5), positive(3, 2), int8(3, 2)], {"axis": 1, "block_size": 3}, 21),
    Case("DequantizeLinear", [uint8(3, 4), positive(3), uint8(3)], {"axis": 0}, domain=MS),
    Case("DynamicQuantizeLinear", [X], outputs=3),
    Case("DynamicQuantizeLinear", [positive(2, 30) + 1], outputs=3),
    Case("QLinearConv", [PIXELS, *A, WEIGHT, number(0.01), number(0, "int8"), *OUT]),
    Case("QLinearConv", [PIXELS, *A, WEIGHT, CHANNEL_SCALES, CHANNEL_ZEROS, *OUT, int32(5)], {"pads": [0, 1, 1, 1]}),
    Case("QLinearConv", [PIXELS, *A, int8(8, 1, 3, 3), number(0.1), number(0, "int8"), *OUT], {"group": 4}),
    Case(
        "QLinearConv",
        [uint8(1, 6, 6, 4), *A, WEIGHT, CHANNEL_SCALES, CHANNEL_ZEROS, *OUT],
        {"channels_last": 1},
        domain=MS,
    ),
    Case("QLinearConv", [PIXELS, *A, WEIGHT, CHANNEL_SCALES, CHANNEL_ZEROS, *FINE, int32(5)], {"strides": [2, 2]}, 10),
    Case(
        "QLinearConv",
        [PIXELS, *A, uint8(5, 4, 3, 2), number(0.02), number(77, "uint8"), *FINE],
        {"strides": [2, 1], "auto_pad": "SAME_UPPER"},
    ),
    Case("QLinearConv", [PIXELS, *A, WEIGHT, number(0.01), number(0, "int8"), *FINE], {"dilations": [2, 1]}),
    Case("ConvInteger", [PIXELS, uint8(6, 2, 3, 3)], {"group": 2, "pads": [1, 1, 1, 1], "strides": [2, 1]}, 10),
    Case("ConvInteger", [PIXELS, uint8(5, 4, 3, 3), number(99, "uint8"), number(7, "uint8")]),
    Case("MatMulInteger", [uint8(3, 6), int8(6, 4), number(99, "uint8"), number(0, "int8")]),
    Case("MatMulInteger", [uint8(2, 3, 6), int8(6, 4), number(99, "uint8"), int8(4)]),
    Case("MatMulInteger", [uint8(2, 3, 6), int8(6, 4), number(99, "uint8")], {}, 10, place=1),
    Case("QLinearMatMul", [uint8(2, 3, 6), *A, int8(2, 6, 4), number(0.02), number(0, "int8"), *FINE], {}, 10),
    Case("QLinearMatMul", [uint8(2, 3, 6), *A, int8(2, 6, 4), number(0.02), number(3, "int8"), *FINE], {}, 10, place=3),
    Case("QLinearMatMul", [uint8(3, 6), *A, int8(6, 4), positive(4) / 9, np.zeros(4, np.int8), *Y]),
    Case("QLinearMatMul", [uint8(3, 6), *A, int8(6, 4), number(0.02), number(0, "int8"), *Y]),
    Case("QLinearAdd", [PIXELS, *A, uint8(1, 4, 1, 1, seed=1), *Y, *OUT], domain=MS),
    Case("QLinearMul", [PIXELS, *A, uint8(1, 4, 6, 6, seed=1), *Y, *OUT], domain=MS),
    Case("QLinearAdd", [PIXELS, *A, uint8(1, 4, 1, 1, seed=1), *Y, *FINE], domain=MS, place=3),
    Case(
        "QLinearAdd",
        [int8(2, 3), SCALE, number(3, "int8"), int8(2, 3, seed=1), SCALE, number(0, "int8"), SCALE, number(5, "int8")],
        domain=MS,
    ),
    Case("QLinearMul", [uint8(6, 6), *A, uint8(1, 4, 6, 6, seed=1), *Y, *FINE], domain=MS),
    Case("QLinearMul", [PIXELS, *A, uint8(4, 1, 1, seed=1), *Y, *FINE], domain=MS, place=3),
    Case("QLinearGlobalAveragePool", [PIXELS, *A, *Y], {"channels_last": 0}, domain=MS),
    Case("QLinearGlobalAveragePool", [uint8(1, 6, 6, 4), *A, *Y], {"channels_last": 1}, domain=MS),
    Case(
        "QLinearAveragePool",
        [PIXELS, *A, number(0.0371), Y[1]],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
        domain=MS,
    ),
    Case(
        "QLinearAveragePool",
        [uint8(1, 6, 6, 4), *A, number(0.0071), Y[1]],
        {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [0, 1, 1, 0], "count_include_pad": 1, "channels_last": 1},
        domain=MS,
    ),
    Case("QLinearSigmoid", [PIXELS, *A, number(1 / 256), number(0, "uint8")], domain=MS),
    Case("QLinearLeakyRelu", [PIXELS, *A, *Y], {"alpha": 0.1}, domain=MS),
    Case("QLinearLeakyRelu", [PIXELS, *A, *FINE], {"alpha": 0.5}, domain=MS),
    Case("QLinearSoftmax", [uint8(2, 9), *A, number(1 / 256), number(0, "uint8")], {"opset": 13}, domain=MS),
    Case("QLinearSoftmax", [PIXELS, *A, number(1 / 256), number(0, "uint8")], {"opset": 11, "axis": 1}, domain=MS),
    Case("QLinearConcat", [*Y, PIXELS, *A, uint8(1, 2, 6, 6), *OUT], {"axis": 1}, domain=MS, place=2),
    Case("QLinearConcat", [*Y, PIXELS, *A, uint8(1, 2, 6, 6), *OUT], {"axis": 1}, domain=MS, place=5),
    Case(
        "QGemm", [uint8(3, 6), *A, int8(4, 6), number(0.02), number(0, "int8"), int32(4), *Y], {"transB": 1}, domain=MS
    ),
    Case("QGemm", [uint8(3, 6), *A, int8(6, 4), number(0.02), number(0, "int8"), int32(4)], domain=MS),
    Case(
        "QGemm",
        [uint8(6, 3), *A, int8(6, 4), positive(4) / 50, np.zeros(4, np.int8), int32(4), *FINE],
        {"transA": 1, "alpha": 0.5},
        domain=MS,
    ),
    Case("QGemm", [uint8(3, 6), *A, uint8(4, 6), SCALE, ZERO, None, *FINE], {"transB": 1}, domain=MS, place=3),
    Case("MatMulIntegerToFloat", [uint8(3, 6), int8(6, 4), SCALE, positive(4), ZERO, None, floats(4)], domain=MS),
    Case("MatMulIntegerToFloat", [uint8(3, 6), uint8(6, 4), SCALE, SCALE, ZERO, ZERO], domain=MS, place=1),
    Case("MatMulIntegerToFloat", [uint8(3, 6), int8(6, 4), SCALE, SCALE, ZERO], domain=MS),
]

ON_INTEGERS = [
    *[
        Case("MaxPool", [image], {"kernel_shape": [2, 2], "strides": [2, 2]}, 12)
        for image in (PIXELS, int8(1, 4, 6, 6))
    ],
    Case("MaxPool", [PIXELS // 32], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 0, 0]}, 12),
    Case("Concat", [PIXELS, uint8(1, 2, 6, 6)], {"axis": 1}),
    Case("Reshape", [PIXELS, np.array([0, 2, -1])]),
    Case("Transpose", [int8(2, 3, 4, 5)], {"perm": [0, 2, 3, 1]}),
    Case("Clip", [int8(3, 7), number(-50, "int8"), number(60, "int8")]),
    Case("Clip", [PIXELS, number(20, "uint8")], {}, 12),
    Case("Relu", [int8(3, 7)]),
    Case("Squeeze", [uint8(1, 5, 1, 1), np.array([2, 3])]),
    Case("Slice", [PIXELS, np.array([1]), np.array([5]), np.array([2])]),
    Case("Pad", [int8(1, 2, 3, 3), np.array([0, 0, 1, 1, 0, 0, 1, 1]), number(7, "int8")]),
]
"""Operators that integers pass without a scale."""

QUERY, KEY, VALUE = floats(2, 4, 5, 8), floats(2, 4, 6, 8, seed=1), floats(2, 4, 6, 8, seed=2)
FLAT = [floats(2, 5, 16, seed=i) for i in range(3)]

ATTENTION = [
    Case("Attention", [floats(2, 5, 16), floats(16, 48, seed=1), floats(48, seed=2)], {"num_heads": 4}, domain=MS),
    Case("Attention", [floats(2, 5, 16), floats(16, 48), floats(48)], {"num_heads": 2, "unidirectional": 1}, domain=MS),
    Case("MultiHeadAttention", [*FLAT, floats(48)], {"num_heads": 4}, domain=MS),
    Case("Attention", [QUERY, KEY, VALUE], {}, 23),
    Case("Attention", [QUERY, KEY, VALUE, floats(5, 6)], {"scale": 0.2}, 23),
    Case("Attention", [QUERY, KEY, VALUE, floats(5, 6) > 0], {"softcap": 2.0}, 23),
    Case("Attention", FLAT, {"q_num_heads": 4, "kv_num_heads": 4, "is_causal": 1}, 23),
    Case("Attention", [QUERY, KEY[:, :2], VALUE[:, :2]], {}, 23),
]
