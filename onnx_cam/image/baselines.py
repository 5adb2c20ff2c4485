"""The baseline images X_b (METHODS.md, "Notation")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import PreprocessingError, SettingError
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.names import BASELINES

__all__ = ["make_baseline"]

Floats = NDArray[np.float32]

_BLUR_SIZE = (11, 11)
_BLUR_SIGMA = 5.0


def make_baseline(name: str, image: Floats, preprocessing: Preprocessing | None) -> Floats:
    """Return a baseline for an image.

    Parameters
    ----------
    name : {"zero", "black", "mean", "blur"}
        Zeros in network-input space; pixel value 0; each channel's mean; or the image, blurred by a Gaussian
        (11 × 11, σ = 5 pixels).
    image : ndarray of shape (C, H, W), float32
        X, in network-input space.
    preprocessing : Preprocessing or None
        Tells which number in network-input space stands for black.

    Returns
    -------
    ndarray of shape (C, H, W), float32

    Raises
    ------
    SettingError
        The name is unknown.
    PreprocessingError
        The baseline is black, and no preprocessing is known.

    Examples
    --------
    >>> image = np.array([[[1.0, 2.0]]], np.float32)
    >>> make_baseline("mean", image, None)
    array([[[1.5, 1.5]]], dtype=float32)
    """
    if name == "zero":
        return np.zeros_like(image)
    if name == "black":
        if preprocessing is None:
            raise PreprocessingError("baseline 'black' needs a preprocessing; with --preprocess none, use 'zero'")
        return np.broadcast_to(preprocessing.pixel(0, len(image)), image.shape).astype(np.float32)
    if name == "mean":
        return np.broadcast_to(image.mean(axis=(1, 2), keepdims=True), image.shape).astype(np.float32)
    if name == "blur":
        return _blur(image)
    raise SettingError(f"unknown baseline {name!r}; expected one of {', '.join(BASELINES)}")


def _blur(image: Floats) -> Floats:
    import cv2

    channels = [cv2.GaussianBlur(channel, _BLUR_SIZE, _BLUR_SIGMA, sigmaY=_BLUR_SIGMA) for channel in image]
    return np.stack(channels).astype(np.float32)
