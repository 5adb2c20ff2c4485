"""The real range of pixels that are stored in 16 bits: cameras write 10, 12 or 14 bits into such files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FULL_BITS", "Statement", "stated_depth", "to_eight_bits", "usual_bits"]

Pixels = NDArray[np.uint8]
Values = NDArray[np.uint16]

FULL_BITS = 16
_USUAL_BITS = (8, 10, 12, 14, FULL_BITS)
_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUE, _SMAX_SAMPLE_VALUE = 258, 281, 341  # TIFF's tags
_PNG_HEAD = 8  # the signature; chunks follow


@dataclass(frozen=True)
class Statement:
    """What a file states about the range of its values.

    Attributes
    ----------
    bits : int
        How many bits the values have, 1 to 16.
    source : str
        Where the file says so.
    may_be_scaled : bool
        Whether values of fewer bits may be stored as multiples, over the full range. PNG asks for that, and not all
        programs follow.
    """

    bits: int
    source: str
    may_be_scaled: bool = False


def usual_bits(largest: int) -> int:
    """Return the smallest of 8, 10, 12, 14 and 16 bits that holds a value.

    Examples
    --------
    >>> usual_bits(255), usual_bits(4095), usual_bits(4096)
    (8, 12, 14)
    """
    return next(bits for bits in _USUAL_BITS if largest < 1 << bits)


def stated_depth(image: Any, content: bytes | None) -> Statement | None:
    """Return what a file states about the range of its 16-bit values; None where it is silent.

    Parameters
    ----------
    image : PIL.Image.Image
    content : bytes or None
        The file; None where it is not at hand.
    """
    if image.format == "PNG" and content is not None:
        return _png_statement(content)
    tags = getattr(image, "tag_v2", None)
    return None if tags is None else _tiff_statement(tags)


def _png_statement(content: bytes) -> Statement | None:
    """Read the chunk sBIT, one byte a channel, which comes before the pixels."""
    start = _PNG_HEAD
    while (kind := content[start + 4 : start + 8]) not in (b"IDAT", b""):
        length = int.from_bytes(content[start : start + 4], "big")
        if kind == b"sBIT":
            depths = content[start + 8 : start + 8 + min(length, 3)]
            colours = depths[:1] if length < 3 else depths  # grey, perhaps with alpha; otherwise RGB
            return _statement(max(colours, default=0), "sBIT", may_be_scaled=True)
        start += length + 12
    return None


def _tiff_statement(tags: Any) -> Statement | None:
    bits = min(_whole_numbers(tags.get(_BITS_PER_SAMPLE)), default=FULL_BITS)
    if bits < FULL_BITS:
        return _statement(bits, "BitsPerSample")
    for tag, name in ((_MAX_SAMPLE_VALUE, "MaxSampleValue"), (_SMAX_SAMPLE_VALUE, "SMaxSampleValue")):
        largest = max(_whole_numbers(tags.get(tag)), default=0)
        if 0 < largest < 1 << FULL_BITS:
            return _statement(usual_bits(largest), f"{name} {largest}")
    return None


def _statement(bits: int, source: str, *, may_be_scaled: bool = False) -> Statement | None:
    return Statement(bits, source, may_be_scaled) if 0 < bits <= FULL_BITS else None


def _whole_numbers(value: object) -> list[int]:
    """Return the numbers of a tag, whose value may be of any type in a damaged file."""
    numbers = value if isinstance(value, tuple | list) else (value,)
    return [int(number) for number in numbers if isinstance(number, int | float) and number == int(number)]


def to_eight_bits(values: Values, statement: Statement | None, label: str) -> tuple[Pixels, tuple[str, ...]]:
    """Return 16-bit values as 8-bit ones by their real range, and a note where that is not the full range.

    The file's statement counts, unless its own values contradict it; without one, the smallest of the usual numbers of
    bits that holds the largest value.

    Parameters
    ----------
    values : ndarray of any shape, uint16
    statement : Statement or None
        What the file states.
    label : str
        What the note calls the image.

    Returns
    -------
    ndarray of the same shape, uint8
    tuple of str
        Notes.

    Examples
    --------
    >>> pixels, notes = to_eight_bits(np.array([0, 2048, 4095], np.uint16), None, "'scan.png'")
    >>> pixels.tolist()
    [0, 128, 255]
    >>> print(*notes)
    'scan.png' has 16 bits per channel, but no value above 4095: read as 12-bit data; if it is a dark image of the ...
    >>> to_eight_bits(np.array([0, 65535], np.uint16), None, "'scan.png'")[1]
    ()
    """
    largest = int(values.max())
    if statement is not None and (bits := _bits_that_hold(values, largest, statement)) is not None:
        note = (
            f"{label} states that its 16-bit values have {bits} bits ({statement.source}): read as {bits}-bit data; "
            "if they have the full 16 bits, convert it to 8 bits first"
        )
    else:
        bits = usual_bits(largest)
        note = (
            f"{label} has 16 bits per channel, but no value above {largest}: read as {bits}-bit data; if it is a dark "
            "image of the full 16 bits, convert it to 8 bits first"
        )
    return _reduced(values, bits), (note,) if bits < FULL_BITS and largest > 0 else ()


def _bits_that_hold(values: Values, largest: int, statement: Statement) -> int | None:
    """Return the bits that a file states, where its values can have them; otherwise None."""
    bits = statement.bits
    fits = largest < 1 << bits
    if statement.may_be_scaled and bits < FULL_BITS:
        return bits if fits and not _is_scaled(values, bits) else FULL_BITS
    return bits if fits else None


def _is_scaled(values: Values, bits: int) -> bool:
    """Whether values of fewer bits are spread over all 16: shifted, with the low bits 0 or a copy of the high ones."""
    high = values >> (FULL_BITS - bits) << (FULL_BITS - bits)
    repeated = high.copy()
    for shift in range(bits, FULL_BITS, bits):
        repeated |= high >> shift
    return bool((values == high).all() or (values == repeated).all())


def _reduced(values: Values, bits: int) -> Pixels:
    if bits >= 8:
        return (values >> (bits - 8)).astype(np.uint8)
    return np.asarray(np.rint(values * np.float32(255 / ((1 << bits) - 1))), np.uint8)
