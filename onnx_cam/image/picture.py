"""An image as it was handed over, and as the network takes it."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError, one_line
from onnx_cam.image.decoding import decode, from_pil
from onnx_cam.image.files import MIN_SIDE, ImageFile, read_image
from onnx_cam.image.geometry import Geometry
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["ImageLike", "Picture", "open_picture"]

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
ImageLike: TypeAlias = "str | os.PathLike[str] | NDArray[Any] | Image"
"""What a user can hand over as an image; see :func:`onnx_cam.explain`."""


@dataclass(frozen=True)
class Picture:
    """An image, and the network's input that was made of it.

    Attributes
    ----------
    name : str or None
        The path as given; None for an array.
    stem : str
        What result files are named after.
    sha256 : str
        Of the file's bytes, or of the array's.
    pixels : ndarray of shape (H, W, 3), uint8, RGB
        What an overlay is drawn on.
    network_input : ndarray of shape (C, h, w), float32
        X.
    geometry : Geometry
        Where X lies in the image.
    """

    name: str | None
    stem: str
    sha256: str
    pixels: Pixels
    network_input: Floats
    geometry: Geometry


def open_picture(
    image: ImageLike, preprocessing: Preprocessing | None, channels: int, size: tuple[int, int]
) -> Picture:
    """Open an image and make the network's input of it.

    Parameters
    ----------
    image : path, ndarray or PIL image
        See :func:`onnx_cam.explain`.
    preprocessing : Preprocessing or None
        None: `image` is the network's input itself, an array or a ``.npy`` file.
    channels : int
        C of the network's input.
    size : tuple of int
        ``(H, W)`` of the network's input.

    Raises
    ------
    ImageError, PreprocessingError
    """
    file = read_image(image) if isinstance(image, str | os.PathLike) else None
    if preprocessing is None:
        return _open_tensor(_load_npy(file) if file else np.asarray(image), file, channels, size)
    pixels = decode(file) if file else _pixels(image)
    network_input, geometry = preprocessing.apply(pixels, size, channels)
    return Picture(*_identity(file, pixels), pixels, network_input, geometry)


def _identity(file: ImageFile | None, array: NDArray[Any]) -> tuple[str | None, str, str]:
    if file:
        return file.name, file.stem, file.sha256
    return None, "array", hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _pixels(image: Any) -> Pixels:
    if hasattr(image, "getexif"):  # a PIL image
        return from_pil(image)
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ImageError(
            f"an array of shape {array.shape}, {array.dtype}; expected (H, W, 3) uint8, RGB: "
            "convert it, or hand over the network's input with preprocess='none'"
        )
    if min(array.shape[:2]) < MIN_SIDE:
        raise ImageError(
            f"an image of {array.shape[1]}×{array.shape[0]} pixels; expected {MIN_SIDE}×{MIN_SIDE} or more"
        )
    return array.copy()  # the caller's own may change


def _load_npy(file: ImageFile) -> NDArray[Any]:
    try:
        array = np.load(io.BytesIO(file.content), allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds for a damaged file
        raise ImageError(
            f"'{file.name}' is no .npy file ({one_line(error, 80)}); "
            "--preprocess none takes the network's input as .npy"
        ) from error
    return np.asarray(array)


def _open_tensor(array: NDArray[Any], file: ImageFile | None, channels: int, size: tuple[int, int]) -> Picture:
    given = array.shape
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.shape != (channels, *size) or array.dtype.kind not in "fiu":
        raise ImageError(
            f"{file.name if file else 'an array'!r} has shape {given}, {array.dtype}; the model takes the numbers of "
            f"{(channels, *size)}: give that (or its --size, where it is free), or an image and its --preprocess"
        )
    tensor = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(tensor).all():
        raise ImageError("the network input holds NaN or infinite values; expected finite numbers")
    height, width = size
    identity = _identity(file, array)
    return Picture(*identity, _shown(tensor), tensor, Geometry(height, width, (0, 0, width, height)))


def _shown(tensor: Floats) -> Pixels:
    """Return a network input as a picture to draw on: its own range from black to white."""
    low, high = float(tensor.min()), float(tensor.max())
    levels = (tensor - low) * (255 / (high - low) if high > low else 0)
    shown = levels if len(tensor) == 3 else np.repeat(levels.mean(axis=0, keepdims=True), 3, axis=0)
    return np.ascontiguousarray(np.moveaxis(np.rint(shown).astype(np.uint8), 0, -1))
