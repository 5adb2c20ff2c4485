"""Cases of operators that rearrange, select and reduce numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.gradients.one_node import Case, floats, ints, number

X = floats(2, 4, 6, 5)
CUBE = floats(2, 3, 2, 4, 6)
TIES = np.array([[1, 3, 3, 2], [0, 0, -1, 0]], np.float32)
REDUCTIONS = ("L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
POSITIONS, UPDATES = np.array([[0, 0], [2, 1]]), np.array([[2, 3], [-1, 0]], np.float32)
NOTHING = np.array([], np.float32)
MODES: list[dict[str, Any]] = [
    {"coordinate_transformation_mode": mode} for mode in ("half_pixel", "asymmetric", "align_corners")
]
MODES += [{"coordinate_transformation_mode": mode} for mode in ("pytorch_half_pixel",)]
SCALES = (np.array([1, 1, 2, 1.5], np.float32), np.array([1, 1, 0.5, 0.7], np.float32))
LARGER, SMALLER = ints(2, 4, 9, 11), ints(2, 4, 4, 3)

REDUCED = [
    *[Case(f"Reduce{name}", [X], {"axes": [2, 3]}, 11) for name in REDUCTIONS],
    *[Case(f"Reduce{name}", [X, ints(1, -1)], {"keepdims": 0}, 18) for name in REDUCTIONS],
    *[Case(f"Reduce{name}", [X]) for name in REDUCTIONS if name != "Prod"],
    Case("ReduceLogSum", [np.abs(X), ints(1)], {}, 18),
    Case("ReduceSum", [X], {"noop_with_empty_axes": 1}),
    Case("ReduceSum", [X, ints(1, 2)]),
    Case("ReduceSum", [np.arange(6).reshape(2, 3), ints(1)]),
    Case("ReduceProd", [np.array([2, 3, 4])], {"keepdims": 0}),
    *[Case(name, [TIES], {"axis": 1}) for name in ("ArgMax", "ArgMin")],
    Case("ArgMax", [TIES], {"axis": 1, "select_last_index": 1, "keepdims": 0}),
    Case("TopK", [TIES, ints(3)], outputs=2, smooth=False),
    Case("TopK", [X, ints(2)], {"axis": 1, "largest": 0}, outputs=2),
    Case("TopK", [X], {"axis": 1, "k": 2}, 9, outputs=2),
    Case("CumSum", [X, number(1, "int64")]),
    Case("CumSum", [X, number(-1, "int64")], {"exclusive": 1, "reverse": 1}),
    Case("CumSum", [X, number(2, "int32")], {"reverse": 1}, 11),
    Case("CumSum", [X, number(2, "int64")], {"exclusive": 1}, 11),
    Case("TopK", [X], {"axis": -1, "k": 3}, 7, outputs=2),
    *[Case("TopK", [X, ints(3)], {"axis": axis}, opset, outputs=2) for axis in (1, -1) for opset in (10, 13, 17)],
]

SHAPES = [
    Case("Shape", [X]),
    Case("Shape", [X], {"start": 1, "end": -1}),
    Case("Size", [X]),
    Case("Reshape", [X, ints(0, -1, 5)]),
    Case("Reshape", [np.zeros((0, 3), np.float32), ints(3, 0)], {"allowzero": 1}),
    Case("Flatten", [X]),
    Case("Flatten", [X], {"axis": -1}),
    Case("Flatten", [X], {"axis": 0}),
    Case("Squeeze", [floats(2, 1, 3, 1)]),
    Case("Squeeze", [floats(2, 1, 3, 1), ints(-1)]),
    Case("Squeeze", [floats(2, 1, 3, 1)], {"axes": [1]}, 11),
    Case("Unsqueeze", [floats(2, 3), ints(-1, 1)]),
    Case("Unsqueeze", [floats(2, 3)], {"axes": [0, 3]}, 11),
    Case("Transpose", [X], {"perm": [0, 2, 3, 1]}),
    Case("Transpose", [X]),
    Case("Concat", [X, floats(2, 3, 6, 5)], {"axis": 1}),
    Case("Concat", [X, X], {"axis": -1}),
    Case("Split", [X], {"axis": 1, "split": [1, 3]}, 11, outputs=2),
    Case("Split", [X], {"axis": 1}, 13, outputs=2),
    Case("Split", [X, ints(3, 3)], {"axis": 2}, outputs=2),
    Case("Split", [X], {"axis": 3, "num_outputs": 2}, 18, outputs=2),
    Case("Concat", [floats(2, 3, 6, 5), X, X], {"axis": 1}, 7, place=1),
    Case("Concat", [floats(2, 3), floats(2, 4)], {"axis": 1}, 9, place=1),
    Case("Split", [X], {"axis": -2}, 7, outputs=3),
    Case("Expand", [floats(1, 4, 1, 5), ints(2, 1, 6, 1)], {}, 8),
    Case("Expand", [floats(2, 3, 1), ints(3, 4)]),
    Case("Tile", [floats(2, 3, 1, 2), ints(1, 2, 3, 1)], {}, 7),
    Case("Tile", [floats(1, 3), ints(4, 1)]),
    Case("Transpose", [floats(2, 3, 4, 1, 5)], {"perm": [0, 4, 2, 1, 3]}, 7),
    Case("DepthToSpace", [floats(2, 9, 2, 3)], {"blocksize": 3}, 7),
    Case("SpaceToDepth", [floats(2, 2, 6, 3)], {"blocksize": 3}, 7),
    Case("Pad", [X], {"pads": [0, 0, -1, 2, 0, 1, -2, -1]}, 7),
    *[Case("Pad", [X], {"pads": [0, 2, -1, 2, 0, 0, 3, -1], "mode": mode}, 7) for mode in ("reflect", "edge")],
    Case("Pad", [X, ints(0, 1, 4, 0, 0, 3), None, ints(0, 1, -1)], {"mode": "wrap"}, 19),
    Case("Expand", [floats(3, 1), ints(2, 1, 6)]),
    Case("Tile", [floats(2, 3), ints(2, 3)]),
    Case("DepthToSpace", [floats(1, 8, 2, 3)], {"blocksize": 2}),
    Case("DepthToSpace", [floats(1, 8, 2, 3)], {"blocksize": 2, "mode": "CRD"}),
    Case("SpaceToDepth", [floats(1, 2, 4, 6)], {"blocksize": 2}),
    Case("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 0)]),
    Case("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 0), number(1.5)]),
    Case("Pad", [X, ints(0, 0, -1, 2, 0, 0, 3, -1)]),
    *[Case("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 1)], {"mode": mode}, 19) for mode in ("reflect", "edge", "wrap")],
    Case("Pad", [X, ints(1, 2), None, ints(-1)], {}, 18),
    Case("Pad", [X], {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "value": 2.0}, 10),
    Case("Pad", [X], {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "mode": "reflect"}, 10),
]

PARTS = [
    Case("Slice", [X], {"starts": [1, -3], "ends": [4, 1000], "axes": [2, 3]}, 9),
    Case("Slice", [X, ints(1, -3), ints(4, 2**60), ints(2, 3)]),
    Case("Slice", [X, ints(-1, 4), ints(-(2**60), 0), ints(2, 3), ints(-1, -2)]),
    Case("Slice", [X, ints(0, 1), ints(1, 3)]),
    Case("Slice", [X, ints(3), ints(1), ints(2)]),
    Case("Slice", [X], {"starts": [-2, 0], "ends": [2**31 - 1, -3], "axes": [-1, 1]}, 7),
    Case("Slice", [X, ints(1, 0, -1), ints(9, 5, 0), ints(2, -1, 1), ints(2, 1, -2)], {}, 10),
    Case("Slice", [X, ints(0, 1), ints(2**31 - 1, 3), ints(0, 1)], {}, 11),
    *[
        Case("Gather", [X, indices], {"axis": axis}, opset)
        for indices in (ints(0), ints(1, 0), ints(3, -1, 0, 3), ints([0, 1], [1, 1]), number(2, "int32"))
        for axis, opset in ((1, 7), (2, 11), (-1, 17))
    ],
    *[
        Case("GatherElements", [X, indices], {"axis": 1}, opset)
        for indices in (ints([[[3, 0]], [[1, 1]], [[-1, 2]]]), ints([[[3]], [[3]]], [[[-1]], [[2]]]))
        for opset in (11, 16)
    ],
    *[
        Case("GatherND", [X, indices], {"batch_dims": count}, opset)
        for indices, count in (
            (ints([0, 1], [1, -1], [0, 1]), 0),
            (ints([[0, 1, 2]], [[1, -1, 4]]), 0),
            (ints([[0, 5], [2, -1]], [[1, 2], [1, 2]]), 1),
        )
        for opset in (12, 17)
    ],
    Case("Gather", [X, number(-1, "int64")], {"axis": 1}),
    Case("Gather", [X, ints([0, 2], [1, -2])], {"axis": 2}),
    Case("GatherElements", [TIES, ints([0, -1], [2, 1])], {"axis": 1}),
    Case("GatherND", [X, ints([0, 1], [1, -1])]),
    Case("GatherND", [X, ints([[0], [2]], [[1], [3]])], {"batch_dims": 1}),
    Case("ScatterND", [X, ints([0, 1], [1, -1]), floats(2, 6, 5, seed=1)]),
    Case("ScatterND", [X, ints([0], [0]), floats(2, 4, 6, 5, seed=1)], {"reduction": "add"}, 18),
    Case("ScatterND", [X, ints([0], [1]), floats(2, 4, 6, 5, seed=1)], {"reduction": "max"}, 18),
    Case("ScatterElements", [TIES, ints([0, -1], [2, 1]), floats(2, 2)], {"axis": 1}),
    Case("ScatterElements", [TIES, ints([0, 0], [2, 1]), floats(2, 2)], {"axis": 1, "reduction": "mul"}, 18),
    *[
        Case("ScatterElements", [TIES, ints([0, 3], [2, 1]), UPDATES], {"axis": 1, "reduction": kind}, 18, place=place)
        for kind in ("none", "add", "mul")
        for place in (0, 2)
    ],
    *[
        Case("ScatterElements", [TIES, POSITIONS, UPDATES], {"axis": 1, "reduction": kind}, 18, place=p, smooth=False)
        for kind in ("max", "min")
        for p in (0, 2)
    ],
    Case("ScatterElements", [TIES, ints([0, -1], [2, 1]), UPDATES], {"axis": 1}, 11, place=2),
    Case("ScatterElements", [TIES, ints([0, 0], [2, 1]), UPDATES], {"axis": 1, "reduction": "add"}, 16, place=2),
    Case("Scatter", [TIES, ints([0, -1], [2, 1]), UPDATES], {"axis": 1}, 9),
    *[
        Case("ScatterND", [X, ints([0, 1], [1, 3]), floats(2, 6, 5)], {"reduction": kind}, 18, place=place)
        for kind in ("none", "add", "mul", "max")
        for place in (0, 2)
    ],
    *[Case("ScatterND", [X, ints([0, 1], [1, -1]), floats(2, 6, 5)], {}, 11, place=place) for place in (0, 2)],
]

CREATED = [
    Case("Range", [number(1, "int64"), number(9, "int64"), number(3, "int64")]),
    Case("Range", [number(1), number(-2), number(-0.5)]),
    Case("ConstantOfShape", [ints(2, 3)]),
    Case("Constant", [], {"value_floats": [1.0, 2.0]}),
    Case("Constant", [], {"value_int": 3}),
    Case("NonZero", [TIES]),
    Case("OneHot", [ints(0, -1, 2), number(4, "int64"), np.array([0.5, 2], np.float32)]),
    Case("OneHot", [ints(0, -1, 2), number(4, "int64"), np.array([0.5, 2], np.float32)], {"axis": 0}),
    Case("Trilu", [X]),
    Case("Trilu", [X, number(1, "int64")], {"upper": 0}),
    Case("EyeLike", [TIES], {"k": 1}),
]

RESIZED = [
    *[Case("Resize", [X, NOTHING, s], {"mode": m, **c}) for s in SCALES for m in ("linear", "cubic") for c in MODES],
    *[
        Case("Resize", [X, NOTHING, scales], {"mode": "nearest", "nearest_mode": nearest, **mode})
        for scales in SCALES
        for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        for mode in MODES
    ],
    *[
        Case("Resize", [X, None, None, sizes], {"mode": mode}, 18)
        for sizes in (LARGER, SMALLER)
        for mode in ("nearest", "linear", "cubic")
    ],
    Case("Resize", [X, None, None, ints(3, 9)], {"mode": "linear", "axes": [2, 3]}, 18),
    Case("Resize", [X, None, None, SMALLER], {"mode": "linear", "antialias": 1}, 18),
    Case("Resize", [X, None, None, SMALLER], {"mode": "cubic", "antialias": 1, "cubic_coeff_a": -0.5}, 18),
    Case("Resize", [X, None, None, LARGER], {"mode": "cubic", "exclude_outside": 1}, 18),
    *[Case("Resize", [X, scales], {"mode": mode}, 10) for scales in SCALES for mode in ("nearest", "linear")],
    *[Case("Upsample", [X, SCALES[0]], {"mode": mode}, 9) for mode in ("nearest", "linear")],
    Case("Upsample", [X], {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 2.0]}, 7),
    Case("Upsample", [X], {"mode": "linear", "scales": [1.0, 1.0, 2.0, 3.0]}, 7),
    *[Case("Resize", [X, NOTHING, scales], {"mode": "linear"}, 11) for scales in SCALES],
    *[
        Case("Resize", [X, None, None, ints(9, 9)], {"axes": [3, 2], "keep_aspect_ratio_policy": policy}, 18)
        for policy in ("not_larger", "not_smaller")
    ],
    Case("Resize", [X, NOTHING, np.array([1, 2, 1, 1.5], np.float32)], {"mode": "nearest"}),
    Case("Resize", [CUBE, NOTHING, np.array([1, 1, 2, 1.5, 0.5], np.float32)], {"mode": "linear"}),
]
