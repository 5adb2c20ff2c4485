"""The catalogue of models known to work."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["read_catalogue", "recognise"]

_PLACES = (Path(__file__).parent / "catalogue.toml", Path(__file__).parent.parent.parent / "models" / "catalogue.toml")
"""Where the catalogue is in a wheel, and in a clone."""


@cache
def read_catalogue() -> tuple[dict[str, Any], ...]:
    """Return the catalogue's entries: name, file, sha256, source, licence, preprocessing, labels, layer, checks."""
    for place in _PLACES:
        if place.is_file():
            return tuple(tomllib.loads(place.read_text(encoding="utf-8"))["model"])
    return ()


def recognise(sha256: str) -> dict[str, Any] | None:
    """Return the entry of the file with this hash; None where it is not in the catalogue."""
    return next((entry for entry in read_catalogue() if entry["sha256"] == sha256), None)
