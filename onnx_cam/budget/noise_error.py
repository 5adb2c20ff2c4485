"""The error of a map whose weights are means over noise fields. NumPy only: no regression is involved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.map_error import CANDIDATES, MapError, deviation_from, error_from_candidates
from onnx_cam.runtime.masks import is_dead

__all__ = ["estimate_noise_error"]

Doubles = NDArray[np.float64]


def estimate_noise_error(
    maps: NDArray[np.float32], field_weights: Doubles, *, seed: int = 0, candidates: int = CANDIDATES
) -> MapError:
    """Return the error of a map whose weights are means over N ≥ 2 noise fields, estimated from just these fields.

    The scores of one noise field make a map of their own, and how much these N maps vary tells how precise their mean
    is. All channels share the fields, so their errors are correlated and do not average out over the channels; the
    whole maps are therefore compared, not the channels' weights one by one.

    Parameters
    ----------
    maps : ndarray of shape (K, h, w), float32
        A, the activation maps.
    field_weights : ndarray of shape (N, K), float64
        The weights α that each noise field gives by itself; their mean over the fields is the map's α. 0 for dead maps.
    seed : int
        Random seed of the candidate maps.
    candidates : int
        How many candidate maps are drawn, ≥ 2.

    Returns
    -------
    MapError
        ``of`` is ``"noise"``.

    Examples
    --------
    >>> maps = np.array([[[1, 0]], [[0, 1]]], np.float32)  # two channels at two positions
    >>> field_weights = np.array([[1.0, 0.2], [1.2, 0.4], [0.8, 0.3]])  # three noise fields
    >>> error = estimate_noise_error(maps, field_weights)
    >>> error.deviation.shape
    (1, 2)
    >>> error.low < error.relative_error < error.high
    True
    """
    count = len(field_weights)
    flat_maps = maps.reshape(len(maps), -1).astype(np.float64)  # (K, p)
    field_maps = field_weights @ flat_maps  # (N, p)
    mean_map = field_maps.mean(axis=0)
    equal = flat_maps[~is_dead(maps)].sum(axis=0)

    rng = np.random.default_rng(seed)
    # Random combinations of the fields' deviations have the covariance of the mean's error.
    errors = rng.standard_normal((candidates, count)) @ (field_maps - mean_map) / np.sqrt(count * (count - 1))
    shape = (maps.shape[1], maps.shape[2])

    # The interval uses Student's t, since a variance from few fields is itself uncertain. The deviation does not: with
    # N = 2 a t distribution has no finite variance.
    heavy_tails = np.sqrt((count - 1) / rng.chisquare(count - 1, (candidates, 1)))
    error = error_from_candidates("noise", mean_map, mean_map + heavy_tails * errors, equal, shape)
    return replace(error, deviation=deviation_from(mean_map, mean_map + errors, shape))
