"""Explanations with some of their facts changed, for tests of what is drawn and written."""

from __future__ import annotations

import dataclasses
from typing import Any

import onnx_cam

__all__ = ["altered"]

_PARTS = ("explained_model", "explained_image", "applied_method", "cost", "map_error")
_NAMES = {
    "image": ("explained_image", "name"),
    "model": ("explained_model", "path"),
    "above_average": ("map_error", "above"),
}


def altered(explanation: onnx_cam.Explanation, **changes: Any) -> onnx_cam.Explanation:
    """Return an explanation with other values for some of its attributes, whichever part they are in."""
    own = {field.name for field in dataclasses.fields(explanation)}
    parts: dict[str, dict[str, Any]] = {}
    direct: dict[str, Any] = {}
    for name, value in changes.items():
        if name in own:
            direct[name] = value
            continue
        part, field = _NAMES.get(name) or next(
            (part, name) for part in _PARTS if hasattr(getattr(explanation, part), name)
        )
        parts.setdefault(part, {})[field] = value
    replaced = {part: dataclasses.replace(getattr(explanation, part), **values) for part, values in parts.items()}
    return dataclasses.replace(explanation, **replaced, **direct)
