"""Geometries that a run found, kept in the user's cache folder: each file and layer is probed once."""

from __future__ import annotations

from dataclasses import asdict

from onnx_cam.classifier.run_cache import entry_name, read_entry, write_entry
from onnx_cam.graph.frame import Frame
from onnx_cam.graph.layer_geometry import LayerGeometry

__all__ = ["read_geometry", "write_geometry"]

_KIND = "geometry"
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
    content = read_entry(_KIND, _name(sha256, layer, size))
    if content is None:
        return None
    try:
        edges = [float(content["frame"][edge]) for edge in ("top", "left", "bottom", "right")]
        flags = [content[flag] for flag in _FLAGS]
    except (ValueError, KeyError, TypeError):
        return None
    frame = Frame(*edges)
    sound = frame.top < frame.bottom and frame.left < frame.right and all(isinstance(flag, bool) for flag in flags)
    if not sound:
        return None
    transposed, flipped_rows, flipped_columns = flags
    return LayerGeometry(frame, transposed, flipped_rows, flipped_columns, source="run")


def write_geometry(sha256: str, layer: str, size: tuple[int, int], geometry: LayerGeometry) -> None:
    """Keep a geometry."""
    content = {"frame": asdict(geometry.frame), **{flag: getattr(geometry, flag) for flag in _FLAGS}}
    write_entry(_KIND, _name(sha256, layer, size), content)


def _name(sha256: str, layer: str, size: tuple[int, int]) -> str:
    return entry_name(_FORMAT, sha256, layer, size)
