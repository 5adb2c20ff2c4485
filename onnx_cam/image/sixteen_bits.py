"""Decode images of 16 bits per channel: Pillow keeps both bytes of grey, and of colour only the high one."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ImageError
from onnx_cam.image.bit_depth import FULL_BITS, Statement, stated_depth, to_eight_bits

__all__ = ["has_sixteen_bits", "read_sixteen_bits", "stored_colours"]

Pixels = NDArray[np.uint8]
Values = NDArray[np.uint16]

_RAW_MODE = re.compile(r"(RGB|RGBA|RGBX|RGBa|CMYK|LA);16([BLN])")  # as Pillow calls what a file stores
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}
_HIGH_BYTE_OF_14_BITS = 63
_MIN_IS_WHITE, _PHOTOMETRIC = 0, 262


def has_sixteen_bits(image: Any) -> bool:
    """Whether a PIL image's grey values have 16 bits, or its colours have them in the file and are not loaded yet."""
    # Older versions of Pillow open a grey PNG of 16 bits in the mode of 32-bit integers.
    return image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PNG") or bool(stored_colours(image))


def stored_colours(image: Any) -> str:
    """Return Pillow's name for the 16-bit colours that the file of an image stores; empty for all other images."""
    tiles = getattr(image, "tile", None)
    raw = _raw_mode(tiles[0]) if tiles else ""
    return raw if _RAW_MODE.fullmatch(raw) else ""


def read_sixteen_bits(image: Any, content: bytes | None, label: str, *, alpha: bool) -> tuple[Any, tuple[str, ...]]:
    """Return an image of 16 bits per channel as an upright PIL image of 8 bits, and notes on the range of its values.

    Parameters
    ----------
    image : PIL.Image.Image
        Not loaded yet, where it has colours.
    content : bytes or None
        The file that the image is opened from.
    label : str
        What messages call the image.
    alpha : bool
        Whether its transparency is needed.

    Raises
    ------
    ImageError
        The range is not full, and the colours are stored in a way in which their low bytes cannot be read.
    """
    raw = stored_colours(image)
    statement = stated_depth(image, content)
    if raw and content is not None:
        return _read_colours(image, content, raw, statement, label, alpha=alpha)
    return _read_grey(image, statement, label)


def _read_grey(image: Any, statement: Statement | None, label: str) -> tuple[Any, tuple[str, ...]]:
    from PIL import Image, ImageOps

    # Read these first: Pillow forgets them when it turns the image.
    inverted = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _MIN_IS_WHITE
    transparent = image.info.get("transparency")
    image.load()
    values = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)  # (H, W)
    grey, notes = to_eight_bits(values, statement, label)
    grey = 255 - grey if inverted else grey  # which Pillow does for 8 bits, and not for 16
    if not isinstance(transparent, int):
        return Image.fromarray(grey), notes
    opacity = np.where(values == transparent, 0, 255).astype(np.uint8)
    return Image.fromarray(np.stack([grey, opacity], axis=2)), notes  # mode LA


def _read_colours(
    image: Any, content: bytes, raw: str, statement: Statement | None, label: str, *, alpha: bool
) -> tuple[Any, tuple[str, ...]]:
    from PIL import Image, ImageOps

    transparent = image.info.get("transparency")
    image.load()
    upright = ImageOps.exif_transpose(image)
    high = np.asarray(upright)  # (H, W, 3 or 4): the high bytes
    colours = slice(0, 4 if image.mode == "CMYK" else 3)
    has_alpha = image.mode == "RGBA"
    is_keyed = alpha and isinstance(transparent, tuple)
    # Colours that are multiplied by alpha were divided by it: of them alpha tells the range.
    judged = slice(3, 4) if raw.startswith("RGBa") else colours
    is_full = _is_full(high[..., judged]) if statement is None else statement.bits == FULL_BITS
    if is_full and not is_keyed and not (alpha and has_alpha and not _is_full(high[..., 3])):
        return upright, ()
    # Both bytes: (H, W, C) uint16. The colours and their opacity may have ranges of their own.
    values = (high.astype(np.uint16) << 8 | _low_bytes(content, raw, label)).astype(np.uint16)
    pixels, notes = to_eight_bits(values[..., colours], statement, label)
    if has_alpha:
        opacity, _ = to_eight_bits(values[..., 3:], None, label)
        pixels = np.concatenate([pixels, opacity], axis=2)
    if is_keyed:
        opacity = np.where((values == np.array(transparent)).all(axis=2), 0, 255).astype(np.uint8)
        pixels = np.dstack([pixels, opacity])
    return Image.fromarray(pixels) if image.mode != "CMYK" else _as_cmyk(pixels), notes


def _is_full(high: Pixels) -> bool:
    """Whether values have more than 14 bits, by their high bytes."""
    return int(high.max()) > _HIGH_BYTE_OF_14_BITS


def _as_cmyk(pixels: Pixels) -> Any:
    from PIL import Image

    height, width = pixels.shape[:2]
    return Image.frombytes("CMYK", (width, height), pixels.tobytes())


def _low_bytes(content: bytes, raw: str, label: str) -> Pixels:
    """Decode a file again, with the order of its bytes swapped: what Pillow takes for the high byte is the low one."""
    from PIL import Image, ImageOps

    stored, order = _RAW_MODE.fullmatch(raw).groups()  # type: ignore[union-attr]
    if stored == "RGBa":  # Pillow divides by alpha byte by byte
        raise ImageError(
            f"{label} has dark 16-bit colours that are multiplied by their alpha, and whose range cannot be told; "
            "convert it to 8 bits"
        )
    # Grey and alpha have four bytes a pixel, as RGBA of 8 bits has: high and low of both.
    other = "RGBA" if stored == "LA" else f"{stored};16{_OTHER_BYTE[order]}"
    with Image.open(io.BytesIO(content), formats=("PNG", "TIFF")) as image:
        image.tile = [_with_raw_mode(tile, other) for tile in image.tile]
        image.load()
        low = np.asarray(ImageOps.exif_transpose(image))
    return low[..., [1, 1, 1, 3]] if stored == "LA" else low


def _raw_mode(tile: Any) -> str:
    """Return the raw mode of a tile, which is its last field, or the first of those in it."""
    arguments = tile[3]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) else ""


def _with_raw_mode(tile: Any, raw: str) -> Any:
    arguments = (raw, *tile[3][1:]) if isinstance(tile[3], tuple) else raw
    return type(tile)(*tile[:3], arguments) if hasattr(tile, "_fields") else (*tile[:3], arguments)
