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

QUANTIZED = [
    Case("QuantizeLinear", [X, SCALE, ZERO]),
    Case("QuantizeLinear", [X, SCALE]),
    Case("QuantizeLinear", [X, SCALE, number(-3, "int8")]),
    Case("QuantizeLinear", [X, positive(4) / 50, uint8(4)], {"axis": 1}),
    Case("DequantizeLinear", [uint8(2, 4), SCALE, ZERO]),
    Case("DequantizeLinear", [int8(3, 4), positive(3)], {"axis": 0}),
    Case("DequantizeLinear", [int32(3, 4), SCALE]),
    Case("DequantizeLinear", [int8(3, 4), positive(3, 2), int8(3, 2)], {"axis": 1, "block_size": 2}, 21),
    Case("DynamicQuantizeLinear", [X], outputs=3),
    Case("QLinearConv", [PIXELS, *A, WEIGHT, number(0.01), number(0, "int8"), *OUT]),
    Case("QLinearConv", [PIXELS, *A, WEIGHT, CHANNEL_SCALES, CHANNEL_ZEROS, *OUT, int32(5)], {"pads": [0, 1, 1, 1]}),
    Case("QLinearConv", [PIXELS, *A, int8(8, 1, 3, 3), number(0.1), number(0, "int8"), *OUT], {"group": 4}),
    Case(
        "QLinearConv",
        [uint8(1, 6, 6, 4), *A, WEIGHT, CHANNEL_SCALES, CHANNEL_ZEROS, *OUT],
        {"channels_last": 1},
        domain=MS,
    ),
    Case("MaxPool", [PIXELS // 32], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 0, 0]}, 12),
    Case("ConvInteger", [PIXELS, uint8(5, 4, 3, 3), number(99, "uint8"), number(7, "uint8")]),
    Case("MatMulInteger", [uint8(3, 6), int8(6, 4), number(99, "uint8"), number(0, "int8")]),
    Case("QLinearMatMul", [uint8(3, 6), *A, int8(6, 4), number(0.02), number(0, "int8"), *Y]),
    Case("QLinearAdd", [PIXELS, *A, uint8(1, 4, 1, 1, seed=1), *Y, *OUT], domain=MS),
    Case("QLinearMul", [PIXELS, *A, uint8(1, 4, 6, 6, seed=1), *Y, *OUT], domain=MS),
    Case("QLinearGlobalAveragePool", [PIXELS, *A, *Y], {"channels_last": 0}, domain=MS),
    Case("QLinearGlobalAveragePool", [uint8(1, 6, 6, 4), *A, *Y], {"channels_last": 1}, domain=MS),
    Case(
        "QLinearAveragePool",
        [PIXELS, *A, number(0.0371), Y[1]],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
        domain=MS,
    ),
    Case("QLinearSigmoid", [PIXELS, *A, number(1 / 256), number(0, "uint8")], domain=MS),
    Case("QLinearLeakyRelu", [PIXELS, *A, *Y], {"alpha": 0.1}, domain=MS),
    Case("QLinearSoftmax", [uint8(2, 9), *A, number(1 / 256), number(0, "uint8")], {"opset": 13}, domain=MS),
    Case("QLinearSoftmax", [PIXELS, *A, number(1 / 256), number(0, "uint8")], {"opset": 11, "axis": 1}, domain=MS),
    Case("QLinearConcat", [*Y, PIXELS, *A, uint8(1, 2, 6, 6), *OUT], {"axis": 1}, domain=MS),
    Case(
        "QGemm", [uint8(3, 6), *A, int8(4, 6), number(0.02), number(0, "int8"), int32(4), *Y], {"transB": 1}, domain=MS
    ),
    Case("QGemm", [uint8(3, 6), *A, int8(6, 4), number(0.02), number(0, "int8"), int32(4)], domain=MS),
    Case("MatMulIntegerToFloat", [uint8(3, 6), int8(6, 4), SCALE, SCALE, ZERO], domain=MS),
]

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
