"""Reviewers' answers, as the page saves them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_cam.errors import AnswersError, one_line, one_line_text
from onnx_cam.evaluation.survey.key import NOT_SURE, VERSION, Key

__all__ = ["Answers", "read_answers"]

_MAX_BYTES = 1_000_000
_MAX_NAME = 200


@dataclass(frozen=True)
class Answers:
    """A reviewer's answers.

    Attributes
    ----------
    reviewer : str
    chosen : mapping of str to tuple of str
        By the item's number: the letters that were ticked; none for "not sure".
    """

    reviewer: str
    chosen: Mapping[str, tuple[str, ...]]


def read_answers(paths: Iterable[str | Path], key: Key) -> list[Answers]:
    """Read files of answers, one a reviewer.

    Raises
    ------
    AnswersError
        One is missing, damaged, of another survey or empty, or two are of the same reviewer.
    """
    read: list[Answers] = []
    by_name: dict[str, Path] = {}
    for path in map(Path, paths):
        answers = _read(path, key)
        name = unicodedata.normalize("NFKC", answers.reviewer).strip().casefold()
        if name in by_name:
            raise AnswersError(
                f"'{path}' and '{by_name[name]}' are both of the reviewer {answers.reviewer!r}; expected one file a "
                "reviewer: leave one out"
            )
        by_name[name] = path
        read.append(answers)
    if not read:
        raise AnswersError("no answers; expected a JSON file that the survey's page saved, for each reviewer")
    return read


def _read(path: Path, key: Key) -> Answers:
    content = _load(path)
    problem = _problem(content, key)
    if problem:
        raise AnswersError(f"'{path}' {problem}")
    chosen = {item: () if letters == [NOT_SURE] else tuple(letters) for item, letters in content["answers"].items()}
    return Answers(one_line_text(content["reviewer"]), chosen)


def _load(path: Path) -> Any:
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AnswersError(f"cannot read '{path}': {reason}; expected a file that the survey's page saved") from error
    if len(content) > _MAX_BYTES:
        raise AnswersError(f"'{path}' has more than {_MAX_BYTES} bytes; expected a file that the survey's page saved")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswersError(
            f"'{path}' is no JSON ({one_line(error, 80)}); ask the reviewer to save the answers again"
        ) from error


def _problem(content: Any, key: Key) -> str | None:
    """Return what is wrong with a file's content."""
    if not isinstance(content, dict) or not {"version", "survey", "reviewer", "answers"} <= content.keys():
        return "is no file of answers; expected version, survey, reviewer and answers, as the survey's page saves them"
    if content["survey"] != key.survey:
        given = one_line_text(str(content["survey"]))[:40]
        return f"is of the survey {given}; this one is {key.survey}: score it with the folder of its own survey"
    if content["version"] != VERSION:
        given = one_line_text(str(content["version"]))[:40]
        return f"has the version {given}; this onnx-cam reads {VERSION}"
    reviewer, answers = content["reviewer"], content["answers"]
    if not isinstance(reviewer, str) or not one_line_text(reviewer) or len(reviewer) > _MAX_NAME:
        return f"names no reviewer; expected a text of 1 to {_MAX_NAME} characters"
    if not isinstance(answers, dict) or not answers:
        return "holds no answers; expected one or more: leave it out"
    problems = (_answer_problem(item, letters, key) for item, letters in answers.items())
    return next(filter(None, problems), None)


def _answer_problem(item: str, letters: Any, key: Key) -> str | None:
    if item not in key.items:
        return f"has an answer for image {one_line_text(item)[:40]!r}; the survey has 1 to {len(key.items)}"
    known = set(key.items[item].maps)
    if letters == [NOT_SURE]:
        return None
    right = isinstance(letters, list) and letters and all(isinstance(letter, str) for letter in letters)
    if right and set(letters) <= known and len(set(letters)) == len(letters):
        return None
    given = one_line_text(json.dumps(letters))[:60]
    return (
        f'answers {given} for image {item}; expected some of {", ".join(sorted(known))}, each once, or ["{NOT_SURE}"]'
    )
