"""Reads a torch checkpoint of the legacy format (torch before 1.6) without torch, and nothing but tensors from it.

A pickle can run any code. The unpickler here only resolves the ordered dictionary, the function that rebuilds a tensor,
and the storage types; any other name is an error.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ModelError, one_line

__all__ = ["read_checkpoint"]

Array = NDArray[np.generic]

_MAGIC = 0x1950A86A20F9469CFC6C  # the first value of every legacy checkpoint
_PROTOCOL = 1001  # the second
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
    """A flat array that tensors share. Its values follow the pickle in the file, so they are filled in later."""

    dtype: np.dtype[np.generic]
    values: Array = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and stride count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> Array:
        """Return a copy of the tensor's values, after checking that all of them lie within the storage."""
        values = self.storage.values
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        if min((self.offset, *self.shape, *self.stride)) < 0 or (0 not in self.shape and last >= len(values)):
            raise ValueError("a tensor reaches beyond its storage")
        size = values.itemsize
        strides = [stride * size for stride in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides).copy()


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles tensors as placeholders, whose storages are read later, and refuses everything else."""

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
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    def persistent_load(self, pid: tuple[object, ...]) -> _Storage:
        kind, dtype, key, _location, _count, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError("a storage of this kind is not allowed")
        return self.storages.setdefault(str(key), _Storage(dtype))


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


def read_checkpoint(path: Path) -> dict[str, Array]:
    """Return a checkpoint's tensors by name, in the file's order.

    Parameters
    ----------
    path : Path
        A file that ``torch.save(state_dict, path, _use_new_zipfile_serialization=False)`` wrote, up to 1 GiB.

    Returns
    -------
    dict of str to ndarray
        float16, float32, float64, int32 or int64, as in the file.

    Raises
    ------
    ModelError
        The file is missing, damaged, too large, in another format, or holds anything but tensors.

    Examples
    --------
    The tests skip this example, which needs the extra ``demo``:

    >>> from onnx_cam.demo import demo_weights
    >>> read_checkpoint(demo_weights())["_fc.weight"].shape  # doctest: +SKIP
    (1000, 1280)
    >>> read_checkpoint(Path("cat.jpg"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    onnx_cam.errors.ModelError: cannot read 'cat.jpg' as a legacy torch checkpoint: ...
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"'{path}' has more than 1 GiB; expected a smaller checkpoint")
        with open(path, "rb") as file:
            return _read(file)
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise ModelError(
            f"cannot read '{path}' as a legacy torch checkpoint: {one_line(error, 120)}; download it again"
        ) from error


def _read(file: BinaryIO) -> dict[str, Array]:
    # Three pickles describe the file.
    if _unpickle(file) != _MAGIC or _unpickle(file) != _PROTOCOL or not _unpickle(file).get("little_endian"):
        raise ValueError("the file has another format")

    # The fourth is the dictionary of tensors, whose storages have no values yet.
    unpickler = _TensorUnpickler(file)
    tensors = unpickler.load()

    # The fifth lists the storages; each follows as a count, in 8 bytes, and its values.
    for key in _unpickle(file):
        storage = unpickler.storages[key]
        count = int(np.frombuffer(_read_exactly(file, 8), "<i8")[0])
        storage.values = np.frombuffer(_read_exactly(file, count * storage.dtype.itemsize), storage.dtype)
    return {str(name): tensor.array() for name, tensor in tensors.items()}


def _unpickle(file: BinaryIO) -> Any:
    """Return the next pickle's value."""
    return _TensorUnpickler(file).load()


def _read_exactly(file: BinaryIO, count: int) -> bytes:
    if not 0 <= count <= _MAX_BYTES:
        raise ValueError("a storage has an impossible size")
    content = file.read(count)
    if len(content) != count:
        raise ValueError("the file is cut off")
    return content
