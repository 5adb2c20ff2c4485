"""Resize and Upsample: along each axis the transpose of the matrix that they multiply by."""

from __future__ import annotations

from onnx_cam.graph.backward.rows import product_along, put_rows
from onnx_cam.graph.backward.step import Gradients, NoRule, Step
from onnx_cam.graph.backward.windows import fixed_sizes
from onnx_cam.graph.resize_weights import Interpolation, new_sizes

__all__ = ["resize", "upsample"]

_FIRST_WITH_SIZES = 11
_SIZE = "the size of a resized axis"


def upsample(step: Step) -> Gradients:
    """Upsample, which Resize replaced in opset 10; before opset 9 the scales are an attribute."""
    given_scales = step.parameter(1)
    scales = step.attribute("scales", []) if given_scales is None else given_scales.tolist()
    return {0: _resized_back(step, list(range(len(scales))), scales)}


def resize(step: Step) -> Gradients:
    """Resize to given sizes or by given scales; before opset 11 there is no ``roi``, and the scales come second."""
    if step.version < _FIRST_WITH_SIZES:
        return upsample(step)
    rank = len(step.shape())
    axes = [axis % rank for axis in step.ints("axes") or range(rank)]
    scales = step.parameter(2)
    if scales is not None and scales.size:
        return {0: _resized_back(step, axes, scales.tolist())}
    policy = step.attribute("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":  # the output has the given sizes, of which that of the batch need not be known
        factors = [_factor(step, axis) for axis in axes]
    else:
        sizes = step.parameter(3)
        old_sizes = fixed_sizes([step.shape()[axis] for axis in axes], _SIZE)
        factors = new_sizes(old_sizes, [] if sizes is None else sizes.tolist(), policy)[1]
    return {0: _resized_back(step, axes, factors)}


def _factor(step: Step, axis: int) -> float:
    old, new = step.shape()[axis], step.output_shape()[axis]
    if old is None and new is None:
        return 1.0
    if old is None or new is None:
        raise NoRule(f"{_SIZE} depends on the batch")
    return new / old


def _resized_back(step: Step, axes: list[int], factors: list[float]) -> str:
    interpolation = Interpolation.of(step.attributes, step.version)
    gradient, shape = step.gradient, list(step.output_shape())
    for axis, factor in reversed(list(zip(axes, factors, strict=True))):
        if factor == 1 and step.shape()[axis] == shape[axis]:
            continue
        old_size, size = fixed_sizes([step.shape()[axis], shape[axis]], _SIZE)
        if interpolation.mode == "nearest":
            rows = interpolation.rows(old_size, size, factor)
            gradient = put_rows(step.emit, gradient, tuple(shape), axis, rows=rows, size=old_size)
        else:
            weights = interpolation.weights(old_size, size, factor)  # (size, old_size)
            gradient = product_along(step.emit, gradient, tuple(shape), axis, weights.T)
        shape[axis] = old_size
    return gradient
