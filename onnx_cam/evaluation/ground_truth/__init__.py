"""Ground truth: graphs whose region of influence is known by construction, on which methods are checked."""

from __future__ import annotations

from onnx_cam.evaluation.ground_truth.checking import check_methods
from onnx_cam.evaluation.ground_truth.finding import OUTCOMES, Finding
from onnx_cam.evaluation.ground_truth.graphs import GRAPHS, known_graphs
from onnx_cam.evaluation.ground_truth.known_graph import KnownCase, KnownGraph

__all__ = ["GRAPHS", "OUTCOMES", "Finding", "KnownCase", "KnownGraph", "check_methods", "known_graphs"]
