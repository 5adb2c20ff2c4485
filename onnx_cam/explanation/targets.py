"""Which classes are explained: what a user asks for, as positions in the model's output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.labels import fold
from onnx_cam.errors import TargetError
from onnx_cam.methods.contrast import NEXT, Versus

__all__ = [
    "Target",
    "TargetLike",
    "TargetList",
    "TopN",
    "Versus",
    "count_targets",
    "likeliest",
    "read_top_n",
    "resolve_targets",
    "resolve_versus",
    "split_targets",
]

Doubles = NDArray[np.float64]
TargetLike: TypeAlias = int | str
"""An index, a name, or ``topN``."""

TargetList: TypeAlias = "list[int] | list[str] | list[int | str] | tuple[int | str, ...] | NDArray[np.integer]"
"""Several classes."""

TopN: TypeAlias = Literal["top1", "top2", "top3", "top4", "top5", "top6", "top7", "top8", "top9", "top10"]
"""The usual numbers of likeliest classes; any other N works as well."""

_TOP_N = re.compile(r"top([1-9]\d{0,8})")


@dataclass(frozen=True)
class Target:
    """A class of the model, and the image's score for it.

    Attributes
    ----------
    index : int
        The position in the model's output, whatever the labels' offset.
    label : str or None
        The name of the class, where one is known.
    score : float
        The class's probability for the image, in [0, 1]; of a raw head the output's own number.

    Examples
    --------
    >>> str(Target(1, "cat", 0.75))
    'cat (1)'
    """

    index: int
    label: str | None
    score: float

    def __str__(self) -> str:
        return f"{self.label} ({self.index})" if self.label else f"class {self.index}"


def read_top_n(target: object) -> int | None:
    """Return N of ``topN``; None for anything else.

    Examples
    --------
    >>> read_top_n("top3"), read_top_n("tabby")
    (3, None)
    """
    match = _TOP_N.fullmatch(target) if isinstance(target, str) else None
    return int(match[1]) if match else None


def count_targets(target: TargetLike | Sequence[TargetLike] | TargetList | None) -> int:
    """Return how many classes of each image are requested.

    Examples
    --------
    >>> count_targets("top3"), count_targets([281, 282]), count_targets(None)
    (3, 2, 1)
    """
    if isinstance(target, str | bytes | bytearray):
        return read_top_n(target) or 1
    return len(target) if isinstance(target, Sequence | np.ndarray) else 1


def split_targets(names: Sequence[str] | None, text: str) -> str | list[str]:
    """Return a single target, or a list where commas separate several; a name may itself contain commas.

    Examples
    --------
    >>> split_targets(["cat", "dog, hound"], "dog, hound"), split_targets(["cat", "dog, hound"], "cat, dog")
    ('dog, hound', ['cat', 'dog'])
    """
    if "," not in text or fold(text) in map(fold, names or ()):
        return text
    return [part.strip() for part in text.split(",") if part.strip()]


def resolve_targets(
    classifier: Classifier, target: TargetLike | Sequence[TargetLike] | TargetList | None, probabilities: Doubles
) -> tuple[list[int], bool]:
    """Return the positions of the requested classes, and whether the user asked for a single one.

    Parameters
    ----------
    classifier : Classifier
        Knows the names of the classes.
    target : int, str, or sequence of them, optional
        An index, a name, ``topN``, or a list of indices and names; the likeliest class by default.
    probabilities : ndarray of shape (classes,), float64
        The image's scores.

    Raises
    ------
    TargetError
        There is no such class, or more than one of that name.
    """
    if target is None:
        return [int(np.argmax(probabilities))], True
    if (count := read_top_n(target)) is not None:
        if count > classifier.classes:
            raise TargetError(
                f"invalid target {target!r}: {classifier.name} has {classifier.classes} classes; ask for fewer"
            )
        return likeliest(probabilities, count), False
    if isinstance(target, np.ndarray) and target.ndim == 0:
        target = target.item()
    if isinstance(target, str | bytes | bytearray) or not isinstance(target, Sequence | np.ndarray):
        return [_index(classifier, target)], True
    indices = [_index(classifier, one) for one in target]
    if not indices:
        raise TargetError("the list of targets is empty: expected at least one class")
    return list(dict.fromkeys(indices)), False


def resolve_versus(
    classifier: Classifier, versus: Versus | None, targets: Sequence[int], probabilities: Doubles
) -> tuple[list[int], tuple[str, ...]]:
    """Return the class that each target is contrasted with, and what the reader should know; none without a contrast.

    Parameters
    ----------
    classifier : Classifier
        Knows the names of the classes.
    versus : int or str, optional
        An index, a name, or ``"next"``: the likeliest class other than the target.
    targets : sequence of int
        The T classes to explain.
    probabilities : ndarray of shape (classes,), float64
        The image's scores.

    Raises
    ------
    TargetError
        There is no such class, or it is a target itself.
    """
    if versus is None:
        return [], ()
    if len(probabilities) < 2:
        raise TargetError(f"{classifier.name} has a single output, so there is no other class to contrast it with")
    if versus != NEXT:
        other = _index(classifier, versus)
        if other in targets:
            raise TargetError(
                f"versus names class {other}, which is the target itself: expected another class, or versus=next"
            )
        return [other] * len(targets), ()
    ranked = likeliest(probabilities, len(probabilities))
    nexts = [next(index for index in ranked if index != target) for target in targets]
    tied = [index for index in nexts if _is_tied(index, targets, probabilities)]
    notes = [
        f"several classes score {probabilities[index]:g} after the target, and class {index} was taken as the next; "
        "name the class to contrast with"
        for index in dict.fromkeys(tied)
    ]
    return nexts, tuple(notes)


def likeliest(probabilities: Doubles, count: int) -> list[int]:
    """Return the positions of the highest probabilities, the highest first.

    Examples
    --------
    >>> likeliest(np.array([0.1, 0.7, 0.2]), 2)
    [1, 2]
    """
    return [int(index) for index in np.argsort(-probabilities, kind="stable")[:count]]


def _is_tied(index: int, targets: Sequence[int], probabilities: Doubles) -> bool:
    """Tell whether a third class is as likely as one that is the likeliest after a target."""
    rivals = np.flatnonzero(probabilities == probabilities[index])
    return len(set(rivals.tolist()) - {index, *targets}) > 0


def _index(classifier: Classifier, target: object) -> int:
    if isinstance(target, bool) or not isinstance(target, str | int | np.integer):
        raise TargetError(f"invalid target {target!r}: expected an index, a name, topN, or a list of indices and names")
    return classifier.labels.index(target if isinstance(target, str) else int(target))
