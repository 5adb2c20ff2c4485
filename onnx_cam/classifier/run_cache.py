"""What runs of a model found, kept in the user's cache folder, so that the same runs are not made again.

An entry is only a shortcut: without it, or with one that cannot be read, the model is run. Each is a file of its own:
a hash of what follows, and a JSON object. ``ONNX_CAM_NO_CACHE=1`` leaves the folder alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onnx_cam.errors import OutputError
from onnx_cam.files import prepare_folder, read_small_file, write_files

__all__ = ["OFF", "cache_folder", "entry_name", "read_entry", "write_entry"]

OFF = "ONNX_CAM_NO_CACHE"
"""The environment variable that switches the cache off, unless it is empty or 0."""

_MAX_BYTES = 1 << 20  # of an entry
_MAX_ENTRIES = 256  # of a kind; the oldest make room


def cache_folder() -> Path:
    """Return the folder that holds the entries, with a folder in it for each kind.

    Examples
    --------
    >>> cache_folder().name
    'onnx-cam'
    """
    from platformdirs import user_cache_path

    return user_cache_path("onnx-cam", appauthor=False)


def entry_name(*parts: object) -> str:
    """Return the name of an entry: a hash of everything that what the runs found depends on.

    Examples
    --------
    >>> entry_name("relu2", (20, 20)) == entry_name("relu2", (20, 20)) != entry_name("relu2(20, 20)")
    True
    """
    text = "\n".join(map(repr, parts))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def read_entry(kind: str, name: str) -> dict[str, Any] | None:
    """Return an entry; None where there is none, where it is damaged, or where the cache is switched off.

    Examples
    --------
    >>> write_entry("example", "1", {"scale": 2})
    >>> read_entry("example", "1"), read_entry("example", "2")
    ({'scale': 2}, None)
    """
    if _is_off():
        return None
    try:
        digest, _, body = read_small_file(_path(kind, name)).partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        content = json.loads(body)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_entry(kind: str, name: str, content: Mapping[str, object]) -> None:
    """Keep an entry, if it is not too large; a cache folder that cannot be written to is left alone.

    Examples
    --------
    >>> write_entry("example", "large", {"text": "x" * 2**20})
    >>> read_entry("example", "large") is None
    True
    """
    body = json.dumps(content).encode()
    if _is_off() or len(body) > _MAX_BYTES:
        return
    path = _path(kind, name)
    with suppress(OutputError):
        prepare_folder(path.parent)
        write_files({path: hashlib.sha256(body).hexdigest().encode() + b"\n" + body})
        _make_room(path.parent)


def _make_room(folder: Path) -> None:
    """Remove the oldest entries of a kind, where there are too many."""
    with suppress(OSError):  # another process is at it, too
        entries = list(folder.glob("*.json"))
        if len(entries) > _MAX_ENTRIES:
            entries.sort(key=lambda entry: entry.stat().st_mtime)
            for entry in entries[:-_MAX_ENTRIES]:
                entry.unlink(missing_ok=True)


def _is_off() -> bool:
    return os.environ.get(OFF, "") not in ("", "0")


def _path(kind: str, name: str) -> Path:
    return cache_folder() / kind / f"{name}.json"
