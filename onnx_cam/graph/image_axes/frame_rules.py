"""Operators that change the frame: Slice, Pad, Split and Resize; and convolutions and pooling, which keep it.

A convolution's own padding is not followed: its cells are taken to cover its input evenly, as they do with "same"
padding. Padding beyond what a kernel can reach moves the frame.
"""

from __future__ import annotations

from dataclasses import replace

import onnx_graphsurgeon as gs

from onnx_cam.graph.image_axes.rules import Facts, Rule, Views, image_view, integers
from onnx_cam.graph.image_axes.spans import Span, TokenSpan, View
from onnx_cam.graph.walk import input_names, output_names

__all__ = ["RULES"]

_CONVOLUTIONS = ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv", "NhwcFusedConv", "NhwcConv")
_POOLS = ("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "NhwcMaxPool")
_GLOBAL_POOLS = ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "QLinearGlobalAveragePool")
_PASSED = ("QuantizeLinear", "DequantizeLinear", "Cast", "Identity")
_CHANNELS_LAST = ("NhwcMaxPool", "NhwcFusedConv", "NhwcConv")


def _spatial_axes(node: gs.Node) -> tuple[int, int]:
    last = node.op in _CHANNELS_LAST or node.attrs.get("channels_last", 0)
    return (1, 2) if last else (2, 3)


