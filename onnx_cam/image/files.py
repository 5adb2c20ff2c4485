"""Image files that nobody has vouched for, as upright RGB arrays."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError, one_line
from onnx_cam.files import read_at_most

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "SUFFIXES",
    "ImageFile",
    "from_pil",
    "list_images",
    "read_image",
    "safe_stem",
    "stem_of",
    "stems",
]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What counts as an image in a folder."""

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded."""

MIN_SIDE = 2
"""Pixels; a smaller image has nothing to point at."""

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # Pillow would start Ghostscript for others
_MAX_FILE_BYTES = 1 << 30
_MAX_STEM_BYTES = 100  # a file name has at most 255, and the method and the class come behind
_REFUSED_MODES = {"F": "floating-point pixels", "I": "32-bit pixels", "LAB": "Lab colour", "HSV": "HSV colour"}


@dataclass(frozen=True)
class ImageFile:
    """An image as it was read.

    Attributes
    ----------
    name : str
        The path as it was given, or ``-`` for standard input.
    sha256 : str
        Of the file's bytes.
    content : bytes
        The file's bytes.
    """

    name: str
    sha256: str
    content: bytes

    @property
    def stem(self) -> str:
        """What result files are named after."""
        return stem_of(self.name)


def read_image(name: str | os.PathLike[str]) -> ImageFile:
    """Read a file's bytes; ``-`` is standard input.

    Raises
    ------
    ImageError
        Missing, unreadable, empty or larger than 1 GiB.
    """
    name = os.fspath(name)
    try:
        if name == "-" and sys.stdin is None:
            raise ImageError("standard input is closed; expected an image on it")
        if name == "-":
            content = read_at_most(sys.stdin.buffer, _MAX_FILE_BYTES)
        else:
            with open(name, "rb") as file:
                content = read_at_most(file, _MAX_FILE_BYTES)
    except FileNotFoundError:
        raise ImageError(f"no image '{name}'; expected the path of an image file") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot read the image '{name}': {one_line(error)}") from error
    if not content:
        raise ImageError(f"the image '{name}' is empty; expected an image file")
    if len(content) > _MAX_FILE_BYTES:
        raise ImageError(f"the image '{name}' is larger than 1 GiB; expected a photo: make it smaller")
    return ImageFile(name, hashlib.sha256(content).hexdigest(), content)


def decode(file: ImageFile) -> NDArray[np.uint8]:
    """Return an image file's pixels, upright: EXIF's orientation is applied.

    Grey, palette, CMYK and 16-bit images become 8-bit RGB. Alpha is dropped, as the usual ``convert("RGB")`` of a
    training pipeline does. Animations, and pixels without a fixed range, are refused.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB

    Raises
    ------
    ImageError
        No image, cut off, too large, too small, animated, or in a colour space that is not handled.
    """
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own size warning: ours is an error
        try:
            with Image.open(io.BytesIO(file.content), formats=_FORMATS) as image:
                return from_pil(image, file.name)
        except UnidentifiedImageError:
            raise ImageError(
                f"'{file.name}' is not an image that can be read; expected JPEG, PNG, WebP, TIFF, BMP or GIF"
            ) from None
        except Image.DecompressionBombError:
            raise ImageError(
                f"'{file.name}' has far too many pixels; expected at most {MAX_PIXELS:,} in all: make it smaller"
            ) from None
        except ImageError:
            raise
        except Exception as error:  # a damaged file makes Pillow's codecs raise anything
            raise ImageError(
                f"the image '{file.name}' is damaged or cut off: {one_line(error)}; copy it again"
            ) from error


def from_pil(image: Any, name: str = "image") -> NDArray[np.uint8]:
    """Return a PIL image's pixels as `decode` does."""
    from PIL import ImageOps

    _check_size(image.width, image.height, name)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ImageError(f"'{name}' has {image.n_frames} frames; expected a single image: save one frame of it")
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        image.load()
        grey = np.asarray(ImageOps.exif_transpose(image), np.uint16) >> 8
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in _REFUSED_MODES:
        raise ImageError(f"'{name}' has {_REFUSED_MODES[image.mode]}; expected 8 or 16 bits a channel: convert it")
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _check_size(width: int, height: int, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"'{name}' has {width}×{height} pixels; expected at least {MIN_SIDE}×{MIN_SIDE}")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"'{name}' has {width}×{height} pixels; expected at most {MAX_PIXELS:,} in all: make it smaller"
        )


def list_images(names: Iterable[str], suffixes: Iterable[str] = SUFFIXES) -> list[str]:
    """Return the image paths that names stand for: a file, a folder's images, a glob, or ``-``.

    Parameters
    ----------
    names : iterable of str
    suffixes : iterable of str
        What counts as an image in a folder.

    Raises
    ------
    ImageError
        A folder that cannot be read, or a folder or a glob without an image.
    """
    wanted = tuple(suffixes)
    found = [path for name in names for path in _expand(name, wanted)]
    return list(dict.fromkeys(found))


def _expand(name: str, suffixes: tuple[str, ...]) -> list[str]:
    if name == "-" or os.path.isfile(name):
        return [name]
    if os.path.isdir(name):
        paths = [path for path in _files_in(name) if path.lower().endswith(suffixes)]
    elif glob.has_magic(name):
        paths = sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
    else:
        return [name]  # reading it says what is wrong
    if not paths:
        raise ImageError(f"no image in '{name}'; expected files ending in {', '.join(suffixes)}")
    return paths


def _files_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_file())
    except OSError as error:
        raise ImageError(f"cannot read the folder '{folder}': {error.strerror or error}") from error


def stem_of(name: str) -> str:
    """Return an image's name without folder and suffix, such as every file system takes it."""
    return safe_stem("stdin" if name == "-" else Path(name).stem, _MAX_STEM_BYTES)


def safe_stem(text: str, limit: int = 2 * _MAX_STEM_BYTES) -> str:
    """Return a text as the beginning of a file's name, of `limit` bytes at most."""
    plain = re.sub(r"[\x00-\x1f/\\:*?\"<>|\ud800-\udfff]", "_", text)
    return plain.encode()[:limit].decode(errors="ignore") or "image"


def stems(names: Iterable[str]) -> list[str]:
    """Return a name for the results of each image: its stem, with a short hash of its path where two share one."""
    names = list(names)
    plain = [stem_of(name) for name in names]
    times = Counter(stem.casefold() for stem in plain)
    return [
        f"{stem}-{_short_hash(name)}" if times[stem.casefold()] > 1 else stem
        for name, stem in zip(names, plain, strict=True)
    ]


def _short_hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(os.path.abspath(name))).hexdigest()[:8]
