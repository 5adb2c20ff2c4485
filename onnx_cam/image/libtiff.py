"""What libtiff writes to standard error, caught before the user sees it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

__all__ = ["libtiff_messages"]

_STANDARD_ERROR = 2
_LOCK = threading.RLock()  # file descriptor 2 belongs to the whole process
_MESSAGE = re.compile(r"\w[\w.]*: .*\.")  # libtiff's form: the function's or the file's name, then a sentence


@contextmanager
def libtiff_messages() -> Iterator[list[str]]:
    r"""Collect what libtiff has to say while it decodes an image.

    libtiff is C code: it writes its warnings and errors to file descriptor 2, past Python's ``sys.stderr`` and past
    Pillow's exceptions, which only say ``decoder error -2``. The descriptor is redirected inside the ``with`` block and
    restored after it in all cases. One thread at a time does so; lines that another thread writes meanwhile, and that
    do not look like libtiff's, are written to the real standard error afterwards.

    Yields
    ------
    list of str
        Empty inside the block; after it, libtiff's lines in their order, without the final full stop.

    Examples
    --------
    >>> with libtiff_messages() as messages:
    ...     _ = os.write(2, b"LZWDecode: Not enough data at scanline 0.\n")
    >>> messages
    ['LZWDecode: Not enough data at scanline 0']
    """
    messages: list[str] = []
    with _LOCK, ExitStack() as undo:  # what is registered last is undone first
        with suppress(OSError):  # no room for a file, or standard error is closed: then nothing is collected
            written = undo.enter_context(tempfile.TemporaryFile())
            standard_error = os.dup(_STANDARD_ERROR)
            undo.callback(os.close, standard_error)
            undo.callback(_sort_out, written, messages)
            undo.callback(os.dup2, standard_error, _STANDARD_ERROR)
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(written.fileno(), _STANDARD_ERROR)
        yield messages


def _sort_out(written: BinaryIO, messages: list[str]) -> None:
    """Append libtiff's lines to the messages; write all others to standard error, where they were meant to go."""
    written.seek(0)
    for line in written:
        text = line.decode(errors="replace").strip()
        if _MESSAGE.fullmatch(text):
            messages.append(text.rstrip("."))
        else:
            os.write(_STANDARD_ERROR, line)
