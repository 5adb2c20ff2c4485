"""One BLAS thread while ONNX Runtime's threads are busy: several would wait for each other."""

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
    """Keep BLAS at one thread inside the ``with`` block.

    The limit holds for the whole process, so it is lifted when the last of the blocks that run at the same time ends.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> with one_blas_thread():
    ...     threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    >>> threads <= {1}
    True
    """
    user = object()
    with _lock:
        if not _users:
            _limits.append(threadpool_limits(1, "blas"))
        _users.append(user)
    try:
        yield
    finally:
        with _lock:
            _users.remove(user)
            if not _users:
                _limits.pop().restore_original_limits()
