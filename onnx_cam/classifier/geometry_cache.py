"""Geometries that a run found, kept in the user's cache folder: each file and layer is probed once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from onnx_cam.errors import OutputError
from onnx_cam.files import prepare_folder, read_small_file, write_files
from onnx_cam.graph.frame import Frame
from onnx_cam.graph.layer_geometry import LayerGeometry

__all__ = ["read_geometry", "write_geometry"]

_FORMAT = 1
"""Raised when the probe changes, so that what an earlier one found is not used."""

_FLAGS = ("transposed", "flipped_rows", "flipped_columns")


def read_geometry(sha256: str, layer: str, size: tuple[int, int]) -> LayerGeometry | None:
    """Return what an earlier run found; None where there is nothing, or nothing that can be read.

    Parameters
    ----------
    sha256 : str
        The hash of the model's file.
    layer : str
        The layer's output tensor.
    size : tuple of int
        ``(H, W)`` of the network's input.
    """
    try:
        content = json.loads(read_small_file(_path(sha256, layer, size)))
        edges = [float(content["frame"][edge]) for edge in ("top", "left", "bottom", "right")]
        flags = [content[flag] for flag in _FLAGS]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    frame = Frame(*edges)
    sound = frame.top < frame.bottom and frame.left < frame.right and all(isinstance(flag, bool) for flag in flags)
    if not sound:
        return None
    transposed, flipped_rows, flipped_columns = flags
    return LayerGeometry(frame, transposed, flipped_rows, flipped_columns, source="run")


def write_geometry(sha256: str, layer: str, size: tuple[int, int], geometry: LayerGeometry) -> None:
    """Keep a geometry; a cache folder that cannot be written to is left alone."""
    path = _path(sha256, layer, size)
    content = {"frame": asdict(geometry.frame), **{flag: getattr(geometry, flag) for flag in _FLAGS}}
    try:
        prepare_folder(path.parent)
        write_files({path: json.dumps(content).encode()})
    except OutputError:
        return


def _path(sha256: str, layer: str, size: tuple[int, int]) -> Path:
    from platformdirs import user_cache_path

    key = hashlib.sha256(f"{_FORMAT} {sha256} {layer} {size[0]}x{size[1]}".encode("utf-8", "backslashreplace"))
    return user_cache_path("onnx-cam", appauthor=False) / "geometry" / f"{key.hexdigest()[:32]}.json"
