"""Each rule compared with ONNX Runtime on a model of one node, and its gradient with central differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from onnx_cam.gradients.operators import RULES
from tests.gradients import cases_integers, cases_maps, cases_operands, cases_shapes
from tests.gradients.one_node import Case
from tests.runtime_version import ONNXRUNTIME

MAPS = [
    *cases_maps.CONVOLUTIONS,
    *cases_maps.POOLING,
    *cases_maps.NORMALISATIONS,
    *cases_maps.ACTIVATIONS,
    *cases_maps.ARITHMETIC,
]
SHAPES = [
    *cases_shapes.REDUCED,
    *cases_shapes.SHAPES,
    *cases_shapes.PARTS,
    *cases_shapes.CREATED,
    *cases_shapes.RESIZED,
]
OPERANDS = [
    *cases_operands.OPERANDS,
    *cases_operands.PRODUCTS,
    *cases_operands.OLD_VERSIONS,
    *cases_operands.KINKED,
    *cases_operands.ATTENDED,
]
ALL_FLOATS = [*MAPS, *SHAPES, *cases_integers.ATTENTION, *OPERANDS]
ALL_CASES = [*ALL_FLOATS, *cases_integers.QUANTIZED, *cases_integers.ON_INTEGERS]

LEFT_OUT = {id(case) for case in ALL_CASES if not case.runs}
"""What an old ONNX Runtime cannot run; a current one runs every case."""

FLOATS = [case for case in ALL_FLOATS if id(case) not in LEFT_OUT]
CASES = [case for case in ALL_CASES if id(case) not in LEFT_OUT]

_MISCOUNTED = "AveragePool-19(kernel_shape=[3, 2],strides=[2, 3],pads=[1, 0, 1, 1],count_include_pad=1)"

_STEPS = {"Floor", "Ceil", "Round", "Sign", "Hardmax", "Shrink", "Mod", "QuantizeLinear"}
"""Operators that are piecewise constant or have jumps, where central differences do not hold."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_computes_what_onnx_runtime_does(case: Case) -> None:
    if ONNXRUNTIME < (1, 25) and str(case) == _MISCOUNTED:
        pytest.skip("ONNX Runtime before 1.25 counts the padding of windows at the edge wrongly")
    for expected, computed in zip(case.expected(), case.computed(), strict=True):
        assert computed.shape == expected.shape
        bound = case.tolerance * max(1.0, float(np.abs(expected.astype(np.float64)).max(initial=0)))
        np.testing.assert_allclose(computed.astype(np.float64), expected.astype(np.float64), rtol=0, atol=bound)


def directional_derivatives(case: Case) -> tuple[float, float] | None:
    """Return the derivative along a random direction by autograd and by differences; None without a gradient."""
    module = case.module().double()
    generator = torch.Generator().manual_seed(0)
    image = torch.as_tensor(case.image()).double()
    direction = torch.randn(image.shape, generator=generator, dtype=torch.float64)
    leaf = image.clone().requires_grad_()
    output = module(leaf, ["output0"])[0]
    if not output.requires_grad:
        return None
    weights = torch.randn(output.shape, generator=generator, dtype=torch.float64)

    def along(step: float) -> Tensor:
        moved: Tensor = module(image + step * direction, ["output0"])[0]
        return (moved * weights).sum()

    (gradient,) = torch.autograd.grad((output * weights).sum(), leaf)
    step = 1e-6
    with torch.no_grad():
        return float((gradient * direction).sum()), float((along(step) - along(-step)) / (2 * step))


@pytest.mark.parametrize("case", [c for c in FLOATS if c.fed and c.smooth and c.operator not in _STEPS], ids=str)
def test_a_rule_has_the_gradient_of_central_differences(case: Case) -> None:
    slopes = directional_derivatives(case)
    if slopes is not None:
        assert slopes[0] == pytest.approx(slopes[1], rel=1e-5, abs=1e-6)


def test_rounding_passes_the_gradient_on_and_clipping_stops_it() -> None:
    x = np.array([-100, -1, 0.26, 3, 100], np.float32)
    case = Case("QuantizeLinear", [x, np.array(0.5, np.float32), np.array(100, np.uint8)])
    leaf = torch.tensor(x, requires_grad=True)
    output = case.module()(leaf, ["output0"])[0]
    assert output.tolist() == [0, 98, 101, 106, 255]
    output.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [0, 2, 2, 2, 0]


@pytest.mark.skipif(ONNXRUNTIME < (1, 31), reason="this ONNX Runtime lacks some operators")
def test_a_current_runtime_runs_every_case() -> None:
    assert not [str(case) for case in ALL_CASES if id(case) in LEFT_OUT]


def test_every_rule_has_a_case() -> None:
    tested = {(case.domain, case.operator) for case in ALL_CASES}
    supported = {(domain, operator) for domain, rules in RULES.items() for operator in rules}
    assert supported - tested == {
        ("", "Swish"),  # ONNX Runtime 1.31 has no kernel
        ("com.microsoft", "LayerNormalization"),  # the same function as ONNX's
        ("com.microsoft", "QLinearReduceMean"),
        ("com.microsoft", "SimplifiedLayerNormalization"),
    }
