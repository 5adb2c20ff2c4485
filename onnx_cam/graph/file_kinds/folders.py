"""Folders that were given in place of a model."""

from __future__ import annotations

import os
from pathlib import Path

from onnx_cam.graph.file_kinds.advice import EXPORT, tf2onnx

__all__ = ["folder_kind"]

_MAX_NAMES = 3


def folder_kind(folder: Path) -> str:
    """Return what a folder is, and what to do, to continue "'models' is".

    Examples
    --------
    >>> folder_kind(Path("."))
    'a folder; expected an .onnx file, such as model.onnx in it'
    """
    names = {*_names(folder)}
    if "saved_model.pb" in names:
        return f"a TensorFlow SavedModel: {tf2onnx(f'--saved-model {folder}')}"
    if folder.suffix in (".mlpackage", ".mlmodelc"):
        return f"a Core ML model: {EXPORT}"
    models = sorted(
        name for name in [*names, *(f"onnx/{name}" for name in _names(folder / "onnx"))] if name.endswith(".onnx")
    )
    if not models:
        return "a folder; expected an .onnx file"
    more = f" or {len(models) - _MAX_NAMES} others" if len(models) > _MAX_NAMES else ""
    return f"a folder; expected an .onnx file, such as {', '.join(models[:_MAX_NAMES])}{more} in it"


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
