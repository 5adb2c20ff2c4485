"""Which images get maps: some at random, for the figures, and those whose scores moved most, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnx_cam.builds.images import ComparedImage
from onnx_cam.errors import SettingError

__all__ = ["Draw", "check_maps", "draw_images", "random_order"]


@dataclass(frozen=True)
class Draw:
    """Which images get maps.

    Attributes
    ----------
    drawn : frozenset of str
        The hashes of those that the figures on maps are over, drawn before anything is known about them.
    others : int
        How many of the others get maps, too: those whose scores moved most.

    Examples
    --------
    >>> Draw(frozenset({"00ff"}), others=0).others
    0
    """

    drawn: frozenset[str]
    others: int


def check_maps(maps: int) -> None:
    """Check on how many images a user wants maps compared.

    Raises
    ------
    SettingError

    Examples
    --------
    >>> check_maps(100)
    """
    if isinstance(maps, bool) or not isinstance(maps, int | np.integer) or maps < 1:
        raise SettingError(f"invalid maps={maps!r}: expected a whole number of at least 1")


def draw_images(images: Sequence[ComparedImage], maps: int, seed: int) -> Draw:
    """Return which of two builds' images get maps: all of up to `maps` images, else half of `maps` at random.

    Examples
    --------
    >>> images = [ComparedImage(f"{i}.jpg", f"{i}.jpg", f"{i:02x}") for i in range(9)]
    >>> draw = draw_images(images, maps=4, seed=0)
    >>> len(draw.drawn), draw.others
    (2, 2)
    """
    if len(images) <= maps:
        return Draw(frozenset(image.sha256 for image in images), 0)
    half = (maps + 1) // 2
    return Draw(frozenset(random_order(images, seed)[:half]), maps - half)


def random_order(images: Sequence[ComparedImage], seed: int) -> list[str]:
    """Return the hashes of images in an order that depends on nothing but the seed and the hashes.

    Examples
    --------
    >>> images = [ComparedImage(f"{i}.jpg", f"{i}.jpg", f"{i:02x}") for i in range(9)]
    >>> random_order(images, seed=0) == random_order(images[::-1], seed=0)
    True
    """
    hashes = sorted(image.sha256 for image in images)
    # Philox's raw numbers are those that NumPy promises never to change.
    order = np.argsort(np.random.Philox(seed).random_raw(len(hashes)), kind="stable")
    return [hashes[i] for i in order]
