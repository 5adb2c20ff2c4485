"""One thread for linear algebra while ONNX Runtime's own threads are about: theirs would wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_users: list[object] = []
_limits: list[Any] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS at one thread. The number is the whole process's: it comes back once the last caller has left."""
    me = object()
    with _lock:
        if not _users:
            _limits.append(threadpool_limits(1, "blas"))
        _users.append(me)
    try:
        yield
    finally:
        with _lock:
            _users.remove(me)
            if not _users:
                _limits.pop().restore_original_limits()
