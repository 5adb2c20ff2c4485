"""Resize and Upsample, one axis after the other."""

from __future__ import annotations

import torch
from torch import Tensor

from onnx_cam.gradients.node import Node
from onnx_cam.graph.resize_weights import Interpolation, new_sizes, scaled_size

__all__ = ["resize", "upsample"]


def upsample(node: Node, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """Upsample, which Resize replaced in opset 10; before opset 9 the scales are an attribute."""
    factors = list(node.attributes["scales"]) if scales is None else scales.tolist()
    for axis, factor in enumerate(factors):
        x = _resized_along(node, x, axis, scaled_size(x.shape[axis], factor), factor)
    return x


def resize(
    node: Node, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    """Resize to given sizes or by given scales; before opset 11 there is no ``roi``, and the scales come second."""
    if node.opset < 11:
        return upsample(node, x, roi)
    axes = [axis % x.ndim for axis in node.ints("axes") or range(x.ndim)]
    old_sizes = [x.shape[axis] for axis in axes]
    if scales is not None and scales.numel():
        factors = scales.tolist()
        resized = [scaled_size(old_size, factor) for old_size, factor in zip(old_sizes, factors, strict=True)]
    else:
        policy = node.get("keep_aspect_ratio_policy", b"stretch").decode()
        resized, factors = new_sizes(old_sizes, [] if sizes is None else sizes.tolist(), policy)
    for axis, size, factor in zip(axes, resized, factors, strict=True):
        x = _resized_along(node, x, axis, size, factor)
    return x


def _resized_along(node: Node, x: Tensor, axis: int, size: int, factor: float) -> Tensor:
    """Return a tensor with one axis resized, by picking rows or by a product with a matrix of weights."""
    old_size = x.shape[axis]
    if size == old_size and factor == 1:
        return x
    interpolation = Interpolation.of(node.attributes, node.opset)
    if interpolation.mode == "nearest":
        return x.index_select(axis, torch.as_tensor(interpolation.rows(old_size, size, factor), device=x.device))
    weights = interpolation.weights(old_size, size, factor)  # (size, old_size)
    matrix = torch.as_tensor(weights, dtype=x.dtype, device=x.device)
    return (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
