"""What a classifier keeps from call to call: a few entries of each kind, used by one caller at a time."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from onnx_cam.errors import SettingError

__all__ = ["OneAtATime", "make_room", "read_only"]


class OneAtATime:
    """A context for one user at a time: other threads wait, and the same thread is refused.

    Parameters
    ----------
    name : str
        The model's name, for the message.

    Raises
    ------
    SettingError
        The thread is already within it: a progress callback of one explanation asked for another.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._user: int | None = None

    def __enter__(self) -> None:
        if self._user == threading.get_ident():
            raise SettingError(
                f"{self._name} is already running an explanation; do not call it again from a progress callback"
            )
        self._lock.acquire()
        self._user = threading.get_ident()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._user = None
        self._lock.release()


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Make an array read-only, and return it."""
    array.setflags(write=False)
    return array


def make_room(kept: MutableMapping[Any, Any], most: int) -> None:
    """Drop the oldest entry of a mapping that is full."""
    if len(kept) >= most:
        del kept[next(iter(kept))]
