"""Reading with a limit, since a file may be endless, and writing files completely or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
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
    "staged_file",
    "write_files",
]

MAX_SMALL_FILE_BYTES = 16 << 20
"""16 MiB: settings and class names need far less; a larger file is not one of them."""

_CHUNK_BYTES = 1 << 20


def read_at_most(file: BinaryIO, limit: int) -> bytes:
    """Return a file's bytes, at most `limit` + 1 of them: if it is one more than the limit, the file is too large.

    ``file.read(limit + 1)`` would allocate that much memory first. A file of a known size is read at once, without a
    copy.

    Examples
    --------
    >>> import io
    >>> read_at_most(io.BytesIO(b"abcdef"), limit=2)
    b'abc'
    """
    chunks, missing = [], limit + 1
    size = max(_known_size(file), _CHUNK_BYTES)
    while missing and (chunk := file.read(min(size + 1, missing))):
        chunks.append(chunk)
        missing -= len(chunk)
        size = _CHUNK_BYTES
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _known_size(file: BinaryIO) -> int:
    """Return the size of a regular file; 0 for anything else."""
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):  # it has no descriptor
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


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
    """Create a folder for results; if it is still empty at the end, it is removed again.

    Raises
    ------
    OutputError
        The folder cannot be created, or written to.

    Examples
    --------
    >>> with results_folder("out/maps"):
    ...     pass  # nothing is written
    >>> os.path.exists("out")
    False
    """
    path = Path(folder)
    missing_folders = [parent for parent in (path, *path.parents) if not os.path.exists(parent)]
    prepare_folder(path)
    try:
        yield
    finally:
        with suppress(OSError):  # it is not empty
            for parent in missing_folders:
                parent.rmdir()


def prepare_folder(folder: str | Path) -> None:
    """Create a folder, and prove that it can be written to.

    Raises
    ------
    OutputError
        The folder cannot be created, or written to.

    Examples
    --------
    >>> prepare_folder("out")
    >>> os.path.isdir("out")
    True
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write to the folder '{folder}': {reason}; choose another with --out") from error


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files completely or not at all.

    All of them are first written under temporary names in their folders, and then renamed.

    Parameters
    ----------
    contents : mapping of Path to bytes
        What to write to each file.

    Raises
    ------
    OutputError
        A file cannot be written, or the path is a folder or a device.

    Examples
    --------
    >>> write_files({Path("a.txt"): b"one", Path("b.txt"): b"two"})
    >>> Path("b.txt").read_bytes()
    b'two'
    """
    temporary_paths = {path: path.with_name(f".onnx-cam-{secrets.token_hex(8)}") for path in contents}
    try:
        for path, content in contents.items():
            if path.exists() and not path.is_file():
                raise OutputError(f"'{path}' is a folder or a device; expected the path of a file to write")
            with open(temporary_paths[path], "xb") as file:
                file.write(content)
        for path, temporary in temporary_paths.items():
            os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"cannot write '{path}': {error.strerror or error}; free the space or choose another folder"
        ) from error
    finally:
        for temporary in temporary_paths.values():
            temporary.unlink(missing_ok=True)


@contextmanager
def staged_file(path: Path, content: bytes) -> Iterator[Path]:
    """Write a file under a temporary name beside its place, and rename it at the end, unless an error came between.

    Parameters
    ----------
    path : Path
        Where the file is to be.
    content : bytes

    Yields
    ------
    Path
        The temporary name, for reading the file back and checking it.

    Raises
    ------
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> with staged_file(Path("a.txt"), b"one") as staged:
    ...     staged.read_bytes(), Path("a.txt").exists()
    (b'one', False)
    >>> Path("a.txt").read_bytes()
    b'one'
    """
    temporary = path.with_name(f".onnx-cam-{secrets.token_hex(8)}")
    try:
        with _named_errors(path), open(temporary, "xb") as file:
            file.write(content)
        yield temporary
        with _named_errors(path):
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write '{path}': {error.strerror or error}; free the space or choose another folder"
        ) from error
