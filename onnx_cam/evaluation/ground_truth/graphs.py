"""The graphs of the ground truth, in one list."""

from __future__ import annotations

from onnx_cam.evaluation.ground_truth.bypass import bypassed_layer
from onnx_cam.evaluation.ground_truth.constant import constant_scores
from onnx_cam.evaluation.ground_truth.known_graph import KnownGraph
from onnx_cam.evaluation.ground_truth.pattern import pattern_anywhere
from onnx_cam.evaluation.ground_truth.windows import one_window, two_windows

__all__ = ["GRAPHS", "known_graphs"]

GRAPHS = ("one window", "two windows", "pattern", "constant", "bypass")
"""The names of the graphs, in the order of the tables."""


def known_graphs() -> tuple[KnownGraph, ...]:
    """Return the graphs whose region of influence is known, in the order of `GRAPHS`.

    Examples
    --------
    >>> [graph.can_be_found for graph in known_graphs()]
    [True, True, True, False, False]
    """
    return (one_window(), two_windows(), pattern_anywhere(), constant_scores(), bypassed_layer())
