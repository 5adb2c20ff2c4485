"""Read a large model into memory once, with its weights beside the protobuf.

The file may change or disappear meanwhile: what was read is what is used.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from onnx_cam.graph.detached import WEIGHT_TYPES, DetachedWeights, is_detached
from onnx_cam.graph.walk_protobuf import all_tensors

__all__ = ["DetachedModel", "detach_weights", "is_large"]

LARGE_MODEL_BYTES = 64 << 20
"""From this size of a file on, weights are detached: below, copies cost little."""

LARGE_TENSOR_BYTES = 64 << 10
"""From this size on, a weight is detached; shapes, axes and scales stay where everything looks for them."""

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
"""The numbers of ModelProto.graph, GraphProto.initializer and TensorProto.raw_data."""

_STORED_ELSEWHERE = (3, 13, 14)
"""Those of TensorProto.segment, external_data and data_location."""

_VARINT, _FIXED_64, _LENGTH, _FIXED_32 = 0, 1, 2, 5
"""Wire types of protobuf."""

_LONGEST_VARINT = 10
_CHUNK = 1 << 20  # bytes that are hashed while they are still in the processor's cache


@dataclass(frozen=True)
class DetachedModel:
    """A model whose large weights were detached.

    Attributes
    ----------
    proto : onnx.ModelProto
        The model without them.
    weights : DetachedWeights
    sha256 : str
        The hash of the whole file, in hexadecimal digits.
    """

    proto: onnx.ModelProto
    weights: DetachedWeights
    sha256: str


def is_large(size: int) -> bool:
    """Tell whether a model of so many bytes should have its weights detached.

    Examples
    --------
    >>> is_large(25 << 20), is_large(500 << 20)
    (False, True)
    """
    return size >= LARGE_MODEL_BYTES


def detach_weights(file: BinaryIO, size: int, *, tensor_bytes: int | None = None) -> DetachedModel | None:
    """Read a model, with its large weights beside the protobuf.

    Parameters
    ----------
    file : binary file
        It is read once, from front to end.
    size : int
        Its size in bytes.
    tensor_bytes : int, optional
        From this size on, a weight of the main graph is detached.

    Returns
    -------
    DetachedModel or None
        None where nothing is large, and for a file that is damaged or of a form that exporters do not write: the
        ordinary reader can tell what is wrong with it.

    Examples
    --------
    >>> import io
    >>> content = onnx.load("model.onnx").SerializeToString()
    >>> model = detach_weights(io.BytesIO(content), len(content), tensor_bytes=16)
    >>> {name: array.shape for name, array in model.weights.initializers(model.proto).items()}["w1"]
    (6, 3, 3, 3)
    >>> model.sha256 == hashlib.sha256(content).hexdigest()
    True
    >>> detach_weights(io.BytesIO(content[:-9]), len(content) - 9, tensor_bytes=16) is None
    True
    """
    reader = _Reader(file, size, LARGE_TENSOR_BYTES if tensor_bytes is None else tensor_bytes)
    try:
        content = reader.model()
        proto = onnx.ModelProto.FromString(content)
    except (_OtherForm, DecodeError):
        return None
    names = [tensor.name for tensor in proto.graph.initializer]
    stored_elsewhere = sum(map(is_detached, all_tensors(proto)))
    if not reader.arrays or stored_elsewhere != len(reader.arrays) or len(set(names)) < len(names):
        return None
    return DetachedModel(proto, DetachedWeights(reader.arrays), reader.hash.hexdigest())


class _OtherForm(Exception):
    """The bytes are damaged, or a form of protobuf that is allowed but that no exporter writes."""


@dataclass
class _Reader:
    """Reads a model's bytes in their order, and hashes them; the large weights go into arrays of their own.

    Attributes
    ----------
    file : binary file
    size : int
    tensor_bytes : int
        From this size on, a weight is detached.
    position : int
        How many bytes were read.
    arrays : dict of str to ndarray of uint8
        The detached weights, by their locations.
    """

    file: BinaryIO
    size: int
    tensor_bytes: int
    position: int = 0
    arrays: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    hash: Any = field(default_factory=hashlib.sha256)

    def model(self) -> bytes:
        """Return the bytes of the model without its large weights."""
        content, graphs = bytearray(), 0
        for number, length, head in self._fields(self.size):
            if number == _GRAPH and length is not None:
                graphs += 1
                content += _message(_GRAPH, self._graph(self.position + length))
            else:
                content += head + self._take(length or 0)
        if graphs != 1 or self.file.read(1):  # several graphs would be merged
            raise _OtherForm
        return bytes(content)

    def _graph(self, end: int) -> bytearray:
        content = bytearray()
        for number, length, head in self._fields(end):
            if number == _INITIALIZER and length is not None and length >= self.tensor_bytes:
                content += _message(_INITIALIZER, self._tensor(self.position + length))
            else:
                content += head + self._take(length or 0)
        return content

    def _tensor(self, end: int) -> bytes:
        content, array = bytearray(), None
        for number, length, head in self._fields(end):
            if number in _STORED_ELSEWHERE or (number == _RAW_DATA and (array is not None or length is None)):
                raise _OtherForm
            if number == _RAW_DATA and length is not None:
                array = self._array(length)
            else:
                content += head + self._take(length or 0)
        if array is None:
            return bytes(content)
        tensor = onnx.TensorProto.FromString(bytes(content))
        dtype = WEIGHT_TYPES.get(tensor.data_type)
        if len(array) < self.tensor_bytes or dtype is None:
            return bytes(content + _message(_RAW_DATA, array.tobytes()))
        is_whole = len(array) == np.dtype(dtype).itemsize * math.prod(tensor.dims)
        if not tensor.name or not is_whole or any(side < 0 for side in tensor.dims):
            raise _OtherForm
        location = f"detached/{len(self.arrays)}"
        self.arrays[location] = array
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        return bytes(tensor.SerializeToString())

    def _fields(self, end: int) -> Iterator[tuple[int, int | None, bytes]]:
        """Yield number, length and head of each field; the content after the head of one with a length is not read."""
        while self.position < end:
            tag, head = self._varint()
            number, wire_type = tag >> 3, tag & 7
            if wire_type == _LENGTH:
                length, more = self._varint()
                if length > end - self.position:
                    raise _OtherForm
                yield number, length, head + more
            elif wire_type == _VARINT:
                yield number, None, head + self._varint()[1]
            elif wire_type in (_FIXED_64, _FIXED_32):
                yield number, None, head + self._take(8 if wire_type == _FIXED_64 else 4)
            else:
                raise _OtherForm
        if self.position != end:
            raise _OtherForm

    def _varint(self) -> tuple[int, bytes]:
        """Return a number, and the bytes that hold it."""
        content = b""
        while not content or content[-1] & 0x80:
            if len(content) == _LONGEST_VARINT:
                raise _OtherForm
            content += self._take(1)
        return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(content)), content

    def _take(self, count: int) -> bytes:
        content = self.file.read(count)
        if len(content) != count:
            raise _OtherForm
        self.hash.update(content)
        self.position += count
        return content

    def _array(self, count: int) -> NDArray[np.uint8]:
        array = np.empty(count, np.uint8)
        view = array.data
        for start in range(0, count, _CHUNK):
            part = view[start : start + _CHUNK]
            if self.file.readinto(part) != len(part):  # type: ignore[attr-defined] # files and io.BytesIO have it
                raise _OtherForm
            self.hash.update(part)
        self.position += count
        return array


def _message(number: int, content: bytes | bytearray) -> bytes:
    """Return a field of a length and its content."""
    return _encoded(number << 3 | _LENGTH) + _encoded(len(content)) + bytes(content)


def _encoded(number: int) -> bytes:
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)
