"""Python's garbage collection, kept away from where there is no garbage: imports, and the end of the process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_collection"]


@contextmanager
def without_collection() -> Iterator[None]:
    """Import modules, whose many objects would be searched for garbage again and again, then and later.

    They live as long as the process, and are left out of every search that follows.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
