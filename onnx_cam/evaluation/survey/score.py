"""The score of a survey: how often reviewers chose each method's map."""

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

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class ReviewerScore:
    """The score of one reviewer's answers.

    Attributes
    ----------
    name : str
    answered, unanswered : int
        Images with and without an answer.
    not_sure : float
        The share of the answers that are "not sure", in [0, 1].
    shares : mapping of str to float
        Each method's share of the answers, in [0, 1].

    Examples
    --------
    >>> ReviewerScore("Ada", 10, 2, 0.1, {"scorecam": 0.3, "sscam2": 0.6}).describe()["shares"]["sscam2"]
    0.6
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
    """The score of a survey.

    An answer is that of one reviewer to one image. It has a weight of 1: where the maps of k methods were ticked, each
    method gets 1/k. The intervals are bootstraps over images, where all answers to an image are drawn together.

    Attributes
    ----------
    survey : str
        The survey's id.
    images : int
        Images in the survey.
    reviewers : tuple of ReviewerScore
    answers, unanswered : int
        Answers that were given and that are missing, over all reviewers.
    shares : mapping of str to Interval
        Each method's share of all answers, in [0, 1], which is the papers' figure. With `not_sure` they add up to 1.
    not_sure : Interval
        The share of answers that are "not sure".
    sure_shares : mapping of str to Interval
        Each method's share of the answers without those that are "not sure". They add up to 1.
    agreement : Agreement or None
        How much the reviewers agree; None where no image has two answers.
    left_out : mapping of str to int
        Why images that were drawn are not in the survey, and how many there are for each reason.
    alike : int
        Images for which several methods' maps look the same; these methods share what the map gets.

    Examples
    --------
    >>> share = Interval(0.5, 0.4, 0.6, 20)
    >>> SurveyScore("f4", 20, (), 40, 0, {"cam": share}, share, {"cam": share}, None, {}, 0).describe()["answers"]
    40
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
        The survey's folder, with its key.
    answer_files : iterable of str or Path
        The files that the page saved, one for each reviewer.

    Returns
    -------
    SurveyScore

    Raises
    ------
    OutputError
        There is no survey, or its key is damaged.
    AnswersError
        A file is missing, damaged, empty or belongs to another survey, or two files are by the same reviewer.

    Examples
    --------
    >>> import json
    >>> from onnx_cam.evaluation.survey.key import Item
    >>> item = Item("cat.jpg", "ab12", "cat", {"A": ("sscam2",), "B": ("cam",)})
    >>> _ = Path("key.json").write_bytes(Key("f4", 7, {"sscam2": "", "cam": ""}, {"1": item}).as_json())
    >>> content = {"version": 1, "survey": "f4", "reviewer": "Ada", "answers": {"1": ["A"]}}
    >>> _ = Path("ada.json").write_text(json.dumps(content))
    >>> score_survey(".", ["ada.json"]).shares["sscam2"].value
    1.0
    """
    key = read_key(folder)
    reviewers = read_answers(answer_files, key)
    # What each answer to an image gives to each method and, in the last column, to "not sure".
    weights = [
        np.array([_weights(reviewer.letters[item], key, item) for reviewer in reviewers if item in reviewer.letters])
        for item in key.items
    ]
    answered = [image for image in weights if len(image)]  # (answers, methods + 1) for each image with an answer
    # A share is a sum over images divided by a number of answers; the bootstrap draws images, and with each of them all
    # its answers.
    counts = np.array([float(len(image)) for image in answered])  # (images,)
    sums = np.array([image.sum(axis=0) for image in answered])  # (images, methods + 1)
    sure = counts - sums[:, -1]  # (images,) answers without "not sure"
    total = int(counts.sum())
    return SurveyScore(
        survey=key.survey,
        images=len(key.items),
        reviewers=tuple(_reviewer(reviewer, key) for reviewer in reviewers),
        answers=total,
        unanswered=len(reviewers) * len(key.items) - total,
        shares={name: ratio_interval(sums[:, column], counts) for column, name in enumerate(key.methods)},
        not_sure=ratio_interval(sums[:, -1], counts),
        sure_shares={name: ratio_interval(sums[:, column], sure) for column, name in enumerate(key.methods)},
        agreement=agreement(list(image) for image in answered),
        left_out=key.left_out,
        alike=key.alike,
    )


def _weights(letters: Sequence[str], key: Key, item: str) -> Doubles:
    """Return what an answer gives to each method and to "not sure", (methods + 1,), with a sum of 1."""
    ticked = {name for letter in letters for name in key.items[item].maps[letter]}
    weights = np.array([*(name in ticked for name in key.methods), not ticked], np.float64)
    weights /= weights.sum()
    return weights


def _reviewer(reviewer: Answers, key: Key) -> ReviewerScore:
    shares = np.mean([_weights(letters, key, item) for item, letters in reviewer.letters.items()], axis=0)
    answered = len(reviewer.letters)
    return ReviewerScore(
        name=reviewer.reviewer,
        answered=answered,
        unanswered=len(key.items) - answered,
        not_sure=float(shares[-1]),
        shares={name: float(share) for name, share in zip(key.methods, shares, strict=False)},
    )
