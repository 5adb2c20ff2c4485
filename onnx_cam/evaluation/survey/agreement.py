"""How much reviewers agree, and how much they would agree by chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Agreement", "agreement"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """The agreement of reviewers.

    Attributes
    ----------
    overlap : float
        How much of two reviewers' answers to the same image is the same, in [0, 1]: the mean over pairs of answers,
        then over images.
    by_chance : float
        The overlap of any two answers, whatever their images.
    kappa : float or None
        ``(overlap − by_chance) / (1 − by_chance)``: 1 is full agreement, 0 is what chance gives. None where all answers
        are the same. It is Fleiss' κ if each answer is a single map and each image has the same number of answers.
    images : int
        The images with two answers or more. Others do not count.

    Examples
    --------
    >>> Agreement(overlap=0.7, by_chance=0.4, kappa=0.5, images=20).describe()
    {'overlap': 0.7, 'by_chance': 0.4, 'kappa': 0.5, 'images': 20}
    """

    overlap: float
    by_chance: float
    kappa: float | None
    images: int

    def describe(self) -> dict[str, float | int | None]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def agreement(answers: Iterable[Sequence[Doubles]]) -> Agreement | None:
    """Return how much the answers to the same image agree; None where no image has two answers.

    The overlap of two answers a and b is ``Σ_j min(a_j, b_j)``: 1 where they are the same, 0 where they have nothing in
    common.

    Parameters
    ----------
    answers : iterable of sequence of ndarray of shape (categories,), float64
        Each image's answers: the weight of each category, with a sum of 1.

    References
    ----------
    Fleiss, *Measuring nominal scale agreement among many raters*, Psychological Bulletin 76 (1971).

    Examples
    --------
    >>> first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    >>> agreement([[first, first], [second, second]]).kappa
    1.0
    """
    images = [np.array(image) for image in answers if len(image) > 1]  # (reviewers, categories) each
    if not images:
        return None
    overlap = float(np.mean([_pairs_overlap(image) for image in images]))
    by_chance = _chance_overlap(np.concatenate(images))
    is_defined = 1 - by_chance > 1e-12
    kappa = (overlap - by_chance) / (1 - by_chance) if is_defined else None
    return Agreement(overlap, by_chance, kappa, len(images))


def _pairs_overlap(answers: Doubles) -> float:
    pairs = [np.minimum(answers[i], answers[i + 1 :]).sum(axis=1) for i in range(len(answers) - 1)]
    return float(np.concatenate(pairs).mean())


def _chance_overlap(answers: Doubles) -> float:
    """Return the mean overlap of all pairs of answers, each answer with itself included: for single answers Σ p²."""
    distinct, counts = np.unique(answers, axis=0, return_counts=True)
    shares = counts / counts.sum()
    overlaps = [np.minimum(answer, distinct).sum(axis=1) @ shares for answer in distinct]
    return float(sum(share * overlap for share, overlap in zip(shares, overlaps, strict=True)))
