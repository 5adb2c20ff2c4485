"""Cases of gradients at other inputs than the first, of older versions, and at kinks and ties."""

from __future__ import annotations

import numpy as np

from tests.gradients.one_node import Case, floats, ints, number, positive

MS = "com.microsoft"
X = floats(2, 4, 3, 5)
ROW, COLUMN = floats(5, seed=1), floats(4, 1, 1, seed=2)
WORDS, VECTOR = floats(2, 3, 8), floats(8, seed=1)
KINKS = np.array([[-3, -2.5, -1, -0.5, 0], [0, 0.5, 1, 2.5, 3]], np.float32)
ZEROS = np.array([[1, 2, 3], [0, 2, 3], [0, 0, 3], [0, 0, 0]], np.float32)
TIES = np.array([[1, 3, 3, 2], [0, 0, -1, 0]], np.float32)

OPERANDS = [
    *[Case(name, [X, ROW, COLUMN], place=place) for name in ("Max", "Min", "Mean") for place in (1, 2)],
    *[
        Case(name, [TIES, TIES[:, ::-1].copy()], place=place, smooth=False)
        for name in ("Max", "Min")
        for place in (0, 1)
    ],
    *[Case(name, [X]) for name in ("Max", "Min", "Mean")],
    Case("Mod", [X, positive(5)], {"fmod": 1}, place=1),
    Case("Pow", [positive(2, 4, 3, 5), ROW], place=1),
    Case("Pow", [number(2), ROW], place=1),
    Case("Pow", [X, np.array([0, 1, 2, 3, -1], np.float32)]),
    *[Case("Pow", [positive(2, 3), number(exponent)]) for exponent in (0, 0.5, 1, -0.5, 3)],
    Case("Pow", [X, number(3)]),
    Case("Pow", [floats(5), floats(2, 5) * 0 + 3]),
    *[Case("Where", [floats(4, 1, 5) > 0, X, ROW], place=place) for place in (1, 2)],
    Case("PRelu", [X, COLUMN], place=1),
    Case("BiasGelu", [WORDS, VECTOR], domain=MS, place=1),
    Case("FastGelu", [WORDS, VECTOR], domain=MS, place=1),
    *[Case("LayerNormalization", [WORDS, VECTOR, VECTOR], place=place) for place in (1, 2)],
    Case("RMSNormalization", [WORDS, VECTOR], {}, 23, place=1),
    *[
        Case("SkipLayerNormalization", [WORDS, floats(1, 3, 8), VECTOR, VECTOR, VECTOR], domain=MS, place=place)
        for place in (1, 2, 3, 4)
    ],
    Case("SkipSimplifiedLayerNormalization", [WORDS, WORDS, VECTOR, VECTOR], domain=MS, place=3),
]

