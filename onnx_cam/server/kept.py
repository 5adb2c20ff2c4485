"""Results that can be downloaded for a while."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from onnx_cam.drawing.overlay import encode_png
from onnx_cam.explanation.result import Explanation
from onnx_cam.explanation.saving import encode_npy
from onnx_cam.server.limits import Limits
from onnx_cam.server.problems import Problem

__all__ = ["FILES", "KeptFile", "KeptResults"]


@dataclass(frozen=True)
class KeptFile:
    """A file that can be made of a result.

    Attributes
    ----------
    suffix : str
        What its name adds to that of the result, as on the command line.
    media_type : str
    make : callable
        Returns its content, of the result, its record, and the opacity and the colour map of pictures.
    """

    suffix: str
    media_type: str
    make: Callable[[Explanation, Mapping[str, object], float, str], bytes]


_PNG, _NPY, _JSON = "image/png", "application/octet-stream", "application/json"


def _overlay(result: Explanation, record: Mapping[str, object], alpha: float, colormap: str) -> bytes:
    return encode_png(result.overlay(alpha, colormap))


def _map(result: Explanation, record: Mapping[str, object], alpha: float, colormap: str) -> bytes:
    return encode_npy(result.geometry.place(result.cam))  # not `result.map`, which would stay in memory


def _cam(result: Explanation, record: Mapping[str, object], alpha: float, colormap: str) -> bytes:
    return encode_npy(result.cam)


def _record(result: Explanation, record: Mapping[str, object], alpha: float, colormap: str) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _deviation(result: Explanation, record: Mapping[str, object], alpha: float, colormap: str) -> bytes:
    if result.error is None:
        raise Problem(404, "the map has no error: it is exact, and not a mean over several noise fields")
    return encode_npy(result.error)


def _error_picture(result: Explanation, record: Mapping[str, object], alpha: float, colormap: str) -> bytes:
    return encode_png(result.error_picture(alpha, colormap))


FILES: dict[str, KeptFile] = {
    "overlay.png": KeptFile(".png", _PNG, _overlay),
    "map.npy": KeptFile(".npy", _NPY, _map),
    "cam.npy": KeptFile("_cam.npy", _NPY, _cam),
    "record.json": KeptFile(".json", _JSON, _record),
    "error.npy": KeptFile("_error.npy", _NPY, _deviation),
    "error.png": KeptFile("_error.png", _PNG, _error_picture),
}
"""The files of a result by the names under which they can be downloaded."""


@dataclass(frozen=True)
class _Kept:
    result: Explanation
    record: Mapping[str, object]
    until: float
    size: int


class KeptResults:
    """The last results, for a while, under names that nobody can guess.

    The maps are kept so that a download needs no second run of the model; nothing is written to a disk.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, result: Explanation, record: Mapping[str, object]) -> str:
        """Keep a result with its record, and return its key; the oldest ones make room."""
        key = secrets.token_urlsafe(18)
        size = _bytes_of(result)
        with self._lock:
            self._kept[key] = _Kept(result, record, time.monotonic() + self._limits.kept_seconds, size)
            while len(self._kept) > 1 and sum(one.size for one in self._kept.values()) > self._limits.kept_bytes:
                self._kept.popitem(last=False)
            self._drop_old()
        return key

    def find(self, key: str) -> tuple[Explanation, Mapping[str, object]]:
        """Return a result and its record.

        Raises
        ------
        Problem
            It is not kept, or not any more.
        """
        with self._lock:
            self._drop_old()
            kept = self._kept.get(key)
        if kept is None:
            minutes = self._limits.kept_seconds / 60
            raise Problem(404, f"there is no such result; one can be downloaded for {minutes:g} minutes: explain again")
        return kept.result, kept.record

    def _drop_old(self) -> None:
        now = time.monotonic()
        for key in [key for key, one in self._kept.items() if one.until < now]:
            del self._kept[key]


def _bytes_of(result: Explanation) -> int:
    """Return how much memory a result takes: its image, and the map in it once a picture was drawn."""
    height, width = result.pixels.shape[:2]
    return int(result.pixels.nbytes + 4 * height * width + result.cam.nbytes)
