"""Activation maps to masks (METHODS.md, "Notation": U, s and H_k).

Bilinear upsampling U is linear, and its rows sum to 1: ``s(U(A)) = U((A − min U(A)) / (max U(A) − min U(A)))``. So a
map is normalised at its own, small size, once a channel, and the score graph has nothing left to do but upsample it.
The minimum and maximum of ``U(A)`` need no upsampling either: between two grid lines of A, ``U(A)`` is linear along
each axis, so that its extremes over the pixels of one cell lie at the cell's corner pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.frame import WHOLE, Frame

__all__ = [
    "Masking",
    "corner_matrix",
    "interpolation_matrix",
    "is_dead",
    "masks",
    "normalised",
    "upsample",
    "upsampled_range",
]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Masking:
    """How an activation map becomes a mask (METHODS.md, "Variants").

    Attributes
    ----------
    normalise : {"after", "before", "never"}
        Whether min-max normalisation comes after upsampling (``s(U(A))``), before it (``U(s(A))``), or not at all.
    epsilon : float
        Added to the range that is divided by.
    align_corners : bool
        Whether the corner pixels of map and mask coincide, instead of half-pixel centres.
    frame : Frame
        The part of the network's input that the map's cells cover. Outside it the mask is 0.

    Examples
    --------
    >>> Masking(normalise="before", epsilon=1e-8).align_corners
    False
    """

    normalise: Literal["after", "before", "never"] = "after"
    epsilon: float = 0.0
    align_corners: bool = False
    frame: Frame = WHOLE


def normalised(maps: Floats, size: tuple[int, int], masking: Masking) -> Floats:
    """Return maps whose upsampling is the mask.

    Parameters
    ----------
    maps : ndarray of shape (M, h, w), float32
    size : tuple of int
        ``(H, W)`` of the network's input.

    Returns
    -------
    ndarray of shape (M, h, w), float32
        A dead map, constant at its own resolution, becomes 0 unless `masking.normalise` is ``"never"``.

    Examples
    --------
    >>> normalised(np.array([[[1.0, 3.0]]], np.float32), (1, 2), Masking()).tolist()
    [[[0.0, 1.0]]]
    """
    if masking.normalise == "never":
        return maps
    if masking.normalise == "before":
        low, high = maps.min(axis=(1, 2)).astype(np.float64), maps.max(axis=(1, 2)).astype(np.float64)
    else:
        low, high = upsampled_range(maps, size, masking.align_corners, masking.frame)
    spread = high - low + masking.epsilon
    shifted = maps - low[:, None, None]  # (M, h, w) float64
    divided = shifted / np.where(spread > 0, spread, 1)[:, None, None]
    return np.where(is_dead(maps)[:, None, None], 0, divided).astype(np.float32)


def masks(maps: Floats, size: tuple[int, int], masking: Masking) -> Floats:
    """Return masks ``(M, H, W)`` for maps ``(M, h, w)``; in [0, 1] where they are normalised.

    Examples
    --------
    >>> masks(np.array([[[0.0, 2.0]]], np.float32), (1, 4), Masking()).tolist()
    [[[0.0, 0.25, 0.75, 1.0]]]
    """
    return upsample(normalised(maps, size, masking), size, masking.align_corners, masking.frame)


def is_dead(maps: Floats) -> NDArray[np.bool_]:
    """Tell which maps ``(K, h, w)`` are constant at layer resolution, so that their mask would be 0/0: (K,).

    Examples
    --------
    >>> is_dead(np.array([[[1.0, 1.0]], [[1.0, 2.0]]], np.float32)).tolist()
    [True, False]
    """
    dead: NDArray[np.bool_] = maps.max(axis=(1, 2)) == maps.min(axis=(1, 2))
    return dead


def upsample(maps: Floats, size: tuple[int, int], align_corners: bool = False, frame: Frame = WHOLE) -> Floats:
    """Return bilinearly upsampled maps, ``(..., h, w)`` to ``(..., H, W)``: ``Uy · A · Uxᵀ``, 0 outside the frame."""
    rows = interpolation_matrix(maps.shape[-2], size[0], align_corners, frame.rows)
    columns = interpolation_matrix(maps.shape[-1], size[1], align_corners, frame.columns)
    return np.asarray(rows @ maps @ columns.T, np.float32)


def upsampled_range(
    maps: Floats, size: tuple[int, int], align_corners: bool = False, frame: Frame = WHOLE
) -> tuple[Doubles, Doubles]:
    """Return the minimum and the maximum of each upsampled map, (M,) each, without upsampling it."""
    rows = corner_matrix(maps.shape[-2], size[0], align_corners, frame.rows)
    columns = corner_matrix(maps.shape[-1], size[1], align_corners, frame.columns)
    offset = maps[:, :1, :1].astype(np.float64)  # added last: the rows' sums are 1 in single precision only
    corners = rows @ (maps - offset) @ columns.T + offset
    return corners.min(axis=(1, 2)), corners.max(axis=(1, 2))


@lru_cache(maxsize=16)
def interpolation_matrix(
    source: int, target: int, align_corners: bool = False, span: tuple[float, float] = (0.0, 1.0)
) -> Floats:
    """Return the matrix ``(target, source)`` of bilinear interpolation along one axis; edges are repeated.

    Parameters
    ----------
    source, target : int
        The number of cells, and of pixels.
    align_corners : bool
        Whether the first and last pixel coincide with the first and last cell, instead of half-pixel centres.
    span : tuple of float
        Where the cells begin and end, in fractions of the target. The rows of pixels outside are 0.

    Examples
    --------
    >>> interpolation_matrix(2, 4).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    >>> interpolation_matrix(1, 4, span=(0.25, 0.75)).tolist()
    [[0.0], [1.0], [1.0], [0.0]]
    """
    index, low, share = _positions(source, target, align_corners, span)
    matrix = np.zeros((target, source), np.float32)
    matrix[index, low] = 1 - share
    matrix[index, np.minimum(low + 1, source - 1)] += share
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=16)
def corner_matrix(source: int, target: int, align_corners: bool, span: tuple[float, float]) -> Doubles:
    """Return the interpolation matrix's rows for each cell's first and last pixel, (corners, source).

    Examples
    --------
    >>> corner_matrix(2, 8, False, (0.0, 1.0)).shape
    (2, 2)
    """
    index, low, _ = _positions(source, target, align_corners, span)
    changes = np.flatnonzero(np.diff(low))
    ends = np.unique(np.concatenate([[0], changes, changes + 1, [len(index) - 1]]))
    matrix = interpolation_matrix(source, target, align_corners, span)
    corners: Doubles = matrix[index[ends]].astype(np.float64)
    return corners


def _positions(
    source: int, target: int, align_corners: bool, span: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return the pixels within the span, the cell of each, and how far into the cell it lies."""
    index = np.arange(target)
    position: Doubles
    if span != (0.0, 1.0):
        index, position = _positions_in_span(index, source, target, align_corners, span)
    elif align_corners:
        position = np.asarray(index * ((source - 1) / (target - 1)) if target > 1 else np.zeros(1))
    else:
        position = np.asarray((index + 0.5) * (source / target) - 0.5)
    position = np.asarray(np.clip(position, 0, source - 1))
    low = np.minimum(position.astype(np.int64), max(source - 2, 0))
    return index, low, (position - low).astype(np.float32)


def _positions_in_span(
    index: NDArray[np.int64], source: int, target: int, align_corners: bool, span: tuple[float, float]
) -> tuple[NDArray[np.int64], Doubles]:
    """Return the pixels within a span of the target, and their positions in cells."""
    start, stop = span
    depth = ((index + 0.5) / target - start) / (stop - start)  # from 0 to 1 within the span
    inside = (depth >= 0) & (depth <= 1)
    if not inside.any():  # a span that holds no pixel's centre: the nearest pixel stands for it
        inside[np.argmin(np.abs(depth - 0.5))] = True
    depth = depth[inside]
    if align_corners and len(depth) > 1:
        depth = (depth - depth[0]) / (depth[-1] - depth[0])
        return index[inside], depth * (source - 1)
    return index[inside], depth * source - 0.5
