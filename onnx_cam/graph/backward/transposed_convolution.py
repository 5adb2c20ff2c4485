"""Transposed convolutions."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, NoRule, Step
from onnx_cam.graph.backward.windows import Windows, fixed_sizes

__all__ = ["conv_transpose"]


def conv_transpose(step: Step) -> Gradients:
    """The convolution with the same weights, of the gradient padded to what was cut off.

    Raises
    ------
    NoRule
        The weights or the bias depend on the image.
    """
    if step.wants(1) or step.wants(2):
        raise NoRule("its weights depend on the image")
    sizes, outputs = fixed_sizes(step.shape()[2:]), fixed_sizes(step.output_shape()[2:])
    rank = len(sizes)
    strides, dilations = step.ints("strides") or [1] * rank, step.ints("dilations") or [1] * rank
    kernel = fixed_sizes(step.shape(1)[2:])
    extents = Windows(kernel, strides, dilations, [], []).extents
    whole = [(n - 1) * s + e for n, s, e in zip(sizes, strides, extents, strict=True)]
    before = _cut_before(step, whole, outputs)
    after = [w - b - n for w, b, n in zip(whole, before, outputs, strict=True)]  # less than 0: rows of zeros at the end
    gradient = step.emit.pad(step.gradient, [0, 0, *(min(n, 0) for n in before)], [0, 0, *(min(n, 0) for n in after)])
    pads = [max(n, 0) for n in (*before, *after)]
    group = step.attribute("group", 1)
    weight = step.value(1)
    return {0: step.emit.add("Conv", gradient, weight, strides=strides, dilations=dilations, pads=pads, group=group)}


def _cut_before(step: Step, whole: list[int], outputs: list[int]) -> list[int]:
    """Return how many rows ConvTranspose cuts off at the front of the unpadded result, along each axis."""
    rank = len(whole)
    extra = step.ints("output_padding") or [0] * rank
    mode = step.attribute("auto_pad", "NOTSET")
    if step.ints("output_shape") is None and not mode.startswith("SAME"):
        return ((step.ints("pads") if mode == "NOTSET" else None) or [0] * rank)[:rank]
    totals = [w + more - n for w, more, n in zip(whole, extra, outputs, strict=True)]
    return [total // 2 if mode == "SAME_UPPER" else total - total // 2 for total in totals]
