"""PNG images of 16 bits, written by hand: with any colour type and any chunks."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels


def png(values: NDArray[Any], *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of values (H, W) or (H, W, C) in 16 bits, with more chunks before the pixels."""
    channels = values.reshape(*values.shape[:2], -1)
    height, width, count = channels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[count], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    parts = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def ramp(largest: int, *shape: int) -> NDArray[np.uint16]:
    """Return values from 0 to the largest, in no order that a mirrored or turned image would have, too."""
    values = np.linspace(0, largest, int(np.prod(shape))).round().astype(np.uint16)
    return np.random.default_rng(0).permutation(values).reshape(shape)
