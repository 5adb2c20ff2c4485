"""Nodes that no rule covers: the error says why."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.errors import MissingRuleError
from tests import tiny
from tests.gradients.one_node import Case, floats
from tests.graph.backward.one_gradient import gradient_graph

MS = "com.microsoft"
WORDS, MASK = floats(2, 3, 8), np.ones((2, 3), np.int32)
HEADS, GROUPS = {"num_heads": 2}, {"num_groups": 2}
X = floats(2, 4, 5)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (Case("Gelu", [WORDS], {}, 8, domain=MS), "Erf, which opset 8 does not have"),
        (Case("Attention", [WORDS, floats(8, 24), floats(24), MASK], HEADS, domain=MS), "masks"),
        (Case("Attention", [WORDS, floats(8, 24), floats(24)], HEADS, domain=MS, place=1), "weights depend"),
        (Case("MultiHeadAttention", [WORDS, WORDS, WORDS, None, MASK], HEADS, domain=MS), "masks"),
        (
            Case("FusedMatMul", [floats(3, 2, 4), floats(2, 4, 5)], {"transBatchA": 1}, domain=MS),
            "transposed batches",
        ),
        (Case("Conv", [X, floats(2, 4, 3)], place=1), "its weights depend on the image"),
        (Case("Conv", [X, floats(2, 4, 3), floats(2)], place=2), "its weights depend on the image"),
        (Case("Clip", [X, floats(1)[0]], place=1), "its bounds depend on the image"),
        (Case("Clip", [X, None, floats(1)[0]], place=2), "its bounds depend on the image"),
        *[(Case("BatchNormalization", [X, *[floats(4)] * 4], place=i), "depends on the layer") for i in (1, 2, 3, 4)],
        *[(Case("InstanceNormalization", [X, floats(4), floats(4)], place=i), "depends on the layer") for i in (1, 2)],
        (Case("GroupNormalization", [X, floats(4), floats(4)], GROUPS, 21, place=1), "depends on the layer"),
        (Case("GroupNormalization", [X, floats(4), floats(4)], GROUPS, 21, place=2), "depends on the layer"),
    ],
    ids=str,
)
def test_what_a_rule_does_not_cover_is_said(case: Case, reason: str) -> None:
    with pytest.raises(MissingRuleError, match=reason):
        gradient_graph(case, free=False)


def test_a_sequence_of_tensors_is_named() -> None:
    """It is refused before a run measures the tensors in between: a sequence has no shape."""
    *trunk, pool, flatten, gemm = tiny.body()
    pool.input[0] = "whole"
    trunk.append(helper.make_node("SplitToSequence", ["relu2"], ["parts"], name="Split", axis=1, keepdims=1))
    trunk.append(helper.make_node("ConcatFromSequence", ["parts"], ["whole"], axis=1))
    outputs = [tiny.value_info("logits", ["n", 4])]
    proto = tiny.build([*trunk, pool, flatten, gemm], tiny.weights(), image=["n", 3, 20, 20], outputs=outputs)
    model = onnx_cam.load(proto, device="cpu", preprocess="none")
    with pytest.raises(MissingRuleError, match=r"no gradient is known for operator SplitToSequence .* node 'Split'"):
        onnx_cam.explain(model, tiny.image(), method="gradcam", layer="relu2", gradients="onnx")


def test_a_mean_over_the_batch_is_refused() -> None:
    with pytest.raises(MissingRuleError, match="mean over the batch"):
        gradient_graph(Case("ReduceMean", [floats(2, 4)], {"axes": [0, 1]}, 13), free=True)
