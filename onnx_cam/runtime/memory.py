"""Errors that mean that memory ran out, in every wording, and how much a CUDA device has free."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager

from onnx_cam.errors import OnnxCamError, OutOfMemoryError, one_line

__all__ = ["free_cuda_memory", "is_out_of_memory", "names_lack_of_memory", "requested_bytes"]


_OUT_OF_MEMORY = re.compile(
    r"failed to allocate memory|bad_?alloc|bad allocation|out of memory|out_of_memory|cannot allocate memory"
    r"|failed to serialize proto|available memory of \d+ is smaller than requested|ALLOC_FAILED",
    re.IGNORECASE,
)
_REQUESTED = re.compile(r"(?:buffer of size|requested bytes of|bytes of) (\d+)")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on a CPU or a CUDA device: their classes share no base.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("CUDA failure 2: out of memory"))
    True
    """
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None


def requested_bytes(error: BaseException) -> int | None:
    """Return the size of the buffer that could not be allocated, where the error names it.

    Examples
    --------
    >>> requested_bytes(RuntimeError("Failed to allocate memory for requested buffer of size 4096"))
    4096
    """
    match = _REQUESTED.search(str(error))
    return int(match[1]) if match else None


@contextmanager
def names_lack_of_memory() -> Iterator[None]:
    """Let a MemoryError, of NumPy's or Python's own, become an OutOfMemoryError that says what to do.

    It is a context, and a decorator.

    Examples
    --------
    >>> with names_lack_of_memory():
    ...     raise MemoryError("Unable to allocate 8 TiB")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.OutOfMemoryError: out of memory (Unable to allocate 8 TiB); try a smaller --size, or free some ...
    """
    try:
        yield
    except OnnxCamError:
        raise
    except MemoryError as error:
        detail = f" ({one_line(error, 120)})" if str(error) else ""
        raise OutOfMemoryError(f"out of memory{detail}; try a smaller --size, or free some memory") from error


def free_cuda_memory(device: int = 0) -> int | None:
    """Return the free bytes of a CUDA device; None where the driver does not tell.

    It asks the driver itself (``cuMemGetInfo``), which every machine with CUDA has, in the device's primary context, in
    which ONNX Runtime works.
    """
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            return _free_memory(ctypes.CDLL(library), device)
        except (OSError, AttributeError, ctypes.ArgumentError):
            continue
    return None


def _free_memory(cuda: ctypes.CDLL, device: int) -> int | None:
    handle, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(handle), device):
        return None
    if cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle):
        return None
    try:
        if cuda.cuCtxPushCurrent_v2(context):
            return None
        failed = cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        cuda.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
        return None if failed else free.value
    finally:
        cuda.cuDevicePrimaryCtxRelease_v2(handle)
