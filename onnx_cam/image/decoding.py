"""From an image file's bytes to upright 8-bit pixels; the files are untrusted."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError, one_line
from onnx_cam.image.files import FORMATS, MAX_PIXELS, MIN_SIDE, ImageFile
from onnx_cam.image.heif import open_avif, open_heic
from onnx_cam.image.kinds import heif_kind, is_sequence, unread_kind
from onnx_cam.image.libtiff import libtiff_messages
from onnx_cam.image.sixteen_bits import has_sixteen_bits, read_sixteen_bits, stored_colours

__all__ = ["Decoded", "check_size", "decode", "from_pil"]

Pixels = NDArray[np.uint8]

_SILENT = logging.NullHandler()
_NAMES = {"AVIF": "AVIF", "HEIF": "HEIC"}  # of the formats that are told apart here, and not by Pillow
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_REFUSED_MODES = {
    "F": "floating-point pixels",
    "I": "32-bit or signed pixels",
    "LAB": "Lab colour",
    "HSV": "HSV colour",
}
_SUBFILE_TYPE, _PHOTOMETRIC, _DNG_VERSION = 254, 262, 50706  # TIFF's tags
_REDUCED, _COLOUR_FILTER_ARRAY = 1, 32803


@dataclass(frozen=True)
class Decoded:
    """The pixels of an image.

    Attributes
    ----------
    pixels : ndarray of shape (H, W, 3) or (H, W, 4), uint8
        RGB, or RGBA where alpha was asked for.
    notes : tuple of str
        What the user should know about how they were read, a line each.
    """

    pixels: Pixels
    notes: tuple[str, ...] = ()


def decode(file: ImageFile, *, alpha: bool = False) -> Decoded:
    """Return an image file's pixels, upright: the orientation in EXIF or in HEIF is applied.

    The format is that of the file's content, whatever its name says. Grey, palette, CMYK and 16-bit images become 8-bit
    RGB; 16-bit ones by their real range, see :func:`.bit_depth.to_eight_bits`. Animations, and pixels without a fixed
    range, are refused.

    Parameters
    ----------
    file : ImageFile
    alpha : bool
        Keep alpha, 255 where the image has none. Otherwise it is dropped, as the usual ``convert("RGB")`` of a training
        pipeline does.

    Raises
    ------
    ImageError
        The file is not an image, or it is cut off, damaged, too large, too small, animated, or in a colour space that
        is not supported.
    MissingDecoderError
        It is an AVIF or a HEIC image, and the decoder is not installed.

    Examples
    --------
    >>> from onnx_cam.image.files import read_image
    >>> decode(read_image("cat.jpg")).pixels.shape
    (36, 48, 3)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow only warns of a size that `check_size` refuses
        try:
            with _open(file) as image:
                return from_pil(image, file.label, alpha=alpha, content=file.content)
        except ImageError:
            raise
        except Exception as error:  # a damaged header makes Pillow's parsers raise anything
            raise _refusal(file.label, error, file.content) from error


def _open(file: ImageFile) -> Any:
    from PIL import Image

    # Pillow logs what is wrong with a TIFF, and Python prints that where nobody listens: the error says it here.
    logging.getLogger("PIL").addHandler(_SILENT)
    kind = heif_kind(file.content)
    if kind is not None:
        if is_sequence(file.content) and kind == "HEIF":
            raise ImageError(f"{file.label} is a sequence of images; expected a single image: save one frame of it")
        return (open_avif if kind == "AVIF" else open_heic)(file.content, file.label)
    # Only these formats: for others Pillow would start programs such as Ghostscript.
    formats = tuple(name for name in FORMATS if name not in _NAMES)
    return Image.open(io.BytesIO(file.content), formats=formats)


def from_pil(image: Any, label: str = "the image", *, alpha: bool = False, content: bytes | None = None) -> Decoded:
    """Return a PIL image's pixels as `decode` does.

    Parameters
    ----------
    image : PIL.Image.Image
        It need not be loaded yet.
    label : str
        What messages call it.
    alpha : bool
        Keep alpha, 255 where the image has none.
    content : bytes, optional
        The file that it is opened from.

    Raises
    ------
    ImageError
        As `decode`.

    Examples
    --------
    >>> from PIL import Image
    >>> from_pil(Image.new("L", (3, 2), 128)).pixels[0].tolist()  # the first row
    [[128, 128, 128], [128, 128, 128], [128, 128, 128]]
    """
    messages: list[str] = []
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            libtiff_messages() if image.format == "TIFF" else nullcontext(messages) as messages,
        ):
            return _upright(image, label, alpha=alpha, content=content)
    except ImageError:
        raise
    except Exception as error:  # a damaged file makes Pillow's codecs raise anything
        if content is None and _is_closed(image):
            raise ImageError(
                f"{label} is a PIL image that was closed before it was loaded; hand it over while it is open, or call "
                "its load() first"
            ) from error
        raise _refusal(label, error, content, messages) from error


