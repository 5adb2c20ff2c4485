"""Resize and Upsample."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnx_cam.gradients.node import Node

__all__ = ["resize", "upsample"]

Coordinates = NDArray[np.float32]
Weights = NDArray[np.float64]


def upsample(node: Node, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """Upsample, deprecated since opset 10: scales are an attribute before opset 9."""
    factors = list(node.attributes["scales"]) if scales is None else scales.tolist()
    for axis, factor in enumerate(factors):
        x = _along(node, x, axis, int(np.floor(np.float32(x.shape[axis]) * np.float32(factor))), factor)
    return x


def resize(
    node: Node, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    """Resize, one axis after the other; before opset 11 it takes no roi."""
    if node.opset < 11:
        return upsample(node, x, roi)
    axes = node.ints("axes") or list(range(x.ndim))
    chosen = [axis % x.ndim for axis in axes]
    if scales is not None and scales.numel():
        factors = scales.tolist()
        wanted = [int(np.floor(np.float32(x.shape[a]) * np.float32(f))) for a, f in zip(chosen, factors, strict=True)]
    else:
        wanted, factors = _from_sizes(node, [x.shape[a] for a in chosen], [] if sizes is None else sizes.tolist())
    for axis, size, factor in zip(chosen, wanted, factors, strict=True):
        x = _along(node, x, axis, size, factor)
    return x


def _from_sizes(node: Node, given: list[int], sizes: list[int]) -> tuple[list[int], list[float]]:
    """Return sizes and factors; ``keep_aspect_ratio_policy`` makes the factors one."""
    factors = [size / n for size, n in zip(sizes, given, strict=True)]
    policy = node.get("keep_aspect_ratio_policy", b"stretch").decode()
    if policy == "stretch":
        return sizes, factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [int(np.floor(factor * n + 0.5)) for n in given], [factor] * len(given)


def _along(node: Node, x: Tensor, axis: int, size: int, factor: float) -> Tensor:
    given = x.shape[axis]
    if size == given and factor == 1:
        return x
    places = _coordinates(node, given, size, np.float32(factor))
    if node.get("mode", b"nearest") == b"nearest":
        order = np.clip(_nearest(node, places, factor), 0, given - 1).astype(np.int64)
        return x.index_select(axis, torch.as_tensor(order, device=x.device))
    weights = _weights(node, places, given, factor)  # (size, given)
    matrix = torch.as_tensor(weights, dtype=x.dtype, device=x.device)
    return (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)


def _coordinates(node: Node, given: int, size: int, factor: np.float32) -> Coordinates:
    """Return where each output row lies among the input's, in float32 as ONNX Runtime has it."""
    rows = np.arange(size, dtype=np.float32)
    default = b"half_pixel" if node.opset >= 11 else b"asymmetric"
    mode = node.get("coordinate_transformation_mode", default).decode()
    half = (rows + np.float32(0.5)) / factor - np.float32(0.5)
    if mode == "half_pixel_symmetric":
        adjustment = size / (float(factor) * given)
        half = half + np.float32(given / 2 * (1 - adjustment))
    places: dict[str, Any] = {
        "half_pixel": half,
        "half_pixel_symmetric": half,
        "pytorch_half_pixel": half if size > 1 else rows * 0,
        "align_corners": rows * np.float32((given - 1) / max(size - 1, 1)),
        "asymmetric": rows / factor,
        "tf_half_pixel_for_nn": (rows + np.float32(0.5)) / factor,
    }
    if mode not in places:
        raise ValueError(f"coordinate_transformation_mode {mode!r} is not supported; expected {', '.join(places)}")
    return np.asarray(places[mode], np.float32)


def _nearest(node: Node, places: Coordinates, factor: float) -> Coordinates:
    if node.opset < 11:
        return np.floor(places) if factor >= 1 else np.ceil(places)
    mode = node.get("nearest_mode", b"round_prefer_floor").decode()
    rounded: dict[str, Coordinates] = {
        "round_prefer_floor": np.ceil(places - np.float32(0.5)),
        "round_prefer_ceil": np.floor(places + np.float32(0.5)),
        "floor": np.floor(places),
        "ceil": np.ceil(places),
    }
    return rounded[mode]


def _weights(node: Node, places: Coordinates, given: int, factor: float) -> Weights:
    """Return how much each input row counts in each output row; rows outside are the nearest one inside."""
    cubic = node.get("mode", b"") == b"cubic"
    stretch = 1 / factor if node.get("antialias", 0) and factor < 1 else 1.0
    outside = bool(node.get("exclude_outside", 0))
    reach = int(np.ceil((2 if cubic else 1) * stretch))
    near = np.floor(places.astype(np.float64))[:, None] + np.arange(1 - reach, 1 + reach)  # (size, taps)
    distance = np.abs(near - places[:, None].astype(np.float64)) / stretch
    taps = _cubic(distance, node.get("cubic_coeff_a", -0.75)) if cubic else np.maximum(1 - distance, 0)
    if outside:
        taps = taps * ((near >= 0) & (near < given))
    if outside or stretch > 1:
        taps = taps / taps.sum(axis=1, keepdims=True)
    weights = np.zeros((len(places), given))
    rows = np.broadcast_to(np.arange(len(places))[:, None], near.shape)
    np.add.at(weights, (rows, np.clip(near, 0, given - 1).astype(np.int64)), taps)
    return weights


def _cubic(distance: Weights, a: float) -> Weights:
    """Keys' cubic convolution."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
