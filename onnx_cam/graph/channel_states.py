"""What the nodes before the first layer make of the image's channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChannelState"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class ChannelState:
    """A tensor whose channels are channels of the image, each times a factor, plus an offset.

    Attributes
    ----------
    rank : int
        The number of dimensions.
    axis : int or None
        The dimension of the channels; None where a single channel was taken out, and its dimension is gone.
    sources : tuple of int
        The image's channel that each channel is taken from.
    factors, offsets : ndarray of float64
        One per channel.
    crops, resizes : bool
        Whether the image was cropped, or resized.

    Examples
    --------
    >>> ChannelState.of_image(rank=4, axis=1, channels=3).sources
    (0, 1, 2)
    """

    rank: int
    axis: int | None
    sources: tuple[int, ...]
    factors: Doubles = field(compare=False)
    offsets: Doubles = field(compare=False)
    crops: bool = False
    resizes: bool = False

    @classmethod
    def of_image(cls, rank: int, axis: int, channels: int) -> ChannelState:
        """Return the state of the image itself."""
        return cls(rank, axis, tuple(range(channels)), np.ones(channels), np.zeros(channels))

    def scaled(self, factors: Doubles, offsets: Doubles) -> ChannelState:
        """Return the state after ``factors · x + offsets``, of one number each or one per channel."""
        count = np.broadcast_shapes(factors.shape, offsets.shape, self.factors.shape)[0]
        sources = self.sources if len(self.sources) == count else self.sources * count
        changed = factors * self.factors, factors * self.offsets + offsets
        return replace(self, sources=sources, factors=changed[0], offsets=np.broadcast_to(changed[1], (count,)))

    def taken(self, channels: Sequence[int]) -> ChannelState:
        """Return the state of some of the channels, in that order."""
        indices = list(channels)
        sources = tuple(self.sources[i] for i in indices)
        return replace(self, sources=sources, factors=self.factors[indices], offsets=self.offsets[indices])

    def is_same(self, other: ChannelState) -> bool:
        """Whether the channels of another state have the same values."""
        return self.sources == other.sources and all(
            np.allclose(ours, theirs) for ours, theirs in ((self.factors, other.factors), (self.offsets, other.offsets))
        )
