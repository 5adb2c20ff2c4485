"""What reviewers' answers say of the methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.evaluation.survey.agreement import Agreement, agreement
from onnx_cam.evaluation.survey.answers import Answers, read_answers
from onnx_cam.evaluation.survey.key import Key, read_key
from onnx_cam.metrics.interval import Interval, ratio_interval

__all__ = ["ReviewerScore", "SurveyScore", "score_survey"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReviewerScore:
    """What one reviewer's answers say.

    Attributes
    ----------
    name : str
    answered, unanswered : int
        Images.
    not_sure : float
        Share of the answers.
    shares : mapping of str to float
        Each method's share of the answers.
    """

    name: str
    answered: int
    unanswered: int
    not_sure: float
    shares: Mapping[str, float]

    def describe(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {**vars(self), "shares": dict(self.shares)}


@dataclass(frozen=True)
class SurveyScore:
    """What a survey found.

    An answer is one reviewer's for one image, and weighs 1: where k methods' maps were ticked, 1/k goes to each. The
    intervals are over images, all answers for an image together.

    Attributes
    ----------
    survey : str
        The survey's id.
    images : int
        In the survey.
    reviewers : tuple of ReviewerScore
    answers, unanswered : int
        Over all reviewers.
    shares : mapping of str to Interval
        Each method's share of all answers, in [0, 1], as the papers give it: with `not_sure` they add up to 1.
    not_sure : Interval
        The share of answers that are "not sure".
    sure_shares : mapping of str to Interval
        Each method's share of the answers that are not "not sure": they add up to 1.
    agreement : Agreement or None
        None where no image has two answers.
    left_out : mapping of str to int
        Images that were drawn for the survey and not shown.
    alike : int
        Images where some methods' maps look the same, and share what the map gets.
    """

    survey: str
    images: int
    reviewers: tuple[ReviewerScore, ...]
    answers: int
    unanswered: int
    shares: Mapping[str, Interval]
    not_sure: Interval
    sure_shares: Mapping[str, Interval]
    agreement: Agreement | None
    left_out: Mapping[str, int]
    alike: int

    def describe(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            **vars(self),
            "reviewers": [reviewer.describe() for reviewer in self.reviewers],
            "shares": {name: share.describe() for name, share in self.shares.items()},
            "not_sure": self.not_sure.describe(),
            "sure_shares": {name: share.describe() for name, share in self.sure_shares.items()},
            "agreement": self.agreement.describe() if self.agreement else None,
            "left_out": dict(self.left_out),
        }


def score_survey(folder: str | Path, answer_files: Iterable[str | Path]) -> SurveyScore:
    """Score reviewers' answers.

    Parameters
    ----------
    folder : str or Path
        Where the survey was written, with its key.
    answer_files : iterable of str or Path
        What the page saved, a file for each reviewer.

    Raises
    ------
    OutputError
        There is no survey, or its key is damaged.
    AnswersError
        A file is missing, damaged, of another survey or empty, or two are of the same reviewer.
    """
    key = read_key(folder)
    reviewers = read_answers(answer_files, key)
    weights = [
        np.array([_weights(reviewer.chosen[item], key, item) for reviewer in reviewers if item in reviewer.chosen])
        for item in key.items
    ]
    answered = [image for image in weights if len(image)]  # (answers, methods + 1) each
    counts = np.array([float(len(image)) for image in answered])
    sums = np.array([image.sum(axis=0) for image in answered])  # (images, methods + 1)
    sure = counts - sums[:, -1]
    total = int(counts.sum())
    return SurveyScore(
        key.survey,
        len(key.items),
        tuple(_reviewer(reviewer, key) for reviewer in reviewers),
        total,
        len(reviewers) * len(key.items) - total,
        {name: ratio_interval(sums[:, column], counts) for column, name in enumerate(key.methods)},
        ratio_interval(sums[:, -1], counts),
        {name: ratio_interval(sums[:, column], sure) for column, name in enumerate(key.methods)},
        agreement(list(image) for image in answered),
        key.left_out,
        key.alike,
    )


def _weights(letters: Sequence[str], key: Key, item: str) -> Floats:
    """Return what an answer gives to each method, and last to "not sure": 1 in all."""
    ticked = {name for letter in letters for name in key.items[item].maps[letter]}
    weights = np.array([*(name in ticked for name in key.methods), not ticked], np.float64)
    weights /= weights.sum()
    return weights


def _reviewer(reviewer: Answers, key: Key) -> ReviewerScore:
    shares = np.mean([_weights(letters, key, item) for item, letters in reviewer.chosen.items()], axis=0)
    answered = len(reviewer.chosen)
    named = {name: float(share) for name, share in zip(key.methods, shares, strict=False)}
    return ReviewerScore(reviewer.reviewer, answered, len(key.items) - answered, float(shares[-1]), named)
