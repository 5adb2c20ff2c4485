"""Operators with several outputs, all of which lead to the logits."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from tests.gradients.one_node import floats, positive
from tests.graph.backward.both_gradients import gradients, model_of
from tests.graph.backward.one_gradient import LAYER, LOGITS

IMAGE, SKIP = floats(2, 3, 8), floats(3, 8, seed=1)
SCALE, SHIFT = positive(8), floats(8, seed=2)


@pytest.mark.parametrize(
    ("operator", "used"),
    [
        *[("LayerNormalization", used) for used in (["mean"], ["inverse"], ["y", "mean"], ["y", "mean", "inverse"])],
        *[("SimplifiedLayerNormalization", used) for used in (["inverse"], ["y", "inverse"])],
    ],
)
def test_the_statistics_of_a_normalisation_have_a_gradient(operator: str, used: list[str]) -> None:
    centred = operator == "LayerNormalization"
    names = ["y", "mean", "inverse"] if centred else ["y", "inverse"]
    weights = {"scale": SCALE, "shift": SHIFT} if centred else {"scale": SCALE}
    node = helper.make_node(operator, [LAYER, *weights], names)
    products = helper.make_node("Sum", used, ["total"])
    squares = helper.make_node("Mul", ["total", "total"], [LOGITS])
    found, expected = gradients(model_of([node, products, squares], weights, IMAGE), IMAGE)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("used", [["y"], ["total"], ["y", "total"]])
@pytest.mark.parametrize("operator", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_the_sum_in_front_of_a_normalisation_has_a_gradient(operator: str, used: list[str]) -> None:
    weights = {"skip": SKIP, "scale": SCALE}
    node = helper.make_node(operator, [LAYER, *weights], ["y", "", "", "total"], domain="com.microsoft")
    squares = [helper.make_node("Mul", [name, name], [f"{name}²"]) for name in used]
    result = helper.make_node("Sum", [f"{name}²" for name in used], [LOGITS])
    found, expected = gradients(model_of([node, *squares, result], weights, IMAGE), IMAGE)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
