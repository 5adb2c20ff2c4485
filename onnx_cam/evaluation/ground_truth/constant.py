"""A graph whose scores do not depend on the image."""

from __future__ import annotations

import numpy as np

from onnx_cam.evaluation.ground_truth.known_graph import CLASSES, KnownCase, KnownGraph, build, linear_head
from onnx_cam.evaluation.ground_truth.patterns import CHANNELS, CHECKERS, COLUMNS, ROWS, cells_of, picture

__all__ = ["constant_scores"]


def constant_scores() -> KnownGraph:
    """Return a graph whose linear layer has weights of 0, so that its scores are those of its bias for every image."""
    bias = np.zeros(CLASSES, np.float32)
    bias[0] = 1
    image = picture({(1, 1): COLUMNS, (1, 5): ROWS, (5, 3): CHECKERS})
    return KnownGraph(
        name="constant",
        description="the scores do not depend on the image: there is nothing to find",
        proto=build(linear_head(pooled=True), {"w": np.zeros((CLASSES, len(CHANNELS)), np.float32), "b": bias}),
        cases=(KnownCase(image, 0, cells_of(), equal_share=0.0),),
    )
