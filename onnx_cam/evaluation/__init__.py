"""The papers' evaluation: datasets, runs that resume, tables, reports."""

from __future__ import annotations

from onnx_cam.evaluation.report import write_report
from onnx_cam.evaluation.results.evaluation import Evaluation, read_evaluation
from onnx_cam.evaluation.results.summary import summarise
from onnx_cam.evaluation.run import evaluate
from onnx_cam.evaluation.verdict.judgement import judge_metrics

__all__ = ["Evaluation", "evaluate", "judge_metrics", "read_evaluation", "summarise", "write_report"]
