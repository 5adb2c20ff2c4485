"""Placeholders that a version control system keeps in place of large files."""

from __future__ import annotations

import re

__all__ = ["MAX_PROBE_BYTES", "pointer_kind"]

MAX_PROBE_BYTES = 4096
"""How much of a file is enough to tell what it is."""

_POINTERS = (
    (
        r"version https://(git-lfs|hawser)\.github\.com/spec/",
        "a Git LFS pointer, not the file itself: fetch the file with git lfs pull",
    ),
    (
        r"[./]*(git/)?annex/objects/",
        "a git-annex pointer, not the file itself: fetch the file with git annex get",
    ),
    (
        r"(outs|md5|deps|wdir|frozen):[^\0]*\bmd5:",
        "a DVC pointer, not the file itself: fetch the file with dvc pull, and give its name without .dvc",
    ),
)


def pointer_kind(head: bytes) -> str | None:
    r"""Return what a placeholder is, and what to do; None for other files.

    Parameters
    ----------
    head : bytes
        The file's first `MAX_PROBE_BYTES` bytes.

    Examples
    --------
    >>> pointer_kind(b"version https://git-lfs.github.com/spec/v1\noid sha256:5a1c\nsize 14000000\n")
    'a Git LFS pointer, not the file itself: fetch the file with git lfs pull'
    """
    return next((kind for pattern, kind in _POINTERS if re.match(pattern.encode(), head)), None)
