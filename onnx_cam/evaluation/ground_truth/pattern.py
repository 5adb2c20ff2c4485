"""A graph whose class depends on a pattern, wherever it stands."""

from __future__ import annotations

import numpy as np

from onnx_cam.evaluation.ground_truth.known_graph import (
    CLASSES,
    KnownCase,
    KnownGraph,
    build,
    linear_head,
    pooled_weight,
)
from onnx_cam.evaluation.ground_truth.patterns import CHECKERS, COLUMNS, ROWS, cells_of, picture

__all__ = ["pattern_anywhere"]

_CORNERS = ((1, 1), (5, 5))
_OTHER_CORNERS = ((1, 5), (5, 1))


def pattern_anywhere() -> KnownGraph:
    """Return a graph whose classes read one pattern each, behind global average pooling.

    The pattern of class 0 stands in two corners of one image, and in the two other corners of a second image.
    """
    weights = {"w": pooled_weight({0: COLUMNS, 1: ROWS, 2: CHECKERS}, patches=2), "b": np.zeros(CLASSES, np.float32)}
    return KnownGraph(
        name="pattern",
        description="the class depends on a pattern wherever it stands, behind global average pooling",
        proto=build(linear_head(pooled=True), weights),
        cases=(_case(_CORNERS, _OTHER_CORNERS), _case(_OTHER_CORNERS, _CORNERS)),
    )


def _case(places: tuple[tuple[int, int], ...], others: tuple[tuple[int, int], ...]) -> KnownCase:
    patches = {**dict.fromkeys(places, COLUMNS), **dict(zip(others, (ROWS, CHECKERS), strict=True))}
    return KnownCase(picture(patches), 0, cells_of(*places), equal_share=len(places) / len(patches))
