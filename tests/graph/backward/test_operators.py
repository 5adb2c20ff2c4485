"""Each rule of the backward graph against the torch path's and against central differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from onnx_cam.graph.backward.operators import ENDS, RULES
from tests.gradients.one_node import Case
from tests.gradients.test_operators import CASES, FLOATS
from tests.graph.backward.one_gradient import graph_gradient, seed_for, torch_gradient

_STEPS = {"Floor", "Ceil", "Round", "Sign", "Hardmax", "Shrink", "Mod", "QuantizeLinear"}
"""Operators that are piecewise constant or have jumps, where central differences do not hold."""

_ENDS = {*ENDS[""], "CastLike"}  # the cases of both casts are to integers

_FIRST_OPSET = 7


def is_known(case: Case) -> bool:
    return case.operator in RULES.get(case.domain, {})


def has_gradient(case: Case) -> bool:
    """Return whether the operator turns floats, or quantized integers, into something that torch differentiates."""
    differentiable = case.fed and is_known(case) and case.operator not in _ENDS
    return differentiable and case.opset >= _FIRST_OPSET and bool(np.size(case.expected()[0]))


def assert_close(found: np.ndarray, expected: np.ndarray, bound: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    limit = bound * max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit)


@pytest.mark.parametrize("case", [c for c in CASES if has_gradient(c)], ids=str)
def test_a_rule_agrees_with_torch(case: Case) -> None:
    image, seed = case.image(), seed_for(case)
    assert_close(graph_gradient(case, image, seed), torch_gradient(case, image, seed))


@pytest.mark.parametrize(
    "case", [c for c in FLOATS if has_gradient(c) and c.smooth and c.operator not in _STEPS], ids=str
)
def test_a_rule_agrees_with_central_differences_in_float64(case: Case) -> None:
    image, seed = case.image(), seed_for(case)
    direction = np.random.default_rng(8).standard_normal(image.shape)
    module, step = case.module().double(), 1e-6
    doubles, weights = torch.as_tensor(image).double(), torch.as_tensor(seed).double()

    def along(sign: int) -> float:
        with torch.no_grad():
            moved = module(doubles + sign * step * torch.as_tensor(direction), ["output0"])[0]
        return float((moved * weights).sum())

    expected = (along(1) - along(-1)) / (2 * step)
    found = float((graph_gradient(case, image, seed).astype(np.float64) * direction).sum())
    scale = max(1.0, abs(expected))
    assert abs(found - expected) < 2e-4 * scale


def batches(case: Case) -> bool:
    """Return whether the operator takes each image of a batch by itself."""
    return has_gradient(case) and case.batched


@pytest.mark.parametrize("case", [c for c in CASES if batches(c)], ids=str)
def test_a_rule_holds_for_any_batch(case: Case) -> None:
    image, seed = case.image(), seed_for(case)
    one = graph_gradient(case, image, seed, free=True)
    three = graph_gradient(case, np.concatenate([image] * 3), np.concatenate([seed] * 3), free=True)
    assert_close(one, torch_gradient(case, image, seed))
    assert_close(three, np.concatenate([one] * 3))