def _upright(image: Any, label: str, *, alpha: bool, content: bytes | None) -> Decoded:
    from PIL import ImageOps

    check_size(image.width, image.height, label)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ImageError(f"{label} has {image.n_frames} frames; expected a single image: save one frame of it")
    if image.format == "TIFF":
        _check_not_raw(image, content or b"", label)
    notes: tuple[str, ...] = ()
    if has_sixteen_bits(image):
        content = _file_of(image) if content is None and stored_colours(image) else content
        upright, notes = read_sixteen_bits(image, content, label, alpha=alpha)
    elif image.mode in _REFUSED_MODES:
        raise ImageError(f"{label} has {_REFUSED_MODES[image.mode]}; expected 8 or 16 bits per channel: convert it")
    else:
        upright = ImageOps.exif_transpose(image)
    check_size(upright.width, upright.height, label)  # a decoder may have its own idea of the size
    return Decoded(_colours(upright, alpha=alpha), notes)


def _colours(image: Any, *, alpha: bool) -> Pixels:
    """Return (H, W, 3) RGB, or with alpha (H, W, 4) RGBA."""
    if image.mode in ("RGBa", "La"):  # multiplied by alpha
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if not alpha:
        return np.asarray(image.convert("RGB"))
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA"))
    rgb = np.asarray(image.convert("RGB"))
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def _file_of(image: Any) -> bytes | None:
    """Return the file that a PIL image is opened from, and will be loaded from; None where it cannot be read."""
    file = getattr(image, "fp", None)
    if file is None:
        return None
    position = file.tell()
    try:
        file.seek(0)
        return bytes(file.read())
    finally:
        file.seek(position)


def _is_closed(image: Any) -> bool:
    """Whether a PIL image lacks the file that it is still to be loaded from."""
    file = getattr(image, "fp", None)
    return bool(getattr(image, "tile", ())) and (file is None or bool(getattr(file, "closed", False)))


def _check_not_raw(image: Any, content: bytes, label: str) -> None:
    """Refuse a raw camera file: it begins as a TIFF does, with a small preview of the photo."""
    tags = image.tag_v2
    if content[8:10] == b"CR" or _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) == _COLOUR_FILTER_ARRAY:
        raise ImageError(f"{label} is a raw camera file; develop it to PNG or JPEG")
    if tags.get(_SUBFILE_TYPE) == _REDUCED:
        raise ImageError(
            f"{label} begins with a small preview of another image in it, as a raw camera file does; convert it to "
            "PNG or JPEG"
        )


def check_size(width: int, height: int, label: str) -> None:
    """Refuse an image that is too small or too large.

    Raises
    ------
    ImageError
    """
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{label} has {width}×{height} pixels; expected at least {MIN_SIDE}×{MIN_SIDE}")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{label} has {width}×{height} pixels; expected at most {MAX_PIXELS:,} in all: make it smaller"
        )


def _refusal(label: str, error: Exception, content: bytes | None, messages: Sequence[str] = ()) -> ImageError:
    """Return our error for one of Pillow's; libtiff's messages say more than the exception does."""
    from PIL import Image, UnidentifiedImageError

    head = content or b""
    kind = heif_kind(head)
    if isinstance(error, UnidentifiedImageError) and kind is None:
        return ImageError(_not_read(label, head))
    if isinstance(error, Image.DecompressionBombError):
        return ImageError(f"{label} has far too many pixels; expected at most {MAX_PIXELS:,} in all: make it smaller")
    what = f"the image {label}" if label.startswith("'") else label  # what has no name is "the image in memory"
    what = what if kind is None else f"{what} (in the format {_NAMES[kind]})"
    if isinstance(error, UnidentifiedImageError):
        return ImageError(f"{what} is damaged or cut off: its header cannot be read; copy it again")
    reason = messages[0] if messages else one_line(error)
    if kind == "HEIF" and "nsupported" in reason:  # libheif's word; it knows more codecs than are built in
        return ImageError(f"{what} cannot be decoded: {reason}; convert it to PNG or JPEG")
    return ImageError(f"{what} is damaged or cut off: {reason}; copy it again")


def _not_read(label: str, head: bytes) -> str:
    """Return what is wrong with a file in which Pillow sees no image."""
    if unread := unread_kind(head):
        what, advice = unread
        return f"{label} is {what}, and not an image that can be read; {advice}"
    if head.startswith(_TIFF_HEADS):
        return (
            f"{label} is a TIFF image that is damaged or cut off, or of a kind that Pillow cannot read; copy it again, "
            "or convert it to PNG"
        )
    *formats, last = FORMATS
    return f"{label} is not an image that can be read; expected {', '.join(formats)} or {last}"
