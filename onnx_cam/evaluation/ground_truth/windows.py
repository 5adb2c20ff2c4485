"""Graphs whose classes read windows of the layer: one window with all its channels, and two windows of two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.evaluation.ground_truth.known_graph import (
    CLASSES,
    EVIDENCE,
    KnownCase,
    KnownGraph,
    build,
    linear_head,
)
from onnx_cam.evaluation.ground_truth.patterns import (
    CHANNELS,
    CHECKERS,
    COLUMNS,
    LEVEL,
    PATCH_CELLS,
    ROWS,
    cells_of,
    picture,
)

__all__ = ["one_window", "two_windows"]

_LEFT, _RIGHT, _BELOW = (1, 1), (1, 5), (5, 3)
_PATCHES = {_LEFT: COLUMNS, _RIGHT: ROWS, _BELOW: CHECKERS}


def one_window() -> KnownGraph:
    """Return a graph whose class 0 reads one window, and every channel in it alike.

    A different pattern stands in the window and in two places outside it, so that a method that weighs channels can
    find the window; but only the place tells the channels apart.
    """
    return KnownGraph(
        name="one window",
        description="the class reads one window, every channel in it alike; other patterns stand elsewhere",
        proto=_windows({0: (_LEFT, CHANNELS)}),
        cases=(_case(0, _LEFT),),
    )


def two_windows() -> KnownGraph:
    """Return a graph whose classes 0 and 1 each read one pattern in a window of their own.

    Both patterns stand in the image: a map that does not depend on the class shows both windows.
    """
    return KnownGraph(
        name="two windows",
        description="two classes read a window each; the map of each class must show its own",
        proto=_windows({0: (_LEFT, [COLUMNS]), 1: (_RIGHT, [ROWS])}),
        cases=(_case(0, _LEFT), _case(1, _RIGHT)),
    )


def _case(target: int, place: tuple[int, int]) -> KnownCase:
    return KnownCase(picture(_PATCHES), target, cells_of(place), equal_share=1 / len(_PATCHES))


def _windows(readers: Mapping[int, tuple[tuple[int, int], Sequence[str]]]) -> onnx.ModelProto:
    """Return a graph from the place and the patterns that each class reads."""
    weight: NDArray[np.float32] = np.zeros((CLASSES, *(len(CHANNELS), *cells_of().shape)), np.float32)  # (10, 3, 8, 8)
    for target, (place, patterns) in readers.items():
        for pattern in patterns:
            weight[target, CHANNELS.index(pattern), cells_of(place)] = EVIDENCE / (PATCH_CELLS * LEVEL)
    bias = np.zeros(CLASSES, np.float32)
    return build(linear_head(pooled=False), {"w": weight.reshape(CLASSES, -1), "b": bias})
