"""What the graphs of the ground truth share: patches of three patterns, and a layer with a detector for each.

The layer is a convolution whose windows do not overlap, and ReLU. A cell of it therefore sees 4×4 pixels and no
others, and responds to one pattern only: the patterns are orthogonal, and a threshold keeps what leaks from a patch
that a mask has shaded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

__all__ = [
    "CELLS",
    "CHANNELS",
    "CHECKERS",
    "COLUMNS",
    "FLAT",
    "LAYER",
    "LEVEL",
    "PATCH_CELLS",
    "ROWS",
    "SIZE",
    "cells_of",
    "layer_nodes",
    "layer_weights",
    "picture",
    "pixels_of",
]

Floats = NDArray[np.float32]
Place = tuple[int, int]
"""The first row and column of a patch, in cells."""

SIZE = 32
"""Height and width of the image, in pixels."""
CELLS = 8
"""Height and width of the layer."""
PATCH = 2
"""Height and width of a patch, in cells."""
PATCH_CELLS = PATCH * PATCH
_STRIDE = SIZE // CELLS
_COLORS = 3
_THRESHOLD = 0.25
LEVEL = 1 - _THRESHOLD
"""The activation of a detector whose pattern fills its cell."""

_STRIPES = np.tile(np.array([1, -1, 1, -1], np.float32), (_STRIDE, 1))
COLUMNS, ROWS, CHECKERS, FLAT = "columns", "rows", "checkers", "flat"
_PATTERNS: dict[str, Floats] = {
    COLUMNS: _STRIPES,
    ROWS: _STRIPES.T,
    CHECKERS: _STRIPES * _STRIPES.T,
    FLAT: np.ones_like(_STRIPES),
}
"""Each pattern in a cell; no detector responds to the flat one, as the others have a mean of 0."""

CHANNELS = (COLUMNS, ROWS, CHECKERS)
"""The pattern that each channel of the layer detects."""
LAYER = "layer"


def picture(patches: Mapping[Place, str]) -> Floats:
    """Return an image (3, 32, 32) of patches on a background of 0, from their places and patterns.

    Examples
    --------
    >>> float(picture({(1, 5): FLAT})[0, 4:12, 20:28].min())
    1.0
    """
    image = np.zeros((_COLORS, SIZE, SIZE), np.float32)
    for place, pattern in patches.items():
        image[:, *pixels_of(place)] = np.tile(_PATTERNS[pattern], (PATCH, PATCH))
    return image


def cells_of(*places: Place) -> NDArray[np.bool_]:
    """Return the cells that the patches at some places cover, (8, 8) bool."""
    cells = np.zeros((CELLS, CELLS), np.bool_)
    for row, column in places:
        cells[row : row + PATCH, column : column + PATCH] = True
    return cells


def pixels_of(place: Place) -> tuple[slice, slice]:
    """Return the rows and the columns of pixels that the patch at a place covers."""
    row, column = (slice(start * _STRIDE, (start + PATCH) * _STRIDE) for start in place)
    return row, column


def layer_nodes() -> list[onnx.NodeProto]:
    """Return the nodes from the image to the layer, whose shape is (3, 8, 8)."""
    return [
        helper.make_node("Conv", ["image", "kernel", "bias"], ["response"], name="Detect", strides=[_STRIDE, _STRIDE]),
        helper.make_node("Relu", ["response"], [LAYER], name="Threshold"),
    ]


def layer_weights() -> dict[str, Floats]:
    """Return the weights of these nodes: a detector is the mean of the cell times its pattern, less a threshold."""
    detectors = np.stack([_PATTERNS[pattern] for pattern in CHANNELS]) / (_COLORS * _STRIDE**2)  # (3, 4, 4)
    return {
        "kernel": np.repeat(detectors[:, None], _COLORS, axis=1).astype(np.float32),  # (3, 3, 4, 4)
        "bias": np.full(len(CHANNELS), -_THRESHOLD, np.float32),
    }
