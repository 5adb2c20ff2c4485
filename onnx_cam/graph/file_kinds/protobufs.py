"""Models that are protobufs of other frameworks: they have no magic bytes, but other fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnx_cam.graph.file_kinds.advice import EXPORT, tf2onnx

__all__ = ["Field", "protobuf_kind", "walk_fields"]

_MAX_FIELDS = 100_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CORE_ML_TYPES = range(200, 3001)  # the fields of Core ML's Model that hold the network
_CAFFE_LAYERS = {2, 100}  # old and new
_CAFFE_FIELDS = {*range(1, 10), 100}
_PADDLE_BLOCK = b"\x08\0\x10"  # block 0 and its parent
_TENSOR_TYPES = range(1, 40)  # onnx.TensorProto.DataType, and room for more
_TENSOR_FIELDS = set(range(1, 17))


@dataclass(frozen=True)
class Field:
    """A field of a protobuf message.

    Attributes
    ----------
    number : int
        The field's number.
    value : int or bytes or None
        A whole number, the bytes of a text or a message, or None for other types; bytes may be cut off.
    end : int
        Where the field ends, by its own account: beyond the message where that was cut off.
    """

    number: int
    value: int | bytes | None
    end: int


def walk_fields(message: bytes) -> Iterator[Field]:
    r"""Yield the fields of a message; it ends early where the bytes are none.

    Examples
    --------
    >>> [(field.number, field.value) for field in walk_fields(b"\x08\x07" + b"\x12\x02hi")]
    [(1, 7), (2, b'hi')]
    """
    position = 0
    for _ in range(_MAX_FIELDS):
        tag, position = _varint(message, position)
        if tag is None or tag >> 3 == 0:
            return
        value: int | bytes | None = None
        if tag & 7 == _VARINT:
            value, position = _varint(message, position)
            if value is None:
                return
        elif tag & 7 == _BYTES:
            length, start = _varint(message, position)
            if length is None:
                return
            value, position = message[start : start + length], start + length
        elif tag & 7 in (_FIXED64, _FIXED32):
            position += 8 if tag & 7 == _FIXED64 else 4
        else:
            return
        yield Field(tag >> 3, value, position)


def _varint(message: bytes, position: int) -> tuple[int | None, int]:
    """Return a number and where it ends; None where the bytes are none."""
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            return None, position
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    return None, position


def protobuf_kind(content: bytes) -> str | None:
    r"""Return which framework's protobuf a file is, and what to do; None for others, ONNX models included.

    Examples
    --------
    >>> protobuf_kind(b"\x08\x05" + b"\x12\x00" + b"\xa2\x1f\x01\x00")
    'a Core ML model: export the network to ONNX from the framework that it was trained in'
    """
    fields = list(walk_fields(content))
    if not fields or fields[0].number != 1:
        return None
    numbers = {field.number for field in fields}
    if isinstance(fields[0].value, bytes):
        return _kind_of_messages(fields[0].value, numbers)
    # A number comes first: a version, or a tensor's first dimension.
    second = next((field.value for field in fields if field.number == 2), None)
    if isinstance(second, int) and second in _TENSOR_TYPES and numbers <= _TENSOR_FIELDS:
        return "a single ONNX tensor, such as test data: give the model itself"
    if isinstance(second, bytes) and any(number in _CORE_ML_TYPES for number in numbers):
        return f"a Core ML model: {EXPORT}"
    if isinstance(second, bytes) and _is_meta_graph(second):
        return f"a TensorFlow SavedModel: {tf2onnx('--saved-model FOLDER')}"
    return None


def _kind_of_messages(first: bytes, numbers: set[int]) -> str | None:
    if _is_tensorflow_node(first):
        return f"a TensorFlow graph: {tf2onnx('--graphdef model.pb --inputs NAMES --outputs NAMES')}"
    if first.startswith(_PADDLE_BLOCK):
        return "a PaddlePaddle model: convert it with paddle2onnx"
    if first.isascii() and numbers & _CAFFE_LAYERS and numbers <= _CAFFE_FIELDS:
        return f"a Caffe or Caffe2 network: {EXPORT}"
    return None


def _is_meta_graph(message: bytes) -> bool:
    """Whether a message is TensorFlow's MetaGraphDef, which holds a graph of nodes as its second field."""
    graph = next((field.value for field in walk_fields(message) if field.number == 2), None)
    node = next((field.value for field in walk_fields(graph)), None) if isinstance(graph, bytes) else None
    return isinstance(node, bytes) and _is_tensorflow_node(node)


def _is_tensorflow_node(message: bytes) -> bool:
    """Whether a message is TensorFlow's NodeDef: the node's name, then its operator."""
    texts = [field.value for _, field in zip(range(2), walk_fields(message), strict=False) if field.number in (1, 2)]
    return len(texts) == 2 and all(isinstance(text, bytes) and text.isascii() and text.strip() for text in texts)
