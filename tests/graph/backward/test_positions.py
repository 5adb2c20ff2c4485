"""Positions that the image or the batch changes, parts that lead nowhere, and what no rule covers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx_cam.errors import MissingRuleError
from tests.gradients.one_node import Array, Case, floats, ints
from tests.graph.backward.few_nodes import Nodes, node
from tests.graph.backward.one_gradient import graph_gradient, seed_for, torch_gradient
from tests.graph.backward.test_operators import assert_close

X = floats(2, 4, 5)
TOP = node("TopK", "input0 k", "top places", axis=1)
TOP_TWO = {"k": ints(2)}
PARTS = node("Split", "input0", "a b c d", axis=1)


def few(
    nodes: list[onnx.NodeProto], opset: int = 13, weights: dict[str, Array] | None = None, image: Array = X
) -> Nodes:
    return Nodes(nodes[-1].op_type, [image], {}, opset, nodes=nodes, weights=weights or {})


def gathered(axis: int, keepdims: int, opset: int) -> Nodes:
    maximum = node("ArgMax", "input0", "at", axis=axis, keepdims=keepdims)
    return few([maximum, node("Gather", "input0 at", "output0", axis=axis)], opset)


COMPUTED = [
    *[few([TOP, node("GatherElements", "input0 places", "output0", axis=1)], opset, TOP_TWO) for opset in (11, 17)],
    *[gathered(axis, keepdims, opset) for axis in (1, 2) for keepdims in (0, 1) for opset in (7, 17)],
    gathered(0, 1, 17),
    *[
        few(
            [
                node("ArgMax", "input0", "at", axis=1, keepdims=1),
                node("Transpose", "at", "indices", perm=[0, 2, 1]),
                node("GatherND", "input0 indices", "output0", batch_dims=1),
            ],
            opset,
        )
        for opset in (12, 17)
    ],
]
"""Positions that the image decides."""

SPLIT = [
    few([PARTS, node("Concat", parts, "output0", axis=1)], opset)
    for parts in ("a d", "b d", "b c", "c")
    for opset in (7, 11)
]
"""Parts that lead nowhere."""

BATCH = [
    few(
        [
            node("Shape", "input0", "sizes"),
            node("Gather", "sizes zero", "batch"),
            node("Concat", "batch rest", "wide", axis=0),
            node("Expand", "input0 wide", "output0"),
        ],
        weights={"zero": ints(0), "rest": ints(4, 5)},
        image=floats(2, 1, 5),
    ),
    few(
        [
            node("Shape", "input0", "sizes"),
            node("Slice", "sizes zero two", "first"),
            node("Concat", "first rest", "wide", axis=0),
            node("Resize", "input0 none none wide", "output0", mode="linear"),
        ],
        weights={"zero": ints(0), "two": ints(2), "rest": ints(7, 3), "none": np.array([], np.float32)},
        image=floats(2, 3, 4, 5),
    ),
]
"""New sizes among which is that of the batch."""


@pytest.mark.parametrize("case", [*COMPUTED, *SPLIT, *BATCH], ids=str)
def test_a_rule_agrees_with_torch(case: Nodes) -> None:
    image, seed = case.image(), seed_for(case)
    assert_close(graph_gradient(case, image, seed), torch_gradient(case, image, seed))


@pytest.mark.parametrize("case", [case for case in [*COMPUTED, *SPLIT, *BATCH] if case.batched], ids=str)
def test_a_rule_holds_for_any_batch(case: Nodes) -> None:
    image, seed = case.image(), seed_for(case)
    doubled, seeds = (np.concatenate([array, array]) for array in (image, seed))
    found = graph_gradient(case, doubled, seeds, free=True)
    assert_close(found, np.concatenate([torch_gradient(case, image, seed)] * 2))


def test_what_is_read_from_any_image_of_the_batch_goes_back_to_it() -> None:
    case = gathered(0, 1, 17)  # each position reads the rows of the image in which it is largest
    image, seed = floats(4, 4, 5, seed=3), floats(1, 4, 5, 4, 5, seed=4)
    found = graph_gradient(case, image, seed, free=True)
    assert_close(found, torch_gradient(case, image, seed))


def test_the_first_of_equal_maxima_has_the_gradient() -> None:
    case = Case("MaxPool", [np.ones((1, 1, 4, 4), np.float32)], {"kernel_shape": [2, 2], "strides": [2, 2]})
    found = graph_gradient(case, case.image(), np.array([[[[1, 2], [3, 4]]]], np.float32))
    expected = np.zeros((4, 4))
    expected[::2, ::2] = [[1, 2], [3, 4]]
    assert found[0, 0].tolist() == expected.tolist()


def test_a_norm_of_zero_has_no_gradient() -> None:
    for operator, settings in (("LpPool", {"kernel_shape": [2, 2]}), ("GlobalLpPool", {"p": 3})):
        case = Case(operator, [np.zeros((1, 2, 2, 2), np.float32)], settings)
        assert not graph_gradient(case, case.image(), seed_for(case)).any()


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (Case("Slice", [X, ints(0), ints(1), ints(0)]), "it reads a part of an axis whose size depends on the batch"),
        (Case("Gather", [X, ints(0)], {}, 15), "it reads from an axis whose size depends on the batch"),
        (Case("Concat", [X, X], {"axis": 0}), "the axis of a Concat depends on the batch"),
        (
            Case("ScatterElements", [X[0], ints([0, 0]), floats(1, 2)], {"axis": 1, "reduction": "mul"}, 18, place=2),
            "the positions to which it multiplies may repeat",
        ),
        (
            Case(
                "FusedConv",
                [X, floats(2, 4, 3)],
                {"activation": "LeakyRelu", "activation_params": [-0.1]},
                domain="com.microsoft",
            ),
            "of its activation 'LeakyRelu' with the parameters [-0.10000000149011612]",
        ),
        (Case("ConvTranspose", [X, floats(4, 3, 2)], place=1), "its weights depend on the image"),
    ],
    ids=str,
)
def test_what_no_rule_covers_is_said(case: Case, reason: str) -> None:
    with pytest.raises(MissingRuleError) as error:
        graph_gradient(case, case.image(), seed_for(case), free=case.place == 0)
    assert reason in str(error.value)


def test_scales_that_the_image_decides_are_an_error() -> None:
    nodes = [
        node("ReduceMax", "input0", "largest", keepdims=0),
        node("Unsqueeze", "largest zero", "scale"),
        node("Concat", "ones scale scale", "scales", axis=0),
        node("Resize", "input0 none scales", "output0"),
    ]
    weights = {"zero": ints(0), "ones": np.ones(2, np.float32), "none": np.array([], np.float32)}
    case = few(nodes, 17, weights, image=np.full((1, 2, 3, 3), 2, np.float32))
    with pytest.raises(MissingRuleError, match="its input 'scales' depends on the image or the batch"):
        graph_gradient(case, case.image(), seed_for(case))
