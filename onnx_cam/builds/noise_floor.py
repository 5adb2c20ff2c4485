"""The noise floor: how far a map moves under noise that nobody can see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["GREY_LEVELS", "add_noise"]

Floats = NDArray[np.float32]

GREY_LEVELS = 2.0
"""The standard deviation of the noise, in levels of a pixel from 0 to 255."""

_COLOURS = 3  # of four channels the last is alpha, which has no noise


def add_noise(network_input: Floats, preprocessing: Preprocessing | None, *, seed: int, sha256: str) -> Floats:
    """Return a network's input with Gaussian noise of two grey levels on each pixel and colour.

    Parameters
    ----------
    network_input : ndarray of shape (C, H, W), float32
        X, after resize and crop.
    preprocessing : Preprocessing or None
        It says what a grey level is in X, and what black and white are: the noise stays between them. Without one, a
        grey level is the 255th part of the range of X.
    seed : int
    sha256 : str
        The image's hash. Each image has noise of its own, whatever other images there are.

    Returns
    -------
    ndarray of shape (C, H, W), float32

    Examples
    --------
    >>> from onnx_cam.image.preprocessing import PRESETS
    >>> grey = np.full((3, 64, 64), 128, np.float32)
    >>> noisy = add_noise(grey, PRESETS["raw"], seed=0, sha256="00ff")
    >>> round(float((noisy - grey).std()), 1)
    2.0
    """
    words = np.array([seed, int(sha256[:16], 16)], np.uint64)
    noise = np.random.Generator(np.random.Philox(key=words)).standard_normal(network_input.shape, np.float32)
    if preprocessing is None:
        level = (network_input.max() - network_input.min()) / np.float32(255)
        return np.asarray(network_input + np.float32(GREY_LEVELS) * level * noise, np.float32)
    channels = len(network_input)
    black, white = preprocessing.pixel(0, channels), preprocessing.pixel(255, channels)  # (C, 1, 1)
    noise[_COLOURS:] = 0
    noisy = network_input + np.float32(GREY_LEVELS) * (white - black) / np.float32(255) * noise
    return np.clip(noisy, np.minimum(black, white), np.maximum(black, white)).astype(np.float32)
