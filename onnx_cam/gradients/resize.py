"""Resize and Upsample, one axis after the other."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnx_cam.gradients.node import Node

__all__ = ["resize", "upsample"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def upsample(node: Node, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """Upsample, which Resize replaced in opset 10; before opset 9 the scales are an attribute."""
    factors = list(node.attributes["scales"]) if scales is None else scales.tolist()
    for axis, factor in enumerate(factors):
        x = _resized_along(node, x, axis, _scaled_size(x.shape[axis], factor), factor)
    return x


def resize(
    node: Node, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    """Resize to given sizes or by given scales; before opset 11 there is no ``roi``, and the scales come second."""
    if node.opset < 11:
        return upsample(node, x, roi)
    axes = [axis % x.ndim for axis in node.ints("axes") or range(x.ndim)]
    if scales is not None and scales.numel():
        factors = scales.tolist()
        new_sizes = [_scaled_size(x.shape[axis], factor) for axis, factor in zip(axes, factors, strict=True)]
    else:
        old_sizes = [x.shape[axis] for axis in axes]
        new_sizes, factors = _from_sizes(node, old_sizes, [] if sizes is None else sizes.tolist())
    for axis, size, factor in zip(axes, new_sizes, factors, strict=True):
        x = _resized_along(node, x, axis, size, factor)
    return x


def _scaled_size(size: int, factor: float) -> int:
    """Return the new size of an axis, computed in float32 as ONNX Runtime does."""
    return int(np.floor(np.float32(size) * np.float32(factor)))


def _from_sizes(node: Node, old_sizes: list[int], sizes: list[int]) -> tuple[list[int], list[float]]:
    """Return new sizes and factors; ``keep_aspect_ratio_policy`` makes all factors the same."""
    factors = [size / old_size for size, old_size in zip(sizes, old_sizes, strict=True)]
    policy = node.get("keep_aspect_ratio_policy", b"stretch").decode()
    if policy == "stretch":
        return sizes, factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [int(np.floor(factor * old_size + 0.5)) for old_size in old_sizes], [factor] * len(old_sizes)


def _resized_along(node: Node, x: Tensor, axis: int, size: int, factor: float) -> Tensor:
    """Return a tensor with one axis resized, by picking rows or by a product with a matrix of weights."""
    old_size = x.shape[axis]
    if size == old_size and factor == 1:
        return x
    positions = _positions(node, old_size, size, np.float32(factor))
    if node.get("mode", b"nearest") == b"nearest":
        rows = np.clip(_nearest_rows(node, positions, factor), 0, old_size - 1).astype(np.int64)
        return x.index_select(axis, torch.as_tensor(rows, device=x.device))
    weights = _weights(node, positions, old_size, factor)  # (size, old_size)
    matrix = torch.as_tensor(weights, dtype=x.dtype, device=x.device)
    return (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)


def _positions(node: Node, old_size: int, size: int, factor: np.float32) -> Floats:
    """Return the position of each output row among the input's rows, (size,), in float32 as ONNX Runtime does."""
    rows = np.arange(size, dtype=np.float32)
    default = b"half_pixel" if node.opset >= 11 else b"asymmetric"
    mode = node.get("coordinate_transformation_mode", default).decode()
    half_pixel = (rows + np.float32(0.5)) / factor - np.float32(0.5)
    if mode == "half_pixel_symmetric":
        adjustment = size / (float(factor) * old_size)
        half_pixel = half_pixel + np.float32(old_size / 2 * (1 - adjustment))
    positions: dict[str, Floats] = {
        "half_pixel": half_pixel,
        "half_pixel_symmetric": half_pixel,
        "pytorch_half_pixel": half_pixel if size > 1 else rows * 0,
        "align_corners": rows * np.float32((old_size - 1) / max(size - 1, 1)),
        "asymmetric": rows / factor,
        "tf_half_pixel_for_nn": (rows + np.float32(0.5)) / factor,
    }
    if mode not in positions:
        raise ValueError(f"unsupported coordinate_transformation_mode {mode!r}: expected one of {', '.join(positions)}")
    return np.asarray(positions[mode], np.float32)


def _nearest_rows(node: Node, positions: Floats, factor: float) -> Floats:
    """Return the input row that is nearest to each position, as ``nearest_mode`` rounds."""
    if node.opset < 11:
        return np.floor(positions) if factor >= 1 else np.ceil(positions)
    mode = node.get("nearest_mode", b"round_prefer_floor").decode()
    rounded: dict[str, Floats] = {
        "round_prefer_floor": np.ceil(positions - np.float32(0.5)),
        "round_prefer_ceil": np.floor(positions + np.float32(0.5)),
        "floor": np.floor(positions),
        "ceil": np.ceil(positions),
    }
    return rounded[mode]


def _weights(node: Node, positions: Floats, old_size: int, factor: float) -> Doubles:
    """Return the weight of each input row in each output row, (size, old_size).

    A row outside the input counts as the nearest one inside, or not at all with ``exclude_outside``.
    """
    is_cubic = node.get("mode", b"") == b"cubic"
    stretch = 1 / factor if node.get("antialias", 0) and factor < 1 else 1.0
    exclude_outside = bool(node.get("exclude_outside", 0))
    radius = int(np.ceil((2 if is_cubic else 1) * stretch))
    rows = np.floor(positions.astype(np.float64))[:, None] + np.arange(1 - radius, 1 + radius)  # (size, taps)
    distances = np.abs(rows - positions[:, None].astype(np.float64)) / stretch
    taps = _cubic(distances, node.get("cubic_coeff_a", -0.75)) if is_cubic else np.maximum(1 - distances, 0)
    if exclude_outside:
        taps = taps * ((rows >= 0) & (rows < old_size))
    if exclude_outside or stretch > 1:
        taps = taps / taps.sum(axis=1, keepdims=True)
    weights = np.zeros((len(positions), old_size))
    outputs = np.broadcast_to(np.arange(len(positions))[:, None], rows.shape)
    np.add.at(weights, (outputs, np.clip(rows, 0, old_size - 1).astype(np.int64)), taps)
    return weights


def _cubic(distance: Doubles, a: float) -> Doubles:
    """Return the weights of Keys' cubic convolution at distances in rows."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
