"""Synthetic images for trial runs: blocks of noise, the same each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["trial_images"]

Floats = NDArray[np.float32]

_CONTRASTS = (1.0, 0.3, 3.0, 0.1, 2.0)
_SEED = 0
_BLOCKS = 8


def trial_images(
    image_input: ImageInput, size: tuple[int, int], count: int, preprocessing: Preprocessing | None
) -> Floats:
    """Return the same synthetic images each time: blocks of noise, of different contrast.

    They are what the preprocessing makes of such pixels; without one about standard normal, or pixel values where the
    input takes 8-bit integers.

    Returns
    -------
    ndarray of shape (count, C, H, W), float32

    Examples
    --------
    >>> trial_images(ImageInput("image", None, 3, 8, 8), (8, 8), 2, None).shape
    (2, 3, 8, 8)
    """
    blocks = _blocks(image_input, count, preprocessing)
    rows, columns = (np.arange(side) * _BLOCKS // side for side in size)
    return np.ascontiguousarray(blocks[:, :, rows][..., columns])


def _blocks(image_input: ImageInput, count: int, preprocessing: Preprocessing | None) -> Floats:
    """Return the values of the blocks, (count, C, 8, 8): what is done with pixels is done with blocks."""
    generator = np.random.default_rng(_SEED)
    coarse = generator.standard_normal((count, image_input.channels, _BLOCKS, _BLOCKS), np.float32)
    noise = coarse * np.resize(np.array(_CONTRASTS, np.float32), count)[:, None, None, None]
    pixels = np.clip(128 + 64 * noise, 0, 255)
    if image_input.takes_integers:
        return np.asarray(pixels, np.float32)
    if preprocessing is None or not preprocessing.fits(image_input.channels):
        return np.asarray(noise, np.float32)
    shape = (count, _BLOCKS, _BLOCKS, max(image_input.channels, 3))
    colours = np.broadcast_to(np.moveaxis(pixels, 1, -1), shape).astype(np.uint8)
    return np.stack([preprocessing.normalise(image, image_input.channels) for image in colours])