def _windows(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    """A convolution or pooling: its cells cover its input, but for padding that no kernel reaches across."""
    view = image_view(node, views)
    if view is None:
        return None
    axes = _spatial_axes(node)
    kept: dict[int, Span | TokenSpan] = {axis: span for axis, span in view.items() if axis in axes}
    pads = list(node.attrs.get("pads", ()))
    if any(pads) and len(pads) == 2 * len(axes):
        for i, axis in enumerate(axes):
            reach = _reach(node, i, facts)
            before, after = max(0, pads[i] - reach), max(0, pads[i + 2] - reach)
            kept = _extended(kept, axis, (before, after), facts, input_names(node)[0])
    return [kept] * len(output_names(node))


def _reach(node: gs.Node, i: int, facts: Facts) -> int:
    """Return how far beyond its first entry a window reaches along its i-th axis."""
    return (_kernel(node, facts)[i] - 1) * int(node.attrs.get("dilations", [1, 1])[i])


def _kernel(node: gs.Node, facts: Facts) -> list[int]:
    if "kernel_shape" in node.attrs:
        return [int(size) for size in node.attrs["kernel_shape"]]
    weight = 3 if node.op == "QLinearConv" else 1
    return list(facts.shape(input_names(node)[weight]))[2:]


def _extended(
    view: dict[int, Span | TokenSpan], axis: int, margins: tuple[int, int], facts: Facts, name: str
) -> dict[int, Span | TokenSpan]:
    """Return a view of a tensor whose axis begins some entries earlier, and ends some later."""
    span, (before, after) = view.get(axis), margins
    if not isinstance(span, Span) or (before == 0 and after == 0):
        return view
    size = facts.shape(name)[axis]
    return {**view, axis: span.cut(size, -before, size + after)}


def _global_pool(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    return [{}]


def _slice(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    view = image_view(node, views)
    if view is None:
        return None
    starts, ends = integers(node, facts, "starts", 1), integers(node, facts, "ends", 2)
    if starts is None or ends is None:
        return None
    axes = integers(node, facts, "axes", 3) or list(range(len(starts)))
    steps = integers(node, facts, "steps", 4) or [1] * len(starts)
    name = input_names(node)[0]
    cut: dict[int, Span | TokenSpan] = dict(view)
    rank = len(facts.shape(name)) if any(axis < 0 for axis in axes) else 0
    for start, end, numbered, step in zip(starts, ends, axes, steps, strict=True):
        axis = numbered + rank if numbered < 0 else numbered
        span = cut.get(axis)
        if span is None:
            continue
        size = facts.shape(name)[axis]
        first, stop, stride = slice(start, end, step).indices(size)
        kept = _cut(span, size, first, stop, stride)
        if kept is None:
            return None
        cut[axis] = kept
    return [cut]


def _cut(span: Span | TokenSpan, size: int, first: int, stop: int, step: int) -> Span | TokenSpan | None:
    """Return the span of ``first:stop:step``; None for a part of a grid of tokens."""
    count = len(range(first, stop, step))
    if count == 0:
        return None
    if isinstance(span, TokenSpan):
        before, after = span.before - first, span.after - (size - stop)
        if step != 1 or before < 0 or after < 0:
            return None
        return replace(span, before=before, after=after)
    if step > 0:  # every step-th entry stands for the entries around it, whichever of them it starts with
        begin = first - first % step if step > 1 else first
        return span.cut(size, begin, min(begin + count * step, size) if step > 1 else begin + count)
    begin = first + 1
    return span.cut(size, begin, max(begin + count * step, 0) if step < -1 else begin - count)


def _pad(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    """Padding moves the frame, unless it is the "same" padding of the windows that read it."""
    view = image_view(node, views)
    if view is None:
        return None
    pads = integers(node, facts, "paddings" if "paddings" in node.attrs else "pads", 1)
    if pads is None:
        return None
    axes = integers(node, facts, "axes", 3) if "axes" not in node.attrs else None
    half = len(pads) // 2
    axes = axes or list(range(half))
    name = input_names(node)[0]
    padded: dict[int, Span | TokenSpan] = dict(view)
    for i, axis in enumerate(axes):
        before, after = pads[i], pads[i + half]
        if axis not in padded or (before == 0 and after == 0):
            continue
        if isinstance(padded[axis], TokenSpan):
            return None
        reach = _reach_of_readers(node, axis, facts)
        if reach is None or before > reach or after > reach or before < 0 or after < 0:
            padded = _extended(padded, axis, (before, after), facts, name)
    return [padded]


def _reach_of_readers(node: gs.Node, axis: int, facts: Facts) -> int | None:
    """Return how far the windows that read a padded tensor reach, where nothing but such windows read it."""
    tensor = node.outputs[0]
    while len(tensor.outputs) == 1 and tensor.outputs[0].op in _PASSED:
        tensor = tensor.outputs[0].outputs[0]
    reaches = []
    for reader in tensor.outputs:
        axes = _spatial_axes(reader)
        if reader.op not in (*_CONVOLUTIONS, *_POOLS) or axis not in axes or any(reader.attrs.get("pads", ())):
            return None
        reaches.append(_reach(reader, axes.index(axis), facts))
    return min(reaches, default=None)


def _split(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    view = image_view(node, views)
    if view is None:
        return None
    outputs = output_names(node)
    axis = int(node.attrs.get("axis", 0))
    name = input_names(node)[0]
    axis = axis + len(facts.shape(name)) if axis < 0 else axis
    span = view.get(axis)
    if span is None:
        return [view] * len(outputs)
    size = facts.shape(name)[axis]
    sizes = integers(node, facts, "split", 1) or [-(-size // len(outputs))] * len(outputs)
    pieces: list[View] = []
    first = 0
    for length in sizes:
        stop = min(first + length, size)
        piece = _cut(span, size, first, stop, 1)
        if piece is None:
            return None
        pieces.append({**view, axis: piece})
        first = stop
    return pieces


def _resize(node: gs.Node, views: Views, facts: Facts) -> list[View] | None:
    view = image_view(node, views)
    if view is None:
        return None
    if node.attrs.get("coordinate_transformation_mode", "half_pixel") != "tf_crop_and_resize":
        return None if any(isinstance(span, TokenSpan) for span in view.values()) else [view]
    roi = [float(number) for number in facts.value(input_names(node)[1]).ravel()]
    rank = len(roi) // 2
    cropped: dict[int, Span | TokenSpan] = {}
    for axis, span in view.items():
        if not isinstance(span, Span) or axis >= rank:
            return None
        cropped[axis] = span.cut(1, roi[axis], roi[axis + rank])
    return [cropped]


RULES: dict[str, Rule] = {
    **dict.fromkeys((*_CONVOLUTIONS, *_POOLS), _windows),
    **dict.fromkeys(_GLOBAL_POOLS, _global_pool),
    "Slice": _slice,
    "Pad": _pad,
    "Split": _split,
    "Resize": _resize,
    "Upsample": _resize,
    "QLinearResize": _resize,
}
