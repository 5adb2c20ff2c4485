"""Read a file that may be of any size, or endless."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["read_at_most"]

_CHUNK = 1 << 20


def read_at_most(file: BinaryIO, limit: int) -> bytes:
    """Return a file's bytes, at most `limit` + 1 of them: one more than that says that there are more.

    ``file.read(limit + 1)`` would set aside that much memory first.
    """
    content = bytearray()
    while len(content) <= limit and (chunk := file.read(min(_CHUNK, limit + 1 - len(content)))):
        content += chunk
    return bytes(content)
