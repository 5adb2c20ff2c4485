"""Versions of operators that ONNX Runtime no longer or not yet supports, compared with their definitions."""

from __future__ import annotations

import numpy as np

from tests.gradients.one_node import Case, floats, positive

X = floats(2, 4, 3, 5)


def result(case: Case) -> np.ndarray:
    return case.computed()[0]


def test_before_opset_7_an_axis_aligns_the_second_operand() -> None:
    channels = floats(4, seed=1)
    for opset in (1, 6):
        case = Case("Mul", [X, channels], {"axis": 1, "broadcast": 1}, opset)
        np.testing.assert_allclose(result(case), X * channels[:, None, None])
    trailing = Case("Add", [X, floats(3, 5, seed=1)], {"broadcast": 1}, 6)
    np.testing.assert_allclose(result(trailing), X + floats(3, 5, seed=1))


def test_before_opset_7_a_prelu_has_one_slope_for_each_channel() -> None:
    slope = floats(4, seed=1)
    expected = np.where(X > 0, X, slope[:, None, None] * X)
    np.testing.assert_allclose(result(Case("PRelu", [X, slope], {}, 6)), expected)


def test_a_non_spatial_batch_normalization_has_statistics_for_each_position() -> None:
    scale, bias, mean, variance = floats(4, 3, 5), floats(4, 3, 5, seed=1), floats(4, 3, 5, seed=2), positive(4, 3, 5)
    expected = scale * (X - mean) / np.sqrt(variance + 1e-5) + bias
    case = Case("BatchNormalization", [X, scale, bias, mean, variance], {"spatial": 0}, 7)
    np.testing.assert_allclose(result(case), expected, atol=1e-5)


def test_a_group_normalization_of_opset_18_has_one_scale_for_each_group() -> None:
    groups = X.reshape(2, 2, -1)
    normal = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)
    scale, bias = np.array([2, 3], np.float32), np.array([0, 1], np.float32)
    expected = (normal * scale[:, None] + bias[:, None]).reshape(X.shape)
    case = Case("GroupNormalization", [X, scale, bias], {"num_groups": 2}, 18)
    np.testing.assert_allclose(result(case), expected, atol=1e-5)


def test_the_first_versions_of_cast_reshape_and_pad_take_attributes() -> None:
    assert result(Case("Cast", [X], {"to": "INT32"}, 5)).dtype == np.int32
    assert result(Case("Reshape", [X], {"shape": [0, -1]}, 1)).shape == (2, 60)
    assert result(Case("Pad", [X], {"paddings": [0, 0, 1, 0, 0, 0, 0, 2]}, 1)).shape == (2, 4, 4, 7)


def test_swish_is_x_times_its_sigmoid() -> None:
    expected = X / (1 + np.exp(-2 * X))
    np.testing.assert_allclose(result(Case("Swish", [X], {"alpha": 2.0}, 24)), expected, atol=1e-6)
