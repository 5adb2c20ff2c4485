"""The distinct masks of an image, as points for a regression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.kernel import Pairs, pairs_of

__all__ = ["DEAD", "Channels", "describe_channels", "main_axes"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

DEAD = -1
"""Stands for the mask of a dead channel, which has none."""

_MOST_DIMENSIONS = 128  # points with more coordinates are projected on this many main axes
_POWER_ITERATIONS = 2
_ACTIVITY_FLOOR = 1.0  # what every position counts at least, relative to the most active one


@dataclass(frozen=True)
class Channels:
    """The M distinct masks among an image's live channels.

    Channels with the same mask have the same score, so they count as one, and their activation maps are added up. The
    map of weights α, one for each mask, is then ``ReLU(Σ_m α_m maps_m)``.

    Attributes
    ----------
    mask_of : ndarray of shape (K,), int64
        The mask of each channel, 0 to M − 1, or `DEAD`.
    features : ndarray of shape (M, d), float64
        The masks as points: masks that are close have similar scores. Scaled so that the mean squared distance between
        two of them is 1.
    maps : ndarray of shape (M, p), float64
        The sum of the activation maps that share a mask, flattened: p = h·w positions.
    shape : tuple of int
        ``(h, w)``.

    Examples
    --------
    >>> maps = np.array([[[0, 1]], [[0, 2]], [[3, 3]], [[1, 0]]], np.float32)
    >>> masks = np.array([[[0, 1]], [[0, 1]], [[0, 0]], [[1, 0]]], np.float32)
    >>> channels = describe_channels(maps, masks)
    >>> channels.mask_of, channels.count  # channels 0 and 1 share a mask, channel 2 is dead
    (array([ 0,  0, -1,  1]), 2)
    >>> channels.maps
    array([[0., 3.],
           [1., 0.]])
    >>> channels.representatives
    array([0, 3])
    """

    mask_of: Indices
    features: Doubles
    maps: Doubles
    shape: tuple[int, int]

    @cached_property
    def leverage(self) -> Doubles:
        """How one unit of a mask's weight changes the map: (M, r), r = p, or fewer main axes where p is large."""
        return self.maps if self.axes is None else self.maps @ self.axes

    @cached_property
    def axes(self) -> Doubles | None:
        """The main axes of the maps, (p, r), where p is large; None where every position counts as one."""
        return main_axes(self.maps)

    @cached_property
    def pairs(self) -> Pairs:
        """The distances and inner products of the features."""
        return pairs_of(self.features)

    @property
    def count(self) -> int:
        """M: the forward passes of an exact map with one sample."""
        return len(self.maps)

    @property
    def representatives(self) -> Indices:
        """The first channel of each mask: ndarray of shape (M,), int64."""
        live = self.mask_of != DEAD
        first: Indices = np.unique(self.mask_of[live], return_index=True)[1]
        return np.flatnonzero(live)[first]


def describe_channels(maps: Floats, masks: Floats) -> Channels:
    """Return the distinct masks, as points of a space in which close masks have similar scores.

    Each position of a mask is weighted by how active the layer is there: ``sqrt(floor + mean_k |A_k| / max)``. Where no
    channel is active there is little to see in the image, and the mask's value there hardly changes the score.

    Parameters
    ----------
    maps : ndarray of shape (K, h, w), float32
        A, the activation maps.
    masks : ndarray of shape (K, h, w), float32
        The maps normalised to [0, 1] at the layer's resolution (:func:`onnx_cam.runtime.masks.normalised`); constant
        where a channel is dead.

    Returns
    -------
    Channels

    Examples
    --------
    >>> maps = np.random.default_rng(0).random((5, 7, 7), np.float32)
    >>> channels = describe_channels(maps, maps)
    >>> channels.features.shape, channels.maps.shape
    ((5, 49), (5, 49))
    """
    # Number the M distinct masks of the K channels. np.unique sorts them by value, and here the order of the channels
    # counts.
    dead = masks.max(axis=(1, 2)) == masks.min(axis=(1, 2))
    points = masks.reshape(len(masks), -1)  # (K, p)
    mask_of = np.full(len(masks), DEAD, np.int64)
    distinct, first, which = np.unique(points[~dead], axis=0, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    mask_of[~dead] = rank[which.ravel()]

    # Add up the activation maps that share a mask: (M, p).
    summed = np.zeros(distinct.shape, np.float64)
    np.add.at(summed, mask_of[~dead], maps.reshape(len(maps), -1)[~dead].astype(np.float64))

    # Weight the positions, and reduce the masks to at most 128 coordinates: (M, d).
    features = distinct[np.argsort(first)].astype(np.float64) * _activity(maps)
    axes = main_axes(features)
    features = features if axes is None else features @ axes
    return Channels(mask_of, _scaled(features), summed, (maps.shape[1], maps.shape[2]))


def main_axes(points: Doubles) -> Doubles | None:
    """Return 128 main axes of points (M, d), (d, 128) and orthonormal; None if d is no larger.

    The products and distances of points hardly change when they are projected on these axes, which are found by
    randomized subspace iteration from a fixed seed (Halko, Martinsson and Tropp, 2011, algorithm 4.4).
    """
    if points.shape[1] <= _MOST_DIMENSIONS:
        return None
    basis = points.T @ np.random.default_rng(0).standard_normal((len(points), _MOST_DIMENSIONS))  # (d, 128)
    for _ in range(_POWER_ITERATIONS):
        basis = points.T @ (points @ np.linalg.qr(basis)[0])
    return np.asarray(np.linalg.qr(basis)[0])


def _activity(maps: Floats) -> Doubles:
    """Return the weight of each position, (p,), all > 0."""
    activity: Doubles = np.abs(maps).mean(axis=0, dtype=np.float64).ravel()
    highest = activity.max(initial=0.0)
    return np.sqrt(_ACTIVITY_FLOOR + activity / highest) if highest > 0 else np.ones_like(activity)


def _scaled(points: Doubles) -> Doubles:
    """Return points scaled to a mean squared distance of 1."""
    mean_squared_distance = 2 * points.var(axis=0).sum() if len(points) else 0.0
    return points / np.sqrt(mean_squared_distance) if mean_squared_distance > 0 else points
