"""Reviewers' answers, read from the files that the page saves."""

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
        The name or code that the reviewer gave.
    letters : mapping of str to tuple of str
        The letters of the maps that were ticked, by the number of the image; empty for "not sure".

    Examples
    --------
    >>> Answers("Ada", {"1": ("A", "C"), "2": ()}).letters["1"]
    ('A', 'C')
    """

    reviewer: str
    letters: Mapping[str, tuple[str, ...]]


def read_answers(paths: Iterable[str | Path], key: Key) -> list[Answers]:
    """Read files of answers, one for each reviewer.

    Parameters
    ----------
    paths : iterable of str or Path
    key : Key
        The key of the survey.

    Raises
    ------
    AnswersError
        A file is missing, damaged, empty or belongs to another survey, or two files are by the same reviewer.

    Examples
    --------
    >>> import json
    >>> from onnx_cam.evaluation.survey.key import Item
    >>> key = Key("f4", 0, {"cam": "", "equal": ""}, {"1": Item("a.jpg", "", "cat", {"A": ("cam",), "B": ("equal",)})})
    >>> content = {"version": VERSION, "survey": "f4", "reviewer": "Ada", "answers": {"1": ["A"]}}
    >>> _ = Path("ada.json").write_text(json.dumps(content))
    >>> read_answers(["ada.json"], key)
    [Answers(reviewer='Ada', letters={'1': ('A',)})]
    """
    all_answers: list[Answers] = []
    by_name: dict[str, Path] = {}
    for path in map(Path, paths):
        answers = _read(path, key)
        name = unicodedata.normalize("NFKC", answers.reviewer).strip().casefold()
        if name in by_name:
            raise AnswersError(
                f"'{path}' and '{by_name[name]}' are both by the reviewer {answers.reviewer!r}; "
                "give one file for each reviewer"
            )
        by_name[name] = path
        all_answers.append(answers)
    if not all_answers:
        raise AnswersError("no answers; expected the JSON file that the survey's page saved, for each reviewer")
    return all_answers


def _read(path: Path, key: Key) -> Answers:
    content = _load(path)
    problem = _problem(content, key)
    if problem:
        raise AnswersError(f"'{path}' {problem}")
    letters = {item: () if ticked == [NOT_SURE] else tuple(ticked) for item, ticked in content["answers"].items()}
    return Answers(one_line_text(content["reviewer"]), letters)


def _load(path: Path) -> Any:
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AnswersError(f"cannot read '{path}': {reason}; expected a file that the survey's page saved") from error
    if len(content) > _MAX_BYTES:
        raise AnswersError(f"'{path}' is larger than {_MAX_BYTES} bytes; expected a file that the survey's page saved")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswersError(
            f"'{path}' is not valid JSON ({one_line(error, 80)}); ask the reviewer to save the answers again"
        ) from error


def _problem(content: object, key: Key) -> str | None:
    """Return what is wrong with a file's content."""
    if not isinstance(content, dict) or not {"version", "survey", "reviewer", "answers"} <= content.keys():
        return "is not a file of answers; expected version, survey, reviewer and answers, as saved by the page"
    if content["survey"] != key.survey:
        given = one_line_text(str(content["survey"]))[:40]
        return f"belongs to the survey {given}, not to {key.survey}; score it with the folder of its own survey"
    if content["version"] != VERSION:
        given = one_line_text(str(content["version"]))[:40]
        return f"has version {given}, expected {VERSION}; use the onnx-cam that made the survey"
    reviewer, answers = content["reviewer"], content["answers"]
    if not isinstance(reviewer, str) or not one_line_text(reviewer) or len(reviewer) > _MAX_NAME:
        return f"does not name a reviewer; expected a text of 1 to {_MAX_NAME} characters"
    if not isinstance(answers, dict) or not answers:
        return "holds no answers; leave it out"
    problems = (_answer_problem(item, letters, key) for item, letters in answers.items())
    return next(filter(None, problems), None)


def _answer_problem(item: str, letters: object, key: Key) -> str | None:
    if item not in key.items:
        return f"has an answer for image {one_line_text(item)[:40]!r}; expected images 1 to {len(key.items)}"
    shown = set(key.items[item].maps)
    if letters == [NOT_SURE]:
        return None
    if isinstance(letters, list) and letters and all(isinstance(letter, str) for letter in letters):
        distinct = set(letters)
        if distinct <= shown and len(distinct) == len(letters):
            return None
    given = one_line_text(json.dumps(letters))[:60]
    return (
        f'answers {given} for image {item}; expected some of {", ".join(sorted(shown))}, each once, or ["{NOT_SURE}"]'
    )
