"""One writer for a results file: a lock that lasts as long as a run and never keeps a reader out."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from onnx_cam.errors import OutputError, one_line

__all__ = ["WriterLock"]


class WriterLock:
    """The right to write to the results file of a folder, held from construction to `release`.

    The lock is an exclusive transaction on an empty SQLite file of its own. SQLite knows how to lock a file on every
    system and on network file systems, and the operating system lets go of the lock if the process is killed. It cannot
    be taken on the results file itself, where it would keep readers out until the run ends.

    Parameters
    ----------
    path : Path
        The lock's file, made here and removed by `release`; a killed process leaves it behind, empty and unlocked.
    guarded : Path
        The results file, for messages.

    Raises
    ------
    OutputError
        Another process holds the lock, or the file cannot be made.

    Examples
    --------
    >>> lock = WriterLock(Path("results.lock"), Path("results.sqlite"))
    >>> WriterLock(Path("results.lock"), Path("results.sqlite"))
    Traceback (most recent call last):
        ...
    onnx_cam.errors.OutputError: another process is writing to 'results.sqlite'; wait until it has finished, or ...
    >>> lock.release()
    """

    def __init__(self, path: Path, guarded: Path) -> None:
        self._path = path
        try:
            self._connection = self._acquire()
        except sqlite3.Error as error:
            if is_busy(error):
                raise OutputError(
                    f"another process is writing to '{guarded}'; wait until it has finished, or choose another folder"
                ) from error
            raise OutputError(f"cannot lock '{path}': {one_line(error, 120)}; remove that file") from error
        except OSError as error:
            raise OutputError(f"cannot make '{path}': {error.strerror or error}; choose another folder") from error

    def release(self) -> None:
        """Let others write."""
        with suppress(OSError):  # Windows removes no file that is open: an empty one stays
            self._path.unlink(missing_ok=True)
        self._connection.close()

    def _acquire(self) -> sqlite3.Connection:
        while True:
            self._path.touch()
            opened = self._path.stat()
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)  # fail at once
            try:
                connection.execute("PRAGMA journal_mode = MEMORY").fetchall()  # no second file beside it
                connection.execute("BEGIN EXCLUSIVE")
                # The holder before may have removed the file after we opened it. Whoever comes next would then lock a
                # new one, and there would be two writers.
                with suppress(FileNotFoundError):
                    if self._path.stat().st_ino == opened.st_ino:
                        return connection
            except BaseException:
                connection.close()
                raise
            connection.close()


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether SQLite failed because another connection holds a lock."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's error code without the details in its upper bits; 0 where the error has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
