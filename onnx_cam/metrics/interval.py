"""A mean over images with its confidence interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEVEL",
    "RESAMPLES",
    "Interval",
    "bounds",
    "mean_band",
    "mean_interval",
    "median_interval",
    "median_ratio_interval",
    "ratio_interval",
    "resampled_means",
    "share_interval",
]

LEVEL = 0.95
"""The confidence level of every interval over images."""

RESAMPLES = 2_000
"""The resamples of the bootstrap."""

_MAX_NUMBERS = 1 << 22  # held at once for a part of the resamples


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes
    ----------
    value, low, high : float or None
        None where there are no values.
    n : int
        The number of images that the mean is over.

    Examples
    --------
    >>> Interval(0.5, 0.4, 0.6, 20).describe()
    {'value': 0.5, 'low': 0.4, 'high': 0.6, 'n': 20}
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def describe(self) -> dict[str, float | int | None]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """Return the mean of one value for each image, with the 95 % interval of the percentile bootstrap over images.

    Every call with the same number of values draws the same resamples, so that figures of the same images vary
    together.

    Parameters
    ----------
    values : ndarray of shape (n,), float64

    Examples
    --------
    >>> mean_interval(np.array([5.0]))
    Interval(value=5.0, low=5.0, high=5.0, n=1)
    """
    n = len(values)
    if n == 0:
        return Interval(None, None, None, 0)
    low, high = bounds(_resampled_sums(values[:, None])[:, 0] / n)
    return Interval(float(values.mean()), float(low), float(high), n)


def resampled_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means over each of the bootstrap's resamples of images, the same ones as of :func:`mean_interval`.

    Parameters
    ----------
    values : ndarray of shape (n, p), float64
        p values for each image, n at least 1; NaN where one is not defined.

    Returns
    -------
    ndarray of shape (RESAMPLES, p), float64
        NaN where no value of a resample is defined.

    Examples
    --------
    >>> resampled_means(np.array([[5.0, np.nan]]))[0]
    array([ 5., nan])
    """
    defined = ~np.isnan(values)
    sums = _resampled_sums(np.where(defined, values, 0.0))
    counts = _resampled_sums(defined.astype(np.float64))
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def mean_band(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean curve with the interval of each point, as :func:`mean_interval` gives it.

    Parameters
    ----------
    curves : ndarray of shape (n, points), float64
        One curve for each image, n at least 1.

    Returns
    -------
    ndarray of shape (3, points), float64
        The mean, the lower and the upper bound.

    Examples
    --------
    >>> mean_band(np.array([[1.0, 0.5, 0.0]])).tolist()
    [[1.0, 0.5, 0.0], [1.0, 0.5, 0.0], [1.0, 0.5, 0.0]]
    """
    low, high = bounds(_resampled_sums(curves) / len(curves))
    return np.stack([curves.mean(axis=0), low, high])


def ratio_interval(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> Interval:
    """Return the mean of values of which an image may have several, with a bootstrap that draws whole images.

    Parameters
    ----------
    sums, counts : ndarray of shape (n,), float64
        The sum of each image's values, and their number. Images without values do not count.

    Examples
    --------
    >>> ratio_interval(np.array([3.0, 0.0]), np.array([4.0, 0.0]))
    Interval(value=0.75, low=0.75, high=0.75, n=1)
    """
    sums, counts = sums[counts > 0], counts[counts > 0]
    n = len(sums)
    if n == 0:
        return Interval(None, None, None, 0)
    resampled = _resampled_sums(np.stack([sums, counts], axis=1))  # (RESAMPLES, 2)
    low, high = bounds(resampled[:, 0] / resampled[:, 1])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high), n)


def share_interval(hits: int, n: int) -> Interval:
    """Return a share of images with its 95 % interval by Wilson's score.

    Parameters
    ----------
    hits : int
        The images that count.
    n : int
        All images.

    References
    ----------
    Wilson, Probable inference, the law of succession, and statistical inference, 1927.

    Examples
    --------
    >>> share_interval(0, 40)
    Interval(value=0.0, low=0.0, high=0.0876..., n=40)
    """
    if n == 0:
        return Interval(None, None, None, 0)
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, spread = hits / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (share * (1 - share) / n + spread / (4 * n)) ** 0.5
    # At the ends the formula gives 0 and 1 but for rounding.
    low, high = 0.0 if hits == 0 else centre - half, 1.0 if hits == n else centre + half
    return Interval(share, low, high, n)


def median_interval(values: NDArray[np.float64]) -> Interval:
    """Return the median of one value for each image, with the 95 % interval of the percentile bootstrap over images.

    Parameters
    ----------
    values : ndarray of shape (n,), float64

    Examples
    --------
    >>> median_interval(np.array([5.0]))
    Interval(value=5.0, low=5.0, high=5.0, n=1)
    """
    n = len(values)
    if n == 0:
        return Interval(None, None, None, 0)
    low, high = bounds(_resampled_medians(values[:, None])[:, 0])
    return Interval(float(np.median(values)), float(low), float(high), n)


def median_ratio_interval(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64], *, least: float
) -> Interval:
    """Return the ratio of two medians over the same images, with a bootstrap that draws both of an image together.

    Parameters
    ----------
    numerators, denominators : ndarray of shape (n,), float64
    least : float
        What the ratio is divided by where the denominators' median is smaller.

    Examples
    --------
    >>> median_ratio_interval(np.array([3.0]), np.array([1.0]), least=2.0)
    Interval(value=1.5, low=1.5, high=1.5, n=1)
    """
    n = len(numerators)
    if n == 0:
        return Interval(None, None, None, 0)
    medians = _resampled_medians(np.stack([numerators, denominators], axis=1))  # (RESAMPLES, 2)
    low, high = bounds(medians[:, 0] / np.maximum(medians[:, 1], least))
    value = np.median(numerators) / max(np.median(denominators), least)
    return Interval(float(value), float(low), float(high), n)


def bounds(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the interval's bounds, (2, …), of what was computed from each resample, (RESAMPLES, …).

    Examples
    --------
    >>> bounds(np.linspace(0, 1, RESAMPLES)).round(3).tolist()
    [0.025, 0.975]
    """
    return np.asarray(np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0), np.float64)


def _resampled_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over each resample of images, (RESAMPLES, p), for values (n, p)."""
    n = len(values)
    parts = _cached_draw_counts(n) if n * RESAMPLES <= _MAX_NUMBERS else _draw_counts(n)
    return np.concatenate([counts @ values for counts in parts])


@lru_cache(maxsize=8)
def _cached_draw_counts(n: int) -> tuple[NDArray[np.float64], ...]:
    return tuple(_draw_counts(n))


def _draw_counts(n: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each of n images is in each resample, (resamples, n), in parts that are not too large."""
    for drawn in _draws(n):
        yield np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.float64)


def _resampled_medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median over each resample of images, (RESAMPLES, p), for values (n, p)."""
    parts = [np.median(values[drawn], axis=1) for drawn in _draws(len(values))]
    return np.concatenate(parts)


def _draws(n: int) -> Iterator[NDArray[np.int64]]:
    """Yield which of n images are in each resample, (resamples, n), in parts that are not too large."""
    generator = np.random.default_rng(0)
    part = max(1, _MAX_NUMBERS // n)
    for start in range(0, RESAMPLES, part):
        yield generator.integers(0, n, (min(part, RESAMPLES - start), n))
