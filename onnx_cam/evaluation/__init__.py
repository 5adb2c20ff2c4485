"""The papers' evaluation: datasets, runs that resume, tables, reports."""

from __future__ import annotations

from onnx_cam.evaluation.finished import Evaluation, read_evaluation
from onnx_cam.evaluation.report import write_report
from onnx_cam.evaluation.run import evaluate
from onnx_cam.evaluation.summary import summarise

__all__ = ["Evaluation", "evaluate", "read_evaluation", "summarise", "write_report"]
