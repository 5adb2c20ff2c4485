"""Cases of operators on feature maps, and of elementwise operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.gradients.one_node import Case, floats, number, positive

X = floats(2, 4, 7, 9)
W = floats(6, 4, 3, 3, seed=1)
B = floats(6, seed=2)
UP = floats(4, 6, 3, 3, seed=1)
LINE, CUBE = floats(2, 4, 11), floats(1, 2, 5, 6, 7)
FOUR = floats(4, seed=3)
STEPS = np.round(X)  # with many ties
STATISTICS = [floats(4, seed=4), floats(4, seed=5), floats(4, seed=6), positive(4)]
POOLS: list[dict[str, Any]] = [
    {"kernel_shape": [3, 3]},
    {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "VALID"},
]

CONVOLUTIONS = [
    Case("Conv", [X, W]),
    Case("Conv", [X, W, B], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    Case("Conv", [X, W, B], {"pads": [0, 2, 1, 1], "strides": [2, 1]}),
    Case("Conv", [X, W, B], {"dilations": [2, 3], "pads": [2, 3, 2, 3]}),
    *[
        Case("Conv", [X, W, B], {"auto_pad": mode, "strides": [2, 2]})
        for mode in ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    ],
    Case("Conv", [X, floats(6, 2, 3, 3), B], {"group": 2}),
    Case("Conv", [X, floats(8, 1, 3, 3)], {"group": 4, "auto_pad": "SAME_UPPER"}),
    Case("Conv", [LINE, floats(3, 4, 5)], {"pads": [1, 3]}),
    Case("Conv", [CUBE, floats(3, 2, 2, 3, 3)], {"pads": [1, 0, 1, 0, 1, 1], "strides": [1, 2, 2]}),
    Case("ConvTranspose", [X, UP]),
    Case("ConvTranspose", [X, UP, B], {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    Case("ConvTranspose", [X, UP, B], {"strides": [3, 2], "output_shape": [21, 18]}),
    Case("ConvTranspose", [X, UP, B], {"strides": [3, 2], "auto_pad": "SAME_UPPER"}),
    Case("ConvTranspose", [X, floats(4, 3, 3, 3)], {"group": 2, "dilations": [2, 2], "pads": [0, 1, 2, 1]}),
    Case("ConvTranspose", [LINE, floats(4, 3, 4)], {"strides": [2]}),
    Case("ConvTranspose", [X, UP], {"strides": [3, 2], "auto_pad": "SAME_LOWER"}, 7),
    Case("ConvTranspose", [X, UP], {"strides": [3, 2], "output_padding": [2, 1], "pads": [0, 1, 1, 0]}, 9),
    Case("ConvTranspose", [X, UP, B], {"strides": [2, 2], "auto_pad": "VALID"}),
    Case("ConvTranspose", [CUBE, floats(2, 3, 2, 2, 3)], {"strides": [2, 1, 2], "pads": [0, 1, 1, 1, 0, 2]}),
    Case("FusedConv", [X, W, B], {"activation": "Relu", "pads": [1, 1, 1, 1]}, domain="com.microsoft"),
    Case("FusedConv", [X, W, B], {"activation": "LeakyRelu", "activation_params": [0.1]}, domain="com.microsoft"),
    Case("FusedConv", [X, W, B], {"activation": "Clip", "activation_params": [0.0, 1.0]}, domain="com.microsoft"),
    Case("FusedConv", [X, W, B, floats(2, 6, 5, 7)], {"activation": "Relu"}, domain="com.microsoft"),
    *[
        Case("FusedConv", [X, W, B], {"activation": name, "strides": [2, 1]}, domain="com.microsoft")
        for name in ("Tanh", "Sigmoid")
    ],
    Case("FusedConv", [X, W, B], {"strides": [2, 1]}, domain="com.microsoft"),
    Case("FusedConv", [X, W], {"activation": "HardSigmoid", "activation_params": [0.1, 0.4]}, domain="com.microsoft"),
    Case("FusedConv", [X, W, B, floats(2, 6, 5, 7)], {"activation": "Relu"}, domain="com.microsoft", place=3),
    Case("Gemm", [floats(3, 5), floats(5, 4), FOUR]),
    Case("Gemm", [floats(5, 3), floats(4, 5), FOUR], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}),
    Case("Gemm", [floats(3, 5), floats(5, 4)]),
    Case("MatMul", [floats(2, 3, 5), floats(5, 4)]),
    Case("MatMul", [floats(2, 3, 5), floats(2, 5, 4)]),
    Case("FusedMatMul", [floats(2, 5, 3), floats(2, 5, 4)], {"transA": 1, "alpha": 0.3}, domain="com.microsoft"),
    Case("Einsum", [floats(2, 3, 5), floats(2, 4, 5)], {"equation": "b i d, b j d -> b i j"}),
]

POOLING = [
    *[Case("MaxPool", [X], settings) for settings in POOLS],
    *[Case("AveragePool", [X], settings) for settings in POOLS],
    *[Case("AveragePool", [X], settings | {"count_include_pad": 1}, 19) for settings in POOLS],
    Case("AveragePool", [X], {"kernel_shape": [2, 2], "dilations": [2, 2]}, 19),
    Case("MaxPool", [X], {"kernel_shape": [2, 2], "dilations": [2, 2], "pads": [1, 1, 0, 0]}),
    Case("MaxPool", [LINE], {"kernel_shape": [3], "strides": [2]}),
    Case("AveragePool", [CUBE], {"kernel_shape": [2, 2, 3]}),
    *[Case("MaxPool", [X], settings, opset) for settings in POOLS if "ceil_mode" not in settings for opset in (7, 9)],
    *[Case("MaxPool", [STEPS], settings, opset, smooth=False) for settings in POOLS for opset in (10, 17)],
    Case("MaxPool", [STEPS], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, 7, smooth=False),
    Case("MaxPool", [X], {"kernel_shape": [2, 1], "strides": [4, 3]}),
    Case("MaxPool", [X], {"kernel_shape": [1, 1], "strides": [2, 2]}),
    Case("MaxPool", [X], {"kernel_shape": [3, 2], "dilations": [2, 3], "strides": [1, 2], "pads": [2, 0, 2, 1]}, 11),
    Case("MaxPool", [CUBE], {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2], "pads": [0, 1, 1, 1, 1, 0]}),
    *[Case("AveragePool", [X], POOLS[i] | {"count_include_pad": 1}, 7) for i in (1, 5, 6)],
    Case("AveragePool", [X], {"kernel_shape": [7, 9]}),
    Case("AveragePool", [X], {"kernel_shape": [5, 8], "strides": [9, 9], "pads": [0, 1, 0, 0]}, 7),
    Case("AveragePool", [X], {"kernel_shape": [7, 9], "pads": [1, 0, 0, 1], "strides": [9, 9], "count_include_pad": 1}),
    Case("AveragePool", [LINE], {"kernel_shape": [4], "strides": [3], "pads": [2, 1]}),
    Case("LpPool", [X], {"kernel_shape": [2, 2], "p": 3}),
    *[Case("LpPool", [X], POOLS[i] | {"p": p}, 11) for p in (1, 2, 3) for i in (1, 2, 5)],
    Case("LpPool", [X], {"kernel_shape": [3, 3]}, 7),
    *[Case("GlobalLpPool", [X], {"p": p}, 7) for p in (1, 3)],
    Case("GlobalMaxPool", [STEPS], smooth=False),
    Case("GlobalMaxPool", [CUBE], {}, 7),
    Case("GlobalAveragePool", [X]),
    Case("GlobalMaxPool", [X]),
    Case("GlobalLpPool", [X], {"p": 2}),
]

NORMALISATIONS = [
    Case("BatchNormalization", [X, *STATISTICS], {"epsilon": 1e-3}),
    Case("BatchNormalization", [X, *STATISTICS], {}, 9),
    Case("BatchNormalization", [X, *STATISTICS], {}, 7),
    Case("InstanceNormalization", [X, FOUR, FOUR]),
    Case("LayerNormalization", [floats(2, 3, 8), floats(8), floats(8, seed=1)], outputs=1),
    Case("LayerNormalization", [floats(2, 3, 8), floats(3, 8)], {"axis": 1}, outputs=3),
    Case("GroupNormalization", [X, floats(4), floats(4, seed=1)], {"num_groups": 2}, 21),
    Case("LRN", [X], {"size": 3, "alpha": 0.1, "beta": 0.7, "bias": 2.0}),
    Case("LRN", [X], {"size": 5}),
    Case("LpNormalization", [X], {"axis": 1, "p": 1}),
    Case("LpNormalization", [X], {"axis": -1}),
    Case("MeanVarianceNormalization", [X]),
    Case("RMSNormalization", [floats(2, 3, 8), floats(8)], {}, 23),
    Case("SimplifiedLayerNormalization", [floats(2, 3, 8), floats(8)]),
    Case(
        "SkipLayerNormalization",
        [floats(2, 3, 8), floats(1, 3, 8, seed=1), floats(8), floats(8, seed=2), floats(8, seed=3)],
        {"epsilon": 1e-5},
        domain="com.microsoft",
    ),
    Case(
        "SkipSimplifiedLayerNormalization",
        [floats(2, 3, 8), floats(3, 8, seed=1), floats(8)],
        domain="com.microsoft",
    ),
]

ACTIVATIONS = [
    *[
        Case(name, [X])
        for name in (
            *("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Sigmoid", "HardSigmoid", "HardSwish"),
            *("Softplus", "Softsign", "Tanh", "Erf", "Shrink", "Abs", "Neg", "Exp", "Reciprocal", "Sign", "Sin", "Cos"),
            *("Floor", "Ceil", "Round", "Tan", "Identity", "IsNaN", "IsInf"),
        )
    ],
    Case("LeakyRelu", [X], {"alpha": 0.3}),
    Case("Elu", [X], {"alpha": 0.3}),
    Case("Selu", [X], {"alpha": 0.3, "gamma": 2.0}),
    Case("Celu", [X], {"alpha": 0.3}),
    Case("HardSigmoid", [X], {"alpha": 0.3, "beta": 0.4}),
    Case("Mish", [X], {}, 18),
    Case("Gelu", [X], {}, 20),
    Case("Gelu", [X], {"approximate": "tanh"}, 20),
    Case("Gelu", [X], domain="com.microsoft"),
    Case("FastGelu", [floats(2, 3, 8), floats(8)], domain="com.microsoft"),
    Case("BiasGelu", [floats(2, 3, 8), floats(8)], domain="com.microsoft"),
    Case("QuickGelu", [X], domain="com.microsoft"),
    Case("PRelu", [X, floats(4, 1, 1)]),
    Case("Clip", [X], {"min": -0.5, "max": 0.5}, 6),
    Case("Clip", [X, number(-0.5), number(0.5)]),
    Case("Clip", [X, None, number(0.5)]),
    Case("Clip", [X]),
    Case("Sqrt", [positive(2, 3)]),
    Case("Log", [positive(2, 3)]),
    *[
        Case(name, [X], settings, opset)
        for name in ("Softmax", "LogSoftmax", "Hardmax")
        for settings, opset in (({}, 11), ({"axis": 2}, 11), ({}, 13), ({"axis": 1}, 13))
    ],
]

ARITHMETIC = [
    *[Case(name, [X, floats(4, 1, 9, seed=1)]) for name in ("Add", "Sub", "Mul", "Div", "Greater", "Less")],
    *[Case(name, [X, floats(9, seed=1)], {}, 16) for name in ("GreaterOrEqual", "LessOrEqual", "Equal")],
    *[Case(name, [X, floats(2, 4, 7, 9, seed=1), floats(9, seed=2)]) for name in ("Max", "Min", "Sum", "Mean")],
    *[Case(name, [X > 0, X > 1]) for name in ("And", "Or", "Xor")],
    Case("Not", [X > 0]),
    Case("Pow", [positive(2, 3), number(1.7)]),
    Case("Pow", [X, number(2)]),
    Case("Pow", [X, number(2, "int64")]),
    Case("Mod", [X, floats(9, seed=1)], {"fmod": 1}),
    Case("Mod", [np.array([-7, 7, 8]), np.array([3, -3, 3])]),
    Case("Div", [np.array([-7, 7, 8]), np.array([2, -2, 3])]),
    Case("Where", [X > 0, X, floats(9)]),
    Case("Cast", [X], {"to": 6}),
    Case("Cast", [X], {"to": 9}),
    Case("Cast", [np.array([1, 2])], {"to": 1}),
    Case("CastLike", [X, np.array([1])], {}, 19),
    Case("Dropout", [X], outputs=1),
]
