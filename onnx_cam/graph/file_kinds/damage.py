"""ONNX models that were converted as if they were text, or cut off."""

from __future__ import annotations

import binascii
import re

import onnx
from google.protobuf.message import DecodeError

from onnx_cam.graph.file_kinds.pointers import MAX_PROBE_BYTES
from onnx_cam.graph.file_kinds.protobufs import walk_fields

__all__ = ["cut_off", "damage", "is_model"]

_MAX_BYTES = 64 << 20  # larger files are not converted back to see whether a conversion damaged them
_REPLACED = "\ufffd".encode()  # what a decoder puts in place of bytes that are no text
_REPLACED_SHARE = 0.05  # of all bytes: far more than a text has
_MODEL_FIELDS = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}  # of onnx.ModelProto


def is_model(content: bytes) -> bool:
    """Whether bytes are an ONNX model that holds a graph with outputs.

    Examples
    --------
    >>> from pathlib import Path
    >>> is_model(Path("model.onnx").read_bytes()), is_model(b"")
    (True, False)
    """
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError:
        return False
    return bool(proto.ir_version >= 1 and proto.graph.node and proto.graph.output)


def damage(content: bytes) -> str | None:
    r"""Return how a model was converted as text, and what to do; None where that did not happen.

    Examples
    --------
    >>> from pathlib import Path
    >>> damage(Path("model.onnx").read_bytes().replace(b"\n", b"\r\n"))
    'an ONNX model damaged by a conversion of line ends: copy it in binary mode, or mark it ... and check it out again'
    """
    if len(content) > _MAX_BYTES:
        return None
    if b"\r\n" in content and is_model(content.replace(b"\r\n", b"\n")):
        return (
            "an ONNX model damaged by a conversion of line ends: copy it in binary mode, "
            "or mark it as binary in .gitattributes and check it out again"
        )
    if is_model(_from_base64(content)):
        return "an ONNX model encoded as base64: decode it, e.g. with base64 -d"
    if content.count(_REPLACED) * len(_REPLACED) > _REPLACED_SHARE * len(content):
        return "damaged by a conversion to text, in which bytes were lost: copy or download it again in binary mode"
    if is_model(_from_latin_1(content)):
        return "an ONNX model damaged by a conversion to UTF-8: copy or download it again in binary mode"
    return None


def cut_off(content: bytes) -> str | None:
    """Return how much of a model is missing; None where none is, or where it is no model.

    Examples
    --------
    >>> from pathlib import Path
    >>> cut_off(Path("model.onnx").read_bytes()[:1000])
    'cut off after 1,000 bytes of at least ...: copy or download it again'
    """
    fields = list(walk_fields(content))
    if not fields or not {field.number for field in fields} <= _MODEL_FIELDS or fields[0].number != 1:
        return None
    end = fields[-1].end
    return (
        f"cut off after {len(content):,} bytes of at least {end:,}: copy or download it again"
        if end > len(content)
        else None
    )


def _from_base64(content: bytes) -> bytes:
    if not re.fullmatch(rb"[A-Za-z0-9+/=\s]+", content[:MAX_PROBE_BYTES]):
        return b""
    try:
        return binascii.a2b_base64(content)
    except binascii.Error:
        return b""


def _from_latin_1(content: bytes) -> bytes:
    try:
        return content.decode().encode("latin-1")
    except UnicodeError:
        return b""
