"""What a comparison has found out so far, so that one that was stopped goes on.

A text file of JSON lines: the first says which builds are compared and how, each other holds an image. A line is
written as a whole; where a process was killed while it wrote one, the half line is dropped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from onnx_cam.builds.views import BuildView
from onnx_cam.errors import OutputError
from onnx_cam.evaluation.results.writer_lock import WriterLock

__all__ = ["FILE_NAME", "ProgressFile", "open_progress"]

FILE_NAME = "images.jsonl"
_LOCK_NAME = "images.lock"
_SETUP = "onnx_cam_diff"

Views = tuple[BuildView, BuildView]
"""What the old and the new build say about an image."""


class ProgressFile:
    """The images that are done, and a file that they are kept in.

    Parameters
    ----------
    views : dict of str to tuple of BuildView
        What both builds say about the images that are done, by their hashes.
    file : file, optional
        Open for writing bytes, unbuffered; without it nothing is kept.

    Examples
    --------
    >>> done = ProgressFile({})
    >>> done.add("00ff", BuildView(1, 0.75), BuildView(1, 0.5))
    >>> done.views["00ff"][1].probability
    0.5
    """

    def __init__(self, views: dict[str, Views], file: IO[bytes] | None = None) -> None:
        self.views = views
        self._file = file

    def add(self, sha256: str, old: BuildView, new: BuildView) -> None:
        """Keep what both builds say about an image, in place of what was kept before."""
        self.views[sha256] = old, new
        if self._file is not None:
            line = _line({"image": sha256, "old": old.as_json(), "new": new.as_json()})
            try:
                self._file.write(line)
            except OSError as error:
                raise _unwritable(self._file.name, error) from error


@contextmanager
def open_progress(folder: str | Path | None, setup: Mapping[str, Any]) -> Iterator[ProgressFile]:
    """Open the file of a folder for one comparison, and keep other processes from writing to it.

    Parameters
    ----------
    folder : str or Path, optional
        It exists. Without it nothing is kept.
    setup : mapping
        Which builds are compared and how, as plain JSON values. What another comparison left is dropped.

    Raises
    ------
    OutputError
        Another process writes to the file, or it cannot be written.

    Examples
    --------
    >>> with open_progress(".", {"seed": 0}) as done:
    ...     done.add("00ff", BuildView(1, 0.75), BuildView(1, 0.5))
    >>> with open_progress(".", {"seed": 0}) as done:
    ...     list(done.views)
    ['00ff']
    """
    if folder is None:
        yield ProgressFile({})
        return
    path = Path(folder) / FILE_NAME
    lock = WriterLock(path.with_name(_LOCK_NAME), path)
    try:
        views, file = _continued(path, setup)
        with file:
            yield ProgressFile(views, file)
    finally:
        lock.release()


def _continued(path: Path, setup: Mapping[str, Any]) -> tuple[dict[str, Views], IO[bytes]]:
    """Return what a file holds of this comparison, and the file, open to go on with."""
    try:
        content = path.read_bytes() if path.is_file() else b""
        whole, views = _read(content, setup)
        if not whole:
            path.write_bytes(_line({_SETUP: setup}))
        elif len(whole) < len(content):
            os.truncate(path, len(whole))
        return views, open(path, "ab", buffering=0)
    except OSError as error:
        raise _unwritable(path, error) from error


def _read(content: bytes, setup: Mapping[str, Any]) -> tuple[bytes, dict[str, Views]]:
    """Return the whole lines of a file of this comparison, and what they hold; nothing of any other file."""
    whole = content[: content.rfind(b"\n") + 1]
    views: dict[str, Views] = {}
    try:
        first, *lines = map(json.loads, whole.splitlines())
        if first != json.loads(_line({_SETUP: setup})):
            return b"", {}
        for line in lines:
            views[line["image"]] = BuildView.from_json(line["old"]), BuildView.from_json(line["new"])
    except (ValueError, TypeError, LookupError):  # not of ours, or damaged
        return b"", {}
    return whole, views


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, allow_nan=False).encode("utf-8") + b"\n"


def _unwritable(path: object, error: OSError) -> OutputError:
    return OutputError(f"cannot write '{path}': {error.strerror or error}; free the space or choose another folder")
