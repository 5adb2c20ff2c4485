"""Which maps people trust: a page for the blind review of a run's maps, and the score of the answers."""

from __future__ import annotations

from onnx_cam.evaluation.survey.agreement import Agreement
from onnx_cam.evaluation.survey.make import Survey, make_survey
from onnx_cam.evaluation.survey.score import SurveyScore, score_survey

__all__ = ["Agreement", "Survey", "SurveyScore", "make_survey", "score_survey"]