PRODUCTS = [
    *[
        Case("FusedMatMul", [a, b], {"transA": flip_a, "transB": flip_b, "alpha": 0.3}, domain=MS, place=place)
        for flip_a, a in ((0, floats(2, 1, 3, 5)), (1, floats(2, 1, 5, 3)))
        for flip_b, b in ((0, floats(4, 5, 6)), (1, floats(4, 6, 5)))
        for place in (0, 1)
    ],
    Case("FusedMatMul", [floats(2, 3, 5), floats(5, 4)], domain=MS),
    Case("FusedMatMul", [floats(2, 3, 5), floats(4, 5)], {"transB": 1}, domain=MS),
    *[
        Case("Einsum", [floats(*shape, seed=i) for i, shape in enumerate(shapes)], {"equation": equation}, place=place)
        for equation, *shapes in (
            ("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)),
            ("bhij,bhjd->bihd", (2, 3, 4, 5), (2, 3, 5, 6)),
            ("nchw,kc->nkhw", (2, 4, 3, 5), (6, 4)),
            ("ij,jk", (2, 3), (3, 4)),
            ("...ij,...jk->...ik", (2, 1, 3, 4), (1, 5, 4, 6)),
            ("b...i,...i", (2, 3, 4), (3, 4)),
            ("ni,nj,n->ij", (2, 3), (2, 4), (2,)),
            ("ijk,l->jl", (2, 3, 4), (5,)),
            ("nii,i->ni", (2, 3, 3), (3,)),
            ("ni,jj->ni", (2, 3), (4, 4)),
        )
        for place in range(len(shapes))
    ],
    Case("Einsum", [floats(2, 3, 4)], {"equation": "ijk->kij"}),
    Case("Einsum", [floats(2, 3, 4)], {"equation": "i...->..."}),
    Case("Einsum", [floats(2, 3, 3)], {"equation": "ijj->i"}),
]

OLD_VERSIONS = [
    *[
        Case(name, [X], {}, opset)
        for opset in (7, 9, 11)
        for name in (
            *("Abs", "Cos", "Elu", "Exp", "HardSigmoid", "LeakyRelu", "LogSoftmax", "Neg", "Reciprocal", "ReduceL1"),
            *("ReduceL2", "ReduceLogSumExp", "ReduceMean", "ReduceSumSquare", "Selu", "Sigmoid"),
            *("Sin", "Softmax", "Softplus", "Softsign", "Tan", "Tanh"),
        )
    ],
    *[
        Case(f"Reduce{name}", [X], {"axes": [1, -2] if opset > 7 else [1, 2], "keepdims": keep}, opset)
        for opset in (7, 11)
        for name in ("Max", "Min", "Prod", "Sum", "Mean", "LogSumExp", "L1", "L2", "SumSquare")
        for keep in (0, 1)
    ],
    Case("ReduceLogSum", [np.abs(X)], {"axes": [2]}, 7),
    *[Case(name, [X, floats(2, 4, 3, 5, seed=1)], {}, 7) for name in ("Max", "Min", "Mean")],
    *[Case("Max", [X, ROW], {}, opset, place=1) for opset in (8, 12)],
    *[Case("Pow", [np.abs(X), ROW], {}, opset, place=place) for opset in (7, 12) for place in (0, 1)],
    *[
        Case("Gemm", [floats(3, 5), floats(5, 4), floats(4)], {"alpha": 0.5}, opset, place=place)
        for opset in (7, 9)
        for place in (0, 1, 2)
    ],
    *[Case("MatMul", [floats(2, 3, 5), floats(5, 4)], {}, opset, place=place) for opset in (7, 9) for place in (0, 1)],
    Case("FusedMatMul", [floats(2, 3, 5), floats(5, 4)], {}, 9, domain=MS),
    Case("PRelu", [X, COLUMN], {}, 7),
    Case("Where", [X > 0, X, ROW], {}, 9, place=1),
    Case("Erf", [X], {}, 9),
    Case("Sign", [X], {}, 9),
    Case("Shrink", [X], {}, 9),
    *[Case(name, [X], {}, 7) for name in ("Floor", "Ceil")],
    *[Case(name, [positive(2, 3)], {}, 7) for name in ("Sqrt", "Log")],
    Case("InstanceNormalization", [X, floats(4), floats(4)], {}, 7),
    Case("LRN", [X], {"size": 3, "alpha": 0.5}, 7),
    Case("LpNormalization", [X], {"axis": 1}, 7),
    Case("LpNormalization", [X], {"axis": 1, "p": 1}, 7),
    Case("MeanVarianceNormalization", [X], {"axes": [2, 3]}, 9),
    Case("FastGelu", [WORDS, VECTOR], {}, 7, domain=MS),
    Case("Softmax", [X], {"axis": -2}, 11),
]

KINKED = [
    *[
        Case(name, [KINKS], smooth=False)
        for name in (
            *("Abs", "Celu", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "ReduceL1", "Relu", "Selu", "Shrink"),
            *("Sign", "Softsign", "ThresholdedRelu"),
        )
    ],
    Case("Abs", [KINKS], {}, 7, smooth=False),
    Case("LeakyRelu", [KINKS], {"alpha": -0.5}, smooth=False),
    Case("Elu", [KINKS * 30], smooth=False),
    Case("PRelu", [KINKS, number(0.2).reshape(1)], smooth=False),
    Case("ReduceProd", [ZEROS], {"axes": [1]}),
    Case("ReduceProd", [ZEROS], {"axes": [1], "keepdims": 0}, 11),
    Case("ReduceL2", [ZEROS], {"axes": [1]}, smooth=False),
    Case("LpNormalization", [ZEROS], smooth=False),
    *[Case(f"Reduce{name}", [TIES], {"axes": [1]}, smooth=False) for name in ("Max", "Min")],
    *[Case(f"Reduce{name}", [TIES, ints()], {"keepdims": 0}, 18, smooth=False) for name in ("Max", "Min")],
    Case("ReduceMean", [X, ints()], {"noop_with_empty_axes": 1}, 18),
    Case("Sqrt", [ZEROS[:1]]),
    Case("Softmax", [KINKS * 100]),
    Case("LogSoftmax", [KINKS * 100]),
    *[Case(name, [KINKS * 30]) for name in ("Sigmoid", "Softplus", "HardSwish")],
    *[Case(name, [KINKS * 30], {}, opset) for name, opset in (("Mish", 18), ("Gelu", 20))],
    Case("QuickGelu", [KINKS * 30], domain=MS),
]

QUERY, KEY, VALUE = floats(2, 4, 5, 8), floats(2, 2, 6, 8, seed=1), floats(2, 2, 6, 3, seed=2)
PAST_KEY, PAST_VALUE = floats(2, 2, 3, 8, seed=3), floats(2, 2, 3, 3, seed=4)
FLAT = [floats(2, 5, 16), floats(2, 6, 16, seed=1), floats(2, 6, 8, seed=2)]
GAPS = np.array(floats(5, 6, seed=5) > 0)
GAPS[2] = False  # a query that may attend to no key

ATTENDED = [
    *[Case("Attention", [QUERY, KEY, VALUE], {"is_causal": 1}, 23, place=place) for place in (0, 1, 2)],
    *[
        Case("Attention", [QUERY, KEY, VALUE, floats(4, 5, 9), PAST_KEY, PAST_VALUE], {}, 23, outputs=3, place=place)
        for place in range(6)
    ],
    Case("Attention", [QUERY, KEY, VALUE, None, PAST_KEY, PAST_VALUE], {"is_causal": 1}, 23, outputs=3),
    Case("Attention", [QUERY, KEY, VALUE, floats(1, 1, 5, 6)], {"softcap": 1.5}, 23, place=3),
    Case("Attention", [QUERY, KEY, VALUE, GAPS], {}, 23),
    Case("Attention", [QUERY, KEY, VALUE, GAPS], {}, 24),
    *[
        Case("Attention", [FLAT[0], FLAT[1][..., :8], FLAT[2]], {"q_num_heads": 4, "kv_num_heads": 2}, 23, place=place)
        for place in (0, 1, 2)
    ],
    *[Case("MultiHeadAttention", [*FLAT, floats(40)], {"num_heads": 4}, domain=MS, place=place) for place in (1, 2)],
    Case("MultiHeadAttention", FLAT, {"num_heads": 2, "scale": 0.1}, 9, domain=MS),
    Case("Attention", [WORDS, floats(8, 24), floats(24)], {"num_heads": 2, "unidirectional": 1}, 9, domain=MS),
    Case("Attention", [WORDS, floats(8, 20), floats(20)], {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 4]}, domain=MS),
]
