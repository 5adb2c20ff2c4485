"""Changes of an image that leave what it shows as it is: how far a map moves under them is its stability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["central_crop", "mirror_image", "with_noise"]

Pixels = NDArray[np.uint8]

_COLOURS = 3  # of four channels the last is alpha, which has no noise


def mirror_image(pixels: Pixels) -> Pixels:
    """Return an image with left and right exchanged.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, C), uint8

    Examples
    --------
    >>> mirror_image(np.array([[[1], [2]]], np.uint8)).tolist()
    [[[2], [1]]]
    """
    return np.ascontiguousarray(pixels[:, ::-1])


def central_crop(pixels: Pixels, share: float) -> tuple[Pixels, int, int]:
    """Return the centre of an image, and the row and the column at which it begins.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, C), uint8
    share : float
        The share of each side that is kept, above 0 and up to 1; at least a pixel.

    Examples
    --------
    >>> crop, top, left = central_crop(np.zeros((40, 100, 3), np.uint8), 0.95)
    >>> crop.shape, top, left
    ((38, 95, 3), 1, 2)
    """
    height, width = (max(1, round(share * side)) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width]), top, left


def with_noise(pixels: Pixels, grey_levels: float, *, seed: int, sha256: str) -> Pixels:
    """Return an image with Gaussian noise on each pixel and colour, rounded to whole levels from 0 to 255.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, C), uint8
    grey_levels : float
        The standard deviation of the noise.
    seed : int
    sha256 : str
        The image's hash. Each image has noise of its own, whatever other images there are.

    Examples
    --------
    >>> grey = np.full((64, 64, 3), 128, np.uint8)
    >>> noisy = with_noise(grey, 2.0, seed=0, sha256="00ff00ff00ff00ff")
    >>> round(float(noisy.std()), 1)
    2.0
    """
    key = np.array([seed, int(sha256[:16], 16)], np.uint64)
    colours = pixels[..., :_COLOURS]
    noise = np.random.Generator(np.random.Philox(key=key)).standard_normal(colours.shape, np.float32)
    noisy = pixels.copy()
    noisy[..., :_COLOURS] = np.clip(np.rint(colours + np.float32(grey_levels) * noise), 0, 255)
    return noisy
