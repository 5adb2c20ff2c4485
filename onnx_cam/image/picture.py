"""An image as the user gave it, and as the network takes it."""

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
Array = NDArray[Any]
"""An array of any dtype, as the user gave it."""

ImageLike: TypeAlias = "str | os.PathLike[str] | Array | Image"
"""What a user can hand over as an image; see :func:`onnx_cam.explain`."""

_ARRAY_STEM = "array"  # what the results of an image without a file are named after


@dataclass(frozen=True)
class Picture:
    """An image, and the network's input that was made from it.

    Attributes
    ----------
    name : str or None
        The path as given; None for an array.
    stem : str
        What result files are named after.
    sha256 : str
        The hash of the file's bytes, or of the array's, in hexadecimal digits.
    pixels : ndarray of shape (H, W, 3), uint8, RGB
        What an overlay is drawn on.
    network_input : ndarray of shape (C, h, w), float32
        X.
    geometry : Geometry
        Where X lies in the image.

    Examples
    --------
    >>> from onnx_cam.image.preprocessing import PRESETS
    >>> picture = open_picture("cat.jpg", PRESETS["imagenet"], 3, (20, 20))
    >>> picture.stem, picture.pixels.shape, picture.network_input.shape
    ('cat', (36, 48, 3), (3, 20, 20))
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
    """Open an image and make the network's input from it.

    Parameters
    ----------
    image : path, ndarray or PIL image
        See :func:`onnx_cam.explain`.
    preprocessing : Preprocessing or None
        None: `image` is the network's input itself, an array or a ``.npy`` file.
    channels : int
        The number of channels of the network's input, C.
    size : tuple of int
        ``(H, W)`` of the network's input, in pixels.

    Raises
    ------
    ImageError
        The image cannot be read, or is not of the kind that is expected.
    PreprocessingError
        The preprocessing does not fit the network's input.

    Examples
    --------
    >>> tensor = np.zeros((3, 20, 20), np.float32)
    >>> open_picture(tensor, None, 3, (20, 20)).geometry.crop
    (0, 0, 20, 20)
    """
    file = read_image(image) if isinstance(image, str | os.PathLike) else None
    # Without a preprocessing the image is X itself.
    if preprocessing is None:
        array = _load_npy(file) if file else np.asarray(image)
        return _open_tensor(array, file, channels, size)
    # With one, decode the image, (H, W, 3) uint8, and resize, crop and normalise it: (C, h, w) float32.
    pixels = decode(file) if file else _pixels(image)
    network_input, geometry = preprocessing.apply(pixels, size, channels)
    return _picture(file, pixels, pixels, network_input, geometry)


def _picture(
    file: ImageFile | None, original: Array, pixels: Pixels, network_input: Floats, geometry: Geometry
) -> Picture:
    """Return a picture with the file's name and hash; without a file, with the hash of the original array."""
    return Picture(
        name=file.name if file else None,
        stem=file.stem if file else _ARRAY_STEM,
        sha256=file.sha256 if file else hashlib.sha256(np.ascontiguousarray(original).tobytes()).hexdigest(),
        pixels=pixels,
        network_input=network_input,
        geometry=geometry,
    )


def _pixels(image: Any) -> Pixels:
    """Return the pixels of an image that is not a file, (H, W, 3) uint8."""
    if hasattr(image, "getexif"):  # a PIL image
        return from_pil(image)
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ImageError(
            f"got an array of shape {array.shape}, {array.dtype}; expected (H, W, 3) uint8, RGB: "
            "convert it, or hand over the network's input with preprocess='none'"
        )
    if min(array.shape[:2]) < MIN_SIDE:
        raise ImageError(
            f"the image has {array.shape[1]}×{array.shape[0]} pixels; expected at least {MIN_SIDE}×{MIN_SIDE}"
        )
    return array.copy()  # the caller may change theirs


def _load_npy(file: ImageFile) -> Array:
    try:
        array = np.load(io.BytesIO(file.content), allow_pickle=False)
    except Exception as error:  # a damaged file makes NumPy raise many kinds
        raise ImageError(
            f"'{file.name}' is not a .npy file ({one_line(error, 80)}); "
            "--preprocess none takes the network's input as .npy"
        ) from error
    return np.asarray(array)


def _open_tensor(array: Array, file: ImageFile | None, channels: int, size: tuple[int, int]) -> Picture:
    tensor = array[0] if array.ndim == 4 and len(array) == 1 else array  # (C, H, W)
    if tensor.shape != (channels, *size) or tensor.dtype.kind not in "fiu":
        raise ImageError(
            f"{repr(file.name) if file else 'the array'} has shape {array.shape}, {tensor.dtype}; the model takes "
            f"numbers of shape {(channels, *size)}: give that array (or set --size, where the model leaves it free), "
            "or an image and its --preprocess"
        )
    network_input = np.ascontiguousarray(tensor, np.float32)
    if not np.isfinite(network_input).all():
        raise ImageError("the network input holds NaN or infinite values; expected finite numbers")
    height, width = size
    whole = Geometry(height, width, (0, 0, width, height))
    return _picture(file, tensor, _visible(network_input), network_input, whole)


def _visible(network_input: Floats) -> Pixels:
    """Return a network input as a picture to draw on, (H, W, 3): its smallest value is black, its largest white."""
    low, high = float(network_input.min()), float(network_input.max())
    levels = (network_input - low) * (255 / (high - low) if high > low else 0)  # (C, H, W)
    rgb = levels if len(network_input) == 3 else np.repeat(levels.mean(axis=0, keepdims=True), 3, axis=0)
    return np.ascontiguousarray(np.moveaxis(np.rint(rgb).astype(np.uint8), 0, -1))
