"""What a build says about an image, and how that is stored: as plain JSON values, digit for digit."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.frame import Frame
from onnx_cam.image.geometry import Geometry

__all__ = ["BuildView", "PlacedMap"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PlacedMap:
    """A map at its layer's resolution, and where it lies in the image.

    Attributes
    ----------
    cam : ndarray of shape (h, w), float32
        L, not normalised, ≥ 0.
    geometry : Geometry
        Its crop is the part of the image that the layer's cells see.

    Examples
    --------
    >>> PlacedMap(np.zeros((7, 7), np.float32), Geometry(224, 224, (0, 0, 224, 224))).is_empty
    True
    """

    cam: Floats
    geometry: Geometry

    @property
    def is_empty(self) -> bool:
        """Whether the map is zero everywhere."""
        return not self.cam.any()

    def as_json(self) -> dict[str, Any]:
        """Return the map as plain JSON values; its numbers are little-endian float32 in Base64."""
        cells = self.geometry.cells
        return {
            "shape": list(self.cam.shape),
            "cam": base64.b64encode(self.cam.astype("<f4").tobytes()).decode("ascii"),
            "image": [self.geometry.height, self.geometry.width],
            "crop": list(self.geometry.crop),
            "cells": [cells.top, cells.left, cells.bottom, cells.right],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PlacedMap:
        """Return the map that `as_json` described."""
        numbers = np.frombuffer(base64.b64decode(stored["cam"], validate=True), "<f4")
        height, width = stored["image"]
        x0, y0, x1, y1 = stored["crop"]
        geometry = Geometry(height, width, (x0, y0, x1, y1), Frame(*stored["cells"]))
        return cls(numbers.reshape(stored["shape"]).astype(np.float32), geometry)


@dataclass(frozen=True, eq=False)
class BuildView:
    """What a build says about an image.

    Attributes
    ----------
    predicted : int
        The position of the likeliest class in the build's own output.
    probability : float
        The probability of the old build's likeliest class, in [0, 1].
    map : PlacedMap or None
        The map of that class; None where none was made.
    floor : float or None
        The distance of that map to the map of the same input with noise; only of the old build.

    Examples
    --------
    >>> BuildView(281, 0.75).as_json()
    {'predicted': 281, 'probability': 0.75, 'map': None, 'floor': None}
    """

    predicted: int
    probability: float
    map: PlacedMap | None = None
    floor: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the view as plain JSON values."""
        return {
            "predicted": self.predicted,
            "probability": self.probability,
            "map": self.map and self.map.as_json(),
            "floor": self.floor,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> BuildView:
        """Return the view that `as_json` described."""
        placed = None if stored["map"] is None else PlacedMap.from_json(stored["map"])
        floor = None if stored["floor"] is None else float(stored["floor"])
        return cls(int(stored["predicted"]), float(stored["probability"]), placed, floor)
