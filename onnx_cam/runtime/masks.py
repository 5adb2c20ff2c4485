"""Activation maps to masks (METHODS.md, "Notation": U, s and H_k)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Masking", "interpolation_matrix", "is_dead", "masks", "upsample"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Masking:
    """How an activation map becomes a mask.

    Attributes
    ----------
    normalise : {"after", "before", "never"}
        Whether min-max normalisation comes after upsampling (``s(U(A))``), before it (``U(s(A))``), or not at all.
    epsilon : float
        Added to the range that is divided by.
    align_corners : bool
        Upsample so that corner pixels coincide, instead of half-pixel centres.
    """

    normalise: Literal["after", "before", "never"] = "after"
    epsilon: float = 0.0
    align_corners: bool = False


def masks(maps: Floats, size: tuple[int, int], masking: Masking) -> Floats:
    """Return masks for live maps.

    Parameters
    ----------
    maps : ndarray of shape (B, h, w), float32
    size : tuple of int
        ``(H, W)`` of the network's input.

    Returns
    -------
    ndarray of shape (B, H, W), float32
        In [0, 1], unless `masking.normalise` is ``"never"``.
    """
    if masking.normalise == "before":
        maps = _normalise(maps, masking.epsilon)
    upsampled = upsample(maps, size, masking.align_corners)
    return _normalise(upsampled, masking.epsilon) if masking.normalise == "after" else upsampled


def is_dead(maps: Floats) -> NDArray[np.bool_]:
    """Tell which maps ``(K, h, w)`` are constant at layer resolution: their mask would be 0/0."""
    dead: NDArray[np.bool_] = maps.max(axis=(1, 2)) == maps.min(axis=(1, 2))
    return dead


def upsample(maps: Floats, size: tuple[int, int], align_corners: bool = False) -> Floats:
    """Return bilinearly upsampled maps: ``(..., h, w)`` to ``(..., H, W)``, as ``Uy · A · Uxᵀ``."""
    rows = interpolation_matrix(maps.shape[-2], size[0], align_corners)
    columns = interpolation_matrix(maps.shape[-1], size[1], align_corners)
    return np.asarray(rows @ maps @ columns.T, np.float32)


def interpolation_matrix(source: int, target: int, align_corners: bool = False) -> Floats:
    """Return the matrix ``(target, source)`` of bilinear interpolation along one axis; edges are repeated."""
    index = np.arange(target)
    if align_corners:
        position = index * ((source - 1) / (target - 1)) if target > 1 else np.zeros(1)
    else:
        position = (index + 0.5) * (source / target) - 0.5
    position = np.clip(position, 0, source - 1)
    low = np.minimum(position.astype(np.int64), max(source - 2, 0))
    share = (position - low).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    matrix[index, low] = 1 - share
    matrix[index, np.minimum(low + 1, source - 1)] += share
    return matrix


def _normalise(maps: Floats, epsilon: float) -> Floats:
    low = maps.min(axis=(1, 2), keepdims=True)
    spread = maps.max(axis=(1, 2), keepdims=True) - low + np.float32(epsilon)
    normalised: Floats = (maps - low) / np.where(spread > 0, spread, np.float32(1))
    return normalised
