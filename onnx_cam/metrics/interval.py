"""A mean over images, and how sure it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVEL", "RESAMPLES", "Interval", "mean_band", "mean_interval", "ratio_interval"]

LEVEL = 0.95
RESAMPLES = 2_000
_AT_ONCE = 1 << 22  # indices held


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes
    ----------
    value, low, high : float or None
        None where there is nothing to take a mean of.
    n : int
        How many images the mean is over.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def describe(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """Return the mean of one value an image, with the percentile bootstrap's 95 % interval over images.

    The resamples are the same for each call with as many values: figures of the same images vary together.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
    """
    n = len(values)
    if n == 0:
        return Interval(None, None, None, 0)
    means = np.concatenate([values[indices].mean(axis=1) for indices in _resamples(n)])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high), n)


def mean_band(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean curve with its pointwise interval: each point as :func:`mean_interval` has it.

    Parameters
    ----------
    curves : ndarray of shape (n, points), float64
        One curve an image, n at least 1.

    Returns
    -------
    ndarray of shape (3, points), float64
        The mean, the lower and the upper bound.
    """
    n = len(curves)
    shares = (np.bincount(indices, minlength=n) / n for part in _resamples(n) for indices in part)
    means = np.stack([share @ curves for share in shares])  # (RESAMPLES, points)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return np.stack([curves.mean(axis=0), low, high])


def ratio_interval(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> Interval:
    """Return a mean over what images hold several of, with the same bootstrap: whole images are drawn.

    Parameters
    ----------
    sums, counts : ndarray of shape (n,), float64
        Each image's sum of values, and how many they are; images with none count for nothing.
    """
    sums, counts = sums[counts > 0], counts[counts > 0]
    n = len(sums)
    if n == 0:
        return Interval(None, None, None, 0)
    ratios = np.concatenate([sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1) for drawn in _resamples(n)])
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high), n)


def _resamples(n: int) -> list[NDArray[np.int64]]:
    """Return the indices of all resamples, (…, n) each, in parts that are not too large."""
    generator = np.random.default_rng(0)
    part = max(1, _AT_ONCE // n)
    sizes = [min(part, RESAMPLES - start) for start in range(0, RESAMPLES, part)]
    return [generator.integers(0, n, (size, n)) for size in sizes]
