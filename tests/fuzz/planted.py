"""Kinds of input whose readers fail in every way that a harness must notice."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

from onnx_cam.errors import ModelError, OnnxCamError
from tests.fuzz.kinds import Files, Kind

__all__ = ["PLANTED"]


def make(seed: int) -> Files:
    return {"seed.txt": str(seed).encode()}


def accept(folder: Path, seed: int) -> None:
    assert (folder / "seed.txt").read_text() == str(seed)


def refuse(folder: Path, seed: int) -> None:
    raise ModelError("not a model; expected another file")


def raise_traceback(folder: Path, seed: int) -> None:
    raise IndexError("list index out of range")


def raise_lines(folder: Path, seed: int) -> None:
    error = OnnxCamError()
    error.args = ("two\nlines",)
    raise error


def hang(folder: Path, seed: int) -> None:
    while True:
        time.sleep(0.01)


def abort(folder: Path, seed: int) -> None:
    os.abort()


def read_null(folder: Path, seed: int) -> None:
    ctypes.string_at(0)


def leave(folder: Path, seed: int) -> None:
    os._exit(3)


def recurse(folder: Path, seed: int) -> None:
    sys.setrecursionlimit(10**9)
    recurse(folder, seed)


def allocate(folder: Path, seed: int) -> None:
    kept = []
    while True:
        kept.append(bytearray(64 << 20))


PLANTED = {
    reader.__name__: Kind(reader.__name__, make, reader)
    for reader in (accept, refuse, raise_traceback, raise_lines, hang, abort, read_null, leave, recurse, allocate)
}
"""Every planted kind, by the name of its reader."""
