"""An image as the user gave it, and as the network takes it."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError, one_line
from onnx_cam.image.bit_depth import to_eight_bits
from onnx_cam.image.decoding import Decoded, check_size, decode, from_pil
from onnx_cam.image.files import ImageFile
from onnx_cam.image.geometry import Geometry
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.sources import ARRAYS, Array, ImageLike, as_array, is_pil, open_source

__all__ = ["ImageLike", "Picture", "open_picture"]

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_ARRAY_STEM = "array"  # what the results of an image without a file are named after
_RGBA = 4  # the number of channels of a network that takes alpha
_IMAGES = f"a path, the bytes of an image file, a binary file object, {ARRAYS}, or a PIL image"
_TENSORS = (
    "the network's input: an array (C, H, W), or the path, the bytes or a file object of a .npy file "
    "(preprocessing none)"
)


@dataclass(frozen=True)
class Picture:
    """An image, and the network's input that was made from it.

    Attributes
    ----------
    name : str or None
        The path as given, or the name of a file object; None for bytes, an array or a PIL image.
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
    notes : tuple of str
        What the user should know about how the image was read, a line each.
    decoded : ndarray of shape (H, W, 3) or (H, W, 4), uint8, or None
        The pixels that X was made from, with alpha where the network takes it; None where X itself was given.

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
    notes: tuple[str, ...] = ()
    decoded: Pixels | None = None


def open_picture(
    image: ImageLike,
    preprocessing: Preprocessing | None,
    channels: int,
    size: tuple[int, int],
    *,
    layout: str = "NCHW",
    is_flat: bool = False,
) -> Picture:
    """Open an image and make the network's input from it.

    Parameters
    ----------
    image : path, bytes, file object, ndarray or PIL image
        See :func:`onnx_cam.explain`.
    preprocessing : Preprocessing or None
        None: `image` is the network's input itself, an array or a ``.npy`` file.
    channels : int
        The number of channels of the network's input, C. For four, alpha is kept.
    size : tuple of int
        ``(H, W)`` of the network's input, in pixels.
    layout : {"NCHW", "NHWC"}
        The order of the dimensions that the model takes: a network's input may be given in it, too.
    is_flat : bool
        Whether the model takes all pixels in one dimension: a network's input may be given so, too.

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
    file = open_source(image)
    # Without a preprocessing the image is X itself.
    if preprocessing is None:
        array = _load_npy(file) if file else as_array(image, _TENSORS)
        return _open_tensor(_as_tensor(array, (channels, *size), layout, is_flat=is_flat), file, (channels, *size))
    # With one, decode the image, (H, W, 3) uint8 or with alpha (H, W, 4), and resize, crop and normalise it:
    # (C, h, w) float32.
    alpha = channels == _RGBA
    decoded = decode(file, alpha=alpha) if file else _decoded(image, alpha=alpha)
    network_input, geometry = preprocessing.apply(decoded.pixels, size, channels)
    rgb = np.ascontiguousarray(decoded.pixels[..., :3])
    original = decoded.pixels if file or is_pil(image) else np.asarray(image)
    picture = _picture(file, original, rgb, network_input, geometry)
    return replace(picture, notes=decoded.notes, decoded=decoded.pixels)


def _picture(
    file: ImageFile | None,
    original: Array,
    pixels: Pixels,
    network_input: Floats,
    geometry: Geometry,
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


def _decoded(image: object, *, alpha: bool) -> Decoded:
    """Return the pixels of an image that is not a file, (H, W, 3) uint8, or with alpha (H, W, 4)."""
    if is_pil(image):
        return from_pil(image, alpha=alpha)
    array = as_array(image, _IMAGES)
    notes: tuple[str, ...] = ()
    # Grey is (H, W) or (H, W, 1), RGB (H, W, 3), RGBA (H, W, 4); 16 bits are read as those of files are.
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not is_image or array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise ImageError(
            f"got an array of shape {array.shape}, {array.dtype}; expected (H, W, 3) uint8 or uint16, RGB, also grey "
            "(H, W) or RGBA (H, W, 4): convert it, or hand over the network's input with preprocess='none'"
        )
    check_size(array.shape[1], array.shape[0], "the image")
    array = array[..., None] if array.ndim == 2 else array
    colours, opacity = array[..., :3], array[..., 3:]
    if array.dtype.itemsize == 2:
        colours, notes = to_eight_bits(colours, None, "the array")
        opacity = to_eight_bits(opacity, None, "the array")[0] if opacity.size else opacity
    if not opacity.size:
        opacity = np.full((*array.shape[:2], 1), 255, np.uint8)
    rgb = np.broadcast_to(colours, (*array.shape[:2], 3))
    parts = [rgb, opacity] if alpha else [rgb]
    return Decoded(np.concatenate(parts, axis=2).astype(np.uint8), notes)  # a copy: the caller may change theirs


def _load_npy(file: ImageFile) -> Array:
    try:
        array = np.load(io.BytesIO(file.content), allow_pickle=False)
    except Exception as error:  # a damaged file makes NumPy raise many kinds
        raise ImageError(
            f"{file.label} is not a .npy file ({one_line(error, 80)}); "
            "--preprocess none takes the network's input as .npy"
        ) from error
    return np.asarray(array)


def _as_tensor(array: Array, shape: tuple[int, int, int], layout: str, *, is_flat: bool) -> Array:
    """Return a network's input as (C, H, W), where it is given as the model takes it; anything else as it is."""
    channels, height, width = shape
    tensor = array[0] if array.ndim == 4 and len(array) == 1 else array
    if tensor.shape == shape:
        return tensor
    as_laid_out = shape if layout == "NCHW" else (height, width, channels)
    if is_flat and tensor.size == math.prod(shape) and tensor.shape in ((tensor.size,), (1, tensor.size)):
        tensor = tensor.reshape(as_laid_out)
    if channels == 1 and tensor.shape in ((height, width), (height, width, 1)):
        return tensor.reshape(shape)
    return np.moveaxis(tensor, -1, 0) if layout == "NHWC" and tensor.shape == as_laid_out else tensor


def _open_tensor(tensor: Array, file: ImageFile | None, shape: tuple[int, int, int]) -> Picture:
    if tensor.shape != shape or tensor.dtype.kind not in "fiu":
        raise ImageError(
            f"{file.label if file else 'the array'} has shape {tensor.shape}, {tensor.dtype}; the model takes "
            f"numbers of shape {shape}: give that array (or set --size, where the model leaves it free), "
            "or an image and its --preprocess"
        )
    network_input = np.ascontiguousarray(tensor, np.float32)
    if not np.isfinite(network_input).all():
        raise ImageError("the network input holds NaN or infinite values; expected finite numbers")
    _, height, width = shape
    whole = Geometry(height, width, (0, 0, width, height))
    return _picture(file, tensor, _visible(network_input), network_input, whole)


def _visible(network_input: Floats) -> Pixels:
    """Return a network input as a picture to draw on, (H, W, 3): its smallest value is black, its largest white."""
    low, high = float(network_input.min()), float(network_input.max())
    levels = (network_input - low) * (255 / (high - low) if high > low else 0)  # (C, H, W)
    rgb = levels if len(network_input) == 3 else np.repeat(levels.mean(axis=0, keepdims=True), 3, axis=0)
    return np.ascontiguousarray(np.moveaxis(np.rint(rgb).astype(np.uint8), 0, -1))
