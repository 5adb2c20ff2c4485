"""Compressed files and archives."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence

from onnx_cam.errors import one_line_text
from onnx_cam.graph.file_kinds.advice import EXPORT, TORCH, UNPACK, tf2onnx
from onnx_cam.graph.file_kinds.pointers import MAX_PROBE_BYTES

__all__ = ["archive_kind"]

_MAX_NAMES = 3
_MAX_NAME = 60  # characters
_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_EXPORTED_PROGRAM = {"archive_format", "serialized_exported_program.json"}
_COMPRESSED = {
    _GZIP: "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\x1f\x9d": "compress",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
}


def archive_kind(content: bytes) -> str | None:
    """Return what an archive or a compressed file is, and what to do; None for other files.

    Examples
    --------
    >>> import gzip
    >>> archive_kind(gzip.compress(b"a model"))
    'compressed with gzip: unpack it, and give the .onnx file in it'
    """
    if content.startswith(_ZIP):
        return _zip_kind(content)
    if _is_tar(content):
        return f"a tar archive: {UNPACK}"
    if content.startswith(_GZIP) and _is_tar(_gunzipped(content[:MAX_PROBE_BYTES])):
        return f"a tar archive compressed with gzip: {UNPACK}"
    return next(
        (f"compressed with {how}: {UNPACK}" for magic, how in _COMPRESSED.items() if content.startswith(magic)), None
    )


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _gunzipped(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, MAX_PROBE_BYTES)
    except zlib.error:
        return b""


def _zip_kind(content: bytes) -> str:
    """Tell the formats that are ZIP archives by the names of what is in them; nothing is unpacked."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return f"a ZIP archive that is damaged or cut off: download or copy it again; then {UNPACK}"
    ends = {name.rsplit("/", 1)[-1] for name in names}
    models = [name for name in names if name.lower().endswith(".onnx")]
    kinds = {
        f"a ZIP archive that holds {_listed(models)}: {UNPACK}": bool(models),
        f"a TorchScript archive of PyTorch: {TORCH}": "constants.pkl" in ends,
        f"a PyTorch checkpoint: {TORCH}": "data.pkl" in ends,
        f"a program of torch.export (.pt2): {TORCH}": bool(ends & _EXPORTED_PROGRAM),
        f"a Keras model (.keras): {tf2onnx('--keras model.keras')}": ends >= {"config.json", "model.weights.h5"},
        f"a TensorFlow SavedModel in a ZIP archive: unpack it; then {tf2onnx('--saved-model FOLDER')}": "saved_model.pb"
        in ends,
        f"a NumPy archive (.npz): {EXPORT}": bool(ends) and all(name.endswith(".npy") for name in ends),
        f"a ZIP archive that holds {_listed(names)}: expected an .onnx file": True,
    }
    return next(kind for kind, is_it in kinds.items() if is_it)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(one_line_text(name)[-_MAX_NAME:]) for name in names[:_MAX_NAMES]) or "nothing"
    return f"{shown} and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else shown
