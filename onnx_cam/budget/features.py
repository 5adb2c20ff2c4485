"""What a regression over masks sees of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.kernel import Pairs, pairs_of

__all__ = ["Channels", "describe_channels"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_WIDEST = 128  # columns; what is wider is turned to its main axes
_POWER = 2  # iterations
_FLOOR = 1.0  # of the highest activity: what a position counts at least


@dataclass(frozen=True)
class Channels:
    """The M distinct masks of an image's live channels.

    Channels whose masks are equal have one score, so that they count as one, and their maps are added up. The map of
    weights α, one a mask, is then ``ReLU(Σ α_m maps_m)``.

    Attributes
    ----------
    mask_of : ndarray of shape (K,), int64
        Each channel's mask, 0 to M − 1; −1 for a dead channel.
    features : ndarray of shape (M, d), float64
        Masks as points: near ones have like scores. Scaled so that the mean squared distance between two is 1.
    maps : ndarray of shape (M, p), float64
        The sum of the activation maps that share the mask: positions as columns.
    shape : tuple of int
        ``(h, w)``, p = h·w.
    """

    mask_of: Indices
    features: Floats
    maps: Floats
    shape: tuple[int, int]

    @cached_property
    def leverage(self) -> Floats:
        """What one unit of a mask's weight adds to the map: (M, r), on the maps' main axes where p is large."""
        return narrow(self.maps)

    @cached_property
    def pairs(self) -> Pairs:
        """Of the features."""
        return pairs_of(self.features)

    @property
    def count(self) -> int:
        """M: the forward passes of an exact run with one sample."""
        return len(self.maps)

    @property
    def representatives(self) -> Indices:
        """The first channel of each mask: ndarray of shape (M,), int64."""
        first: Indices = np.unique(self.mask_of[self.mask_of >= 0], return_index=True)[1]
        return np.flatnonzero(self.mask_of >= 0)[first]


def describe_channels(maps: NDArray[np.float32], masks: NDArray[np.float32]) -> Channels:
    """Return the distinct masks, as points of a space in which near masks have like scores.

    A mask's value counts by how active the layer is at that position (the mean ``|A|`` and a floor, under a root):
    where no channel is active there is little to see, and what the mask does there changes the score least.

    Parameters
    ----------
    maps : ndarray of shape (K, h, w), float32
        A, the activation maps.
    masks : ndarray of shape (K, h, w), float32
        The same normalised, at the layer's resolution (:func:`onnx_cam.runtime.masks.normalised`); 0 where dead.
    """
    dead = masks.max(axis=(1, 2)) == masks.min(axis=(1, 2))
    points = masks.reshape(len(masks), -1)
    mask_of = np.full(len(masks), -1, np.int64)
    distinct, first, which = np.unique(points[~dead], axis=0, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # numbered in the channels' order
    mask_of[~dead] = rank[which.ravel()]
    summed = np.zeros(distinct.shape, np.float64)
    np.add.at(summed, mask_of[~dead], maps.reshape(len(maps), -1)[~dead].astype(np.float64))
    features = distinct[np.argsort(first)].astype(np.float64) * _activity(maps)
    return Channels(mask_of, _scaled(narrow(features)), summed, (maps.shape[1], maps.shape[2]))


def narrow(points: Floats) -> Floats:
    """Return the points on their 128 main axes, where they have more coordinates; products and distances hardly change.

    By randomized subspace iteration (Halko, Martinsson and Tropp 2011), from a fixed seed.
    """
    if points.shape[1] <= _WIDEST:
        return points
    basis = points.T @ np.random.default_rng(0).standard_normal((len(points), _WIDEST))  # (d, 128)
    for _ in range(_POWER):
        basis = points.T @ (points @ np.linalg.qr(basis)[0])
    return np.asarray(points @ np.linalg.qr(basis)[0])


def _activity(maps: NDArray[np.float32]) -> Floats:
    """Return each position's weight, (p,), all > 0."""
    activity: Floats = np.abs(maps).mean(axis=0, dtype=np.float64).ravel()
    highest = activity.max(initial=0.0)
    return np.sqrt(_FLOOR + activity / highest) if highest > 0 else np.ones_like(activity)


def _scaled(points: Floats) -> Floats:
    spread = 2 * points.var(axis=0).sum() if len(points) else 0.0
    return points / np.sqrt(spread) if spread > 0 else points
