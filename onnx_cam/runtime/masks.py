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

__all__ = ["Masking", "interpolation_matrix", "is_dead", "masks", "normalised", "upsample", "upsampled_range"]

Floats = NDArray[np.float32]


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

    Examples
    --------
    >>> Masking(normalise="before", epsilon=1e-8).align_corners
    False
    """

    normalise: Literal["after", "before", "never"] = "after"
    epsilon: float = 0.0
    align_corners: bool = False


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
        low, high = upsampled_range(maps, size, masking.align_corners)
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
    return upsample(normalised(maps, size, masking), size, masking.align_corners)


def is_dead(maps: Floats) -> NDArray[np.bool_]:
    """Tell which maps ``(K, h, w)`` are constant at layer resolution, so that their mask would be 0/0: (K,).

    Examples
    --------
    >>> is_dead(np.array([[[1.0, 1.0]], [[1.0, 2.0]]], np.float32)).tolist()
    [True, False]
    """
    dead: NDArray[np.bool_] = maps.max(axis=(1, 2)) == maps.min(axis=(1, 2))
    return dead


def upsample(maps: Floats, size: tuple[int, int], align_corners: bool = False) -> Floats:
    """Return bilinearly upsampled maps: ``(..., h, w)`` to ``(..., H, W)``, as ``Uy · A · Uxᵀ``."""
    rows = interpolation_matrix(maps.shape[-2], size[0], align_corners)
    columns = interpolation_matrix(maps.shape[-1], size[1], align_corners)
    return np.asarray(rows @ maps @ columns.T, np.float32)


def upsampled_range(
    maps: Floats, size: tuple[int, int], align_corners: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the minimum and the maximum of each upsampled map, (M,) each, without upsampling it."""
    rows = _corners(maps.shape[-2], size[0], align_corners)
    columns = _corners(maps.shape[-1], size[1], align_corners)
    offset = maps[:, :1, :1].astype(np.float64)  # added last: the rows' sums are 1 in single precision only
    corners = rows @ (maps - offset) @ columns.T + offset
    return corners.min(axis=(1, 2)), corners.max(axis=(1, 2))


@lru_cache(maxsize=16)
def interpolation_matrix(source: int, target: int, align_corners: bool = False) -> Floats:
    """Return the matrix ``(target, source)`` of bilinear interpolation along one axis; edges are repeated."""
    low, share = _positions(source, target, align_corners)
    index = np.arange(target)
    matrix = np.zeros((target, source), np.float32)
    matrix[index, low] = 1 - share
    matrix[index, np.minimum(low + 1, source - 1)] += share
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=16)
def _corners(source: int, target: int, align_corners: bool) -> NDArray[np.float64]:
    """Return the interpolation matrix's rows for each cell's first and last pixel."""
    low, _ = _positions(source, target, align_corners)
    changes = np.flatnonzero(np.diff(low))
    ends = np.unique(np.concatenate([[0], changes, changes + 1, [target - 1]]))
    corners: NDArray[np.float64] = interpolation_matrix(source, target, align_corners)[ends].astype(np.float64)
    return corners


def _positions(source: int, target: int, align_corners: bool) -> tuple[NDArray[np.int64], Floats]:
    """Return each pixel's cell, and how far into the cell the pixel lies: (target,) each."""
    index = np.arange(target)
    if align_corners:
        position = index * ((source - 1) / (target - 1)) if target > 1 else np.zeros(1)
    else:
        position = (index + 0.5) * (source / target) - 0.5
    position = np.clip(position, 0, source - 1)
    low = np.minimum(position.astype(np.int64), max(source - 2, 0))
    return low, (position - low).astype(np.float32)
