"""A mean over images, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVEL", "RESAMPLES", "Interval", "mean_band", "mean_interval", "ratio_interval"]

LEVEL = 0.95
RESAMPLES = 2_000
_AT_ONCE = 1 << 22  # numbers held for a part of the resamples


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
    low, high = _bounds(_resampled_sums(values[:, None])[:, 0] / n)
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
    low, high = _bounds(_resampled_sums(curves) / len(curves))
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
    drawn = _resampled_sums(np.stack([sums, counts], axis=1))  # (RESAMPLES, 2)
    low, high = _bounds(drawn[:, 0] / drawn[:, 1])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high), n)


def _bounds(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the interval's bounds, (2, …), of the resamples' means (RESAMPLES, …)."""
    return np.asarray(np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0), np.float64)


def _resampled_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over each resample of images, (RESAMPLES, p), for values (n, p)."""
    n = len(values)
    parts = _kept_times_drawn(n) if n * RESAMPLES <= _AT_ONCE else _times_drawn(n)
    return np.concatenate([times @ values for times in parts])


@lru_cache(maxsize=8)
def _kept_times_drawn(n: int) -> tuple[NDArray[np.float64], ...]:
    return tuple(_times_drawn(n))


def _times_drawn(n: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each of n images is in each resample, (…, n) each, in parts that are not too large."""
    generator = np.random.default_rng(0)
    part = max(1, _AT_ONCE // n)
    for start in range(0, RESAMPLES, part):
        drawn = generator.integers(0, n, (min(part, RESAMPLES - start), n))
        yield np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.float64)
