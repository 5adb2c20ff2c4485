"""TIFF images of 16 bits, written by hand: Pillow does not write colours of 16 bits, and OpenCV not every tag."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

ORIENTATION, MAX_SAMPLE_VALUE, SMAX_SAMPLE_VALUE, SUBFILE_TYPE, DNG_VERSION = 274, 281, 341, 254, 50706
_CODES = {3: "H", 4: "I"}


def tiff(
    values: NDArray[Any],
    *,
    order: str = "<",
    photometric: int | None = None,
    alpha: int | None = None,
    tags: Mapping[int, list[int]] | None = None,
    packed: bytes | None = None,
) -> bytes:
    """Return a TIFF of grey (H, W), or of colours (H, W, C), in 16 bits; `packed` are the pixels in 12 bits."""
    height, width = values.shape[:2]
    samples = 1 if values.ndim == 2 else values.shape[2]
    pixels = values.astype(f"{order}u2").tobytes() if packed is None else packed
    pixels += b"\0" * (len(pixels) % 2)
    entries: dict[int, tuple[int, list[int]]] = {
        256: (3, [width]),
        257: (3, [height]),
        258: (3, [16 if packed is None else 12] * samples),
        259: (3, [1]),
        262: (3, [photometric if photometric is not None else 1 if samples == 1 else 2]),
        273: (4, [8]),
        277: (3, [samples]),
        278: (3, [height]),
        279: (4, [len(pixels)]),
    }
    entries |= {338: (3, [alpha])} if alpha is not None else {}
    entries |= {tag: (3, numbers) for tag, numbers in (tags or {}).items()}
    start = 8 + len(pixels)
    directory, beyond = struct.pack(f"{order}H", len(entries)), b""
    for tag, (kind, numbers) in sorted(entries.items()):
        value = struct.pack(f"{order}{len(numbers)}{_CODES[kind]}", *numbers)
        if len(value) > 4:
            at = struct.pack(f"{order}I", start + 2 + 12 * len(entries) + 4 + len(beyond))
            value, beyond = at, beyond + value
        directory += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + value.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + pixels + directory + b"\0\0\0\0" + beyond


def in_12_bits(values: NDArray[Any]) -> bytes:
    """Return grey values (H, W) with 12 bits each, every row filled up to whole bytes."""
    rows = ["".join(f"{value:012b}" for value in row.tolist()) for row in values]
    return b"".join(int(f"{row}{'0' * (-len(row) % 8)}", 2).to_bytes(-(-len(row) // 8), "big") for row in rows)
