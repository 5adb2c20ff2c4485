"""Bounded reads, and whole writes: a file that may be endless, and results that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from onnx_cam.errors import OutputError

__all__ = [
    "MAX_SMALL_FILE_BYTES",
    "prepare_folder",
    "read_at_most",
    "read_small_file",
    "results_folder",
    "write_files",
]

MAX_SMALL_FILE_BYTES = 16 << 20
"""16 MiB: settings and class names need far less; a larger file is not one of them."""

_CHUNK_BYTES = 1 << 20


def read_at_most(file: BinaryIO, limit: int) -> bytes:
    """Return a file's bytes, at most `limit` + 1 of them: one more than that says that there are more.

    ``file.read(limit + 1)`` would set aside that much memory first.
    """
    content = bytearray()
    while len(content) <= limit and (chunk := file.read(min(_CHUNK_BYTES, limit + 1 - len(content)))):
        content += chunk
    return bytes(content)


def read_small_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file of settings or names; no more than the limit is ever held in memory.

    Raises
    ------
    OSError
        The file cannot be read, or is larger than `MAX_SMALL_FILE_BYTES` (``errno.EFBIG``).

    Examples
    --------
    >>> read_small_file("labels.txt").split()
    [b'bird', b'cat', b'fish', b'dog']
    """
    with open(path, "rb") as file:
        content = read_at_most(file, MAX_SMALL_FILE_BYTES)
    if len(content) > MAX_SMALL_FILE_BYTES:
        raise OSError(errno.EFBIG, f"the file is larger than {MAX_SMALL_FILE_BYTES >> 20} MiB", str(path))
    return content


@contextmanager
def results_folder(folder: str | Path) -> Iterator[None]:
    """Make a folder for results; where none came, what was made is removed again.

    Raises
    ------
    OutputError
        The folder cannot be made, or written to.
    """
    path = Path(folder)
    missing = [place for place in (path, *path.parents) if not os.path.exists(place)]
    prepare_folder(path)
    try:
        yield
    finally:
        with suppress(OSError):  # not empty
            for place in missing:
                place.rmdir()


def prepare_folder(folder: str | Path) -> None:
    """Make a folder, and prove that it can be written to.

    Raises
    ------
    OutputError
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write to the folder '{folder}': {reason}; choose another with --out") from error


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files whole or not at all: all of them beside their place first, then each moved to it.

    Raises
    ------
    OutputError
    """
    waiting = {path: path.with_name(f".onnx-cam-{secrets.token_hex(8)}") for path in contents}
    try:
        for path, content in contents.items():
            if path.exists() and not path.is_file():
                raise OutputError(f"'{path}' is a folder or a device; expected the path of a file to write")
            with open(waiting[path], "xb") as file:
                file.write(content)
        for path, temporary in waiting.items():
            os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"cannot write '{path}': {error.strerror or error}; free the space or choose another folder"
        ) from error
    finally:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
