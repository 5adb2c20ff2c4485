"""LayerNormalization and RMSNormalization, alone or behind a residual addition."""

from __future__ import annotations

import math

from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.backward.standardised import Standardised
from onnx_cam.graph.backward.step import Gradients, Step
from onnx_cam.graph.backward.windows import fixed_sizes

__all__ = ["layer_normalization", "rms_normalization", "skip_layer_normalization", "skip_rms_normalization"]

_EPSILON = 1e-5


def layer_normalization(step: Step) -> Gradients:
    """Its other outputs are the mean and the inverse standard deviation."""
    rank = len(step.shape())
    axes = list(range(step.attribute("axis", -1) % rank, rank))
    return _normalised(step, step.value(), axes, step.attribute("epsilon", _EPSILON), mean=1, inverse=2, shift=2)


def rms_normalization(step: Step) -> Gradients:
    """Its other output is the inverse root of the mean square."""
    rank = len(step.shape())
    axes = list(range(step.attribute("axis", -1) % rank, rank))
    return _normalised(step, step.value(), axes, step.attribute("epsilon", _EPSILON), inverse=1)


def skip_layer_normalization(step: Step) -> Gradients:
    """com.microsoft's SkipLayerNormalization: a residual addition, then LayerNormalization over the last axis."""
    axes, epsilon = [len(step.shape()) - 1], step.attribute("epsilon", 1e-12)
    total = _residual_sum(step, bias=4)
    return _at_summands(step, _normalised(step, total, axes, epsilon, scale=2, shift=3, mean=1, inverse=2), bias=4)


def skip_rms_normalization(step: Step) -> Gradients:
    """com.microsoft's SkipSimplifiedLayerNormalization: a residual addition, then RMSNormalization."""
    axes, epsilon = [len(step.shape()) - 1], step.attribute("epsilon", _EPSILON)
    total = _residual_sum(step, bias=3)
    return _at_summands(step, _normalised(step, total, axes, epsilon, scale=2, inverse=2), bias=3)


def _residual_sum(step: Step, bias: int) -> str:
    if len(step.node.output) > 3 and step.node.output[3]:
        return step.output(3)
    total = step.emit.add("Add", step.value(0), step.value(1))
    return step.emit.add("Add", total, step.value(bias)) if step.has_input(bias) else total


def _at_summands(step: Step, gradients: dict[int, str | None], bias: int) -> Gradients:
    """Return the gradient at the operands of the addition, whose sum is an output, too."""
    above = [gradients.pop(0), step.gradients[3] if len(step.gradients) > 3 else None]
    total = step.emit.total([one for one in above if one is not None])
    places = [place for place in (0, 1, bias) if step.wants(place)]
    return {**gradients, **{place: step.unbroadcast(total, place) for place in places}}


def _normalised(
    step: Step,
    x: str,
    axes: list[int],
    epsilon: float,
    *,
    scale: int = 1,
    shift: int | None = None,
    mean: int | None = None,
    inverse: int,
) -> dict[int, str | None]:
    """Return the gradients of a normalisation of `x`.

    Parameters
    ----------
    step : Step
    x : str
        The first input, or the sum of several.
    axes : list of int
    epsilon : float
    scale : int
        The place of the factor among the inputs.
    shift : int, optional
        That of the summand; None without centring.
    mean, inverse : int, optional
        The places of the statistics among the outputs.

    Returns
    -------
    dict of int to str or None
        At place 0 the gradient at `x`.
    """
    emit = step.emit
    standardised = Standardised.of(emit, x, axes, epsilon, centred=shift is not None)
    parts: list[str] = []
    gradients: dict[int, str | None] = {}
    if (g := step.gradients[0]) is not None:
        scaled = emit.add("Mul", g, step.value(scale))
        parts.append(standardised.backward(emit, scaled))
        if step.wants(scale):
            gradients[scale] = step.unbroadcast(emit.add("Mul", g, standardised.normal), scale)
        if shift is not None and step.wants(shift):
            gradients[shift] = step.unbroadcast(g, shift)
    if (g := _gradient(step, mean)) is not None:
        shape: Shape = tuple(1 if axis in axes else size for axis, size in enumerate(step.shape()))
        parts.append(step.spread_over_input(emit.add("Mul", g, 1.0 / _count(step, axes)), shape))
    if (g := _gradient(step, inverse)) is not None:  # −normal · inverse² / count
        factor = emit.add("Mul", emit.add("Mul", g, emit.square(standardised.inverse)), -1.0 / _count(step, axes))
        parts.append(emit.add("Mul", standardised.normal, factor))
    gradients[0] = emit.total(parts) if parts else None
    return gradients


def _gradient(step: Step, output: int | None) -> str | None:
    return step.gradients[output] if output is not None and output < len(step.gradients) else None


def _count(step: Step, axes: list[int]) -> int:
    return math.prod(fixed_sizes([step.shape()[axis] for axis in axes]))
