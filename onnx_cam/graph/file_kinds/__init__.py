"""Which kind of file was given in place of an ONNX model, and what to do about it.

=================  ===========================================================================
:mod:`.pointers`   placeholders that a version control system keeps in place of large files
:mod:`.archives`   compressed files, and what a ZIP or tar archive holds
:mod:`.binaries`   other formats of models, weights, images: by the bytes that they begin with
:mod:`.damage`     ONNX models that were converted as text, or cut off
:mod:`.texts`      web pages, error messages, models as text
:mod:`.protobufs`  models that are protobufs of other frameworks
:mod:`.folders`    folders
=================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onnx_cam.graph.file_kinds.archives import archive_kind
from onnx_cam.graph.file_kinds.binaries import binary_kind, suffix_kind
from onnx_cam.graph.file_kinds.damage import cut_off, damage
from onnx_cam.graph.file_kinds.pointers import MAX_PROBE_BYTES, pointer_kind
from onnx_cam.graph.file_kinds.protobufs import protobuf_kind
from onnx_cam.graph.file_kinds.texts import text_kind

__all__ = ["file_kind"]


def file_kind(content: bytes, path: Path | None) -> str | None:
    """Return what a file is that is not an ONNX model, and what to do, to continue "'model.onnx' is".

    Parameters
    ----------
    content : bytes
        The whole file.
    path : Path or None
        Where it was read from, if anywhere: its suffix tells where the content does not.

    Returns
    -------
    str or None
        None where neither tells.

    Examples
    --------
    >>> file_kind(b"<!DOCTYPE html><title>Sign in</title>", Path("model.onnx"))
    "a web page ('Sign in'), not a model: download the file itself, not the page that shows it"
    >>> file_kind(b"TF", Path("model.h5")) is None
    False
    >>> file_kind(bytes(range(128, 256)), Path("model.onnx")) is None
    True
    """
    head = content[:MAX_PROBE_BYTES]
    finders: tuple[Callable[[], str | None], ...] = (
        lambda: pointer_kind(head),
        lambda: archive_kind(content),
        lambda: binary_kind(content),
        lambda: damage(content),
        lambda: text_kind(head),
        lambda: protobuf_kind(content),
        lambda: None if path is None else suffix_kind(path),
        lambda: cut_off(content),
    )
    return next((kind for find in finders if (kind := find())), None)
