"""Read a torch checkpoint of the legacy format (torch before 1.6) without torch, admitting nothing but tensors.

A pickle can run any code. This one's unpickler knows four names: the ordered dictionary, the function that rebuilds a
tensor, and the storage types; any other name is an error.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ModelError, one_line

__all__ = ["read_checkpoint"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAX_BYTES = 1 << 30
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


@dataclass
class _Storage:
    dtype: np.dtype[Any]
    values: NDArray[Any] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        values = self.storage.values
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        if min((self.offset, *self.shape, *self.stride)) < 0 or (0 not in self.shape and last >= len(values)):
            raise ValueError("a tensor reaches beyond its storage")
        size = values.itemsize
        strides = [stride * size for stride in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides).copy()


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles tensors as placeholders: their storages follow the pickle."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise pickle.UnpicklingError(f"{module}.{name} is not admitted")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, _count, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError("a storage of a kind that is not admitted")
        return self.storages.setdefault(str(key), _Storage(dtype))


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Return a checkpoint's tensors by name.

    Raises
    ------
    ModelError
        The file is missing, damaged, too large, of another format, or holds anything but tensors.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"'{path}' is larger than 1 GiB; expected a small checkpoint")
        with open(path, "rb") as file:
            return _read(file)
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise ModelError(f"'{path}' is no legacy torch checkpoint of tensors alone: {one_line(error, 120)}") from error


def _read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    if _plain(file) != _MAGIC or _plain(file) != _PROTOCOL or not _plain(file).get("little_endian"):
        raise ValueError("another format")
    unpickler = _TensorUnpickler(file)
    content = unpickler.load()
    for key in _plain(file):
        storage = unpickler.storages[key]
        count = int(np.frombuffer(_exactly(file.read, 8), "<i8")[0])
        storage.values = np.frombuffer(_exactly(file.read, count * storage.dtype.itemsize), storage.dtype)
    return {str(name): tensor.array() for name, tensor in content.items()}


def _plain(file: BinaryIO) -> Any:
    """Unpickle a value that needs no class at all."""
    return _TensorUnpickler(file).load()


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    if not 0 <= count <= _MAX_BYTES:
        raise ValueError("a storage of an impossible size")
    content = read(count)
    if len(content) != count:
        raise ValueError("cut off")
    return content
