"""A graph whose class reads the image on a branch around the layer."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from onnx_cam.evaluation.ground_truth.known_graph import (
    CLASSES,
    KnownCase,
    KnownGraph,
    build,
    linear_head,
    pooled_weight,
)
from onnx_cam.evaluation.ground_truth.patterns import COLUMNS, FLAT, ROWS, cells_of, picture, pixels_of

__all__ = ["bypassed_layer"]

_WINDOW = (5, 3)
_BRIGHTNESS = 7.0  # the logit of a flat patch: a little more than the evidence for the two other classes


def bypassed_layer() -> KnownGraph:
    """Return a graph whose class 0 reads the brightness of a window of the image, on a branch around the layer.

    The layer's detectors do not respond to a flat patch, and what they respond to speaks for the classes 1 and 2. So no
    sum of its activation maps, with whatever weights, can show the window.
    """
    return KnownGraph(
        name="bypass",
        description="the class reads the image on a branch around the layer, which does not see what it reads",
        proto=build([*linear_head(pooled=True, output="from_layer"), *_branch()], _weights()),
        cases=(KnownCase(picture({(1, 1): COLUMNS, (1, 5): ROWS, _WINDOW: FLAT}), 0, cells_of(), equal_share=0.0),),
    )


def _branch() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Slice", ["image", "starts", "ends", "axes"], ["window"], name="Window"),
        helper.make_node("GlobalAveragePool", ["window"], ["colors"], name="Brightness"),
        helper.make_node("Flatten", ["colors"], ["brightness"], name="Flatten_brightness"),
        helper.make_node("Gemm", ["brightness", "branch_w"], ["from_branch"], name="Classify_brightness", transB=1),
        helper.make_node("Add", ["from_layer", "from_branch"], ["logits"], name="Add"),
    ]


def _weights() -> dict[str, np.ndarray]:
    rows, columns = pixels_of(_WINDOW)
    branch = np.zeros((CLASSES, 3), np.float32)
    branch[0] = _BRIGHTNESS / 3
    return {
        "w": pooled_weight({1: COLUMNS, 2: ROWS}),
        "b": np.zeros(CLASSES, np.float32),
        "starts": np.array([rows.start, columns.start]),
        "ends": np.array([rows.stop, columns.stop]),
        "axes": np.array([2, 3]),
        "branch_w": branch,
    }
