"""From an image file's bytes to upright 8-bit RGB pixels; the files are untrusted."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError, one_line
from onnx_cam.image.files import FORMATS, MAX_PIXELS, MIN_SIDE, ImageFile
from onnx_cam.image.libtiff import libtiff_messages

__all__ = ["decode", "from_pil"]

Pixels = NDArray[np.uint8]

_REFUSED_MODES = {"F": "floating-point pixels", "I": "32-bit pixels", "LAB": "Lab colour", "HSV": "HSV colour"}


def decode(file: ImageFile) -> Pixels:
    """Return an image file's pixels, upright: EXIF's orientation is applied.

    Grey, palette, CMYK and 16-bit images become 8-bit RGB. Alpha is dropped, as the usual ``convert("RGB")`` of a
    training pipeline does. Animations, and pixels without a fixed range, are refused.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Raises
    ------
    ImageError
        The file is not an image, or it is cut off, damaged, too large, too small, animated, or in a colour space that
        is not supported.

    Examples
    --------
    >>> from onnx_cam.image.files import read_image
    >>> decode(read_image("cat.jpg")).shape
    (36, 48, 3)
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow only warns of a size that `_check_size` refuses
        try:
            # Only these formats: for others Pillow would start programs such as Ghostscript.
            with Image.open(io.BytesIO(file.content), formats=tuple(FORMATS)) as image:
                return from_pil(image, file.name)
        except ImageError:
            raise
        except Exception as error:  # a damaged header makes Pillow's parsers raise anything
            raise _refusal(file.name, error) from error


def from_pil(image: Any, name: str = "image") -> Pixels:
    """Return a PIL image's pixels as `decode` does.

    Parameters
    ----------
    image : PIL.Image.Image
        It need not be loaded yet.
    name : str
        What error messages call it.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Raises
    ------
    ImageError
        As `decode`.

    Examples
    --------
    >>> from PIL import Image
    >>> from_pil(Image.new("L", (3, 2), 128))[0].tolist()  # the first row
    [[128, 128, 128], [128, 128, 128], [128, 128, 128]]
    """
    messages: list[str] = []
    try:
        with libtiff_messages() if image.format == "TIFF" else nullcontext(messages) as messages:
            return _upright_rgb(image, name)
    except ImageError:
        raise
    except Exception as error:  # a damaged file makes Pillow's codecs raise anything
        raise _refusal(name, error, messages) from error


def _upright_rgb(image: Any, name: str) -> Pixels:
    from PIL import ImageOps

    _check_size(image.width, image.height, name)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ImageError(f"'{name}' has {image.n_frames} frames; expected a single image: save one frame of it")
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        image.load()
        grey = np.asarray(ImageOps.exif_transpose(image), np.uint16) >> 8  # (H, W)
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in _REFUSED_MODES:
        raise ImageError(f"'{name}' has {_REFUSED_MODES[image.mode]}; expected 8 or 16 bits per channel: convert it")
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _check_size(width: int, height: int, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"'{name}' has {width}×{height} pixels; expected at least {MIN_SIDE}×{MIN_SIDE}")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"'{name}' has {width}×{height} pixels; expected at most {MAX_PIXELS:,} in all: make it smaller"
        )


def _refusal(name: str, error: Exception, messages: Sequence[str] = ()) -> ImageError:
    """Return our error for one of Pillow's; libtiff's messages say more than the exception does."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        *formats, last = FORMATS
        return ImageError(f"'{name}' is not an image that can be read; expected {', '.join(formats)} or {last}")
    if isinstance(error, Image.DecompressionBombError):
        return ImageError(f"'{name}' has far too many pixels; expected at most {MAX_PIXELS:,} in all: make it smaller")
    reason = messages[0] if messages else one_line(error)
    return ImageError(f"the image '{name}' is damaged or cut off: {reason}; copy it again")
