"""How far reviewers agree, and how far they would by chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Agreement", "agreement"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """The agreement of reviewers.

    Attributes
    ----------
    overlap : float
        What two reviewers' answers for an image have in common, in [0, 1]: the mean over pairs, then over images.
    by_chance : float
        The same of any two answers, whatever their images.
    kappa : float or None
        ``(overlap − by_chance) / (1 − by_chance)``: 1 is full agreement, 0 what chance gives. None where all answers
        are the same. For single answers, as many for each image, it is Fleiss' κ.
    images : int
        Those that two reviewers or more have answered; no others count here.
    """

    overlap: float
    by_chance: float
    kappa: float | None
    images: int

    def describe(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def agreement(answers: Iterable[Sequence[Floats]]) -> Agreement | None:
    """Return how far the answers for the same image agree; None where no image has two.

    Two answers have ``Σ_j min(a_j, b_j)`` in common: 1 where they are the same, 0 where they share nothing.

    Parameters
    ----------
    answers : iterable of sequence of ndarray of shape (categories,)
        Each image's answers: what each gives to each category, 1 in all.

    References
    ----------
    Fleiss, *Measuring nominal scale agreement among many raters*, Psychological Bulletin 76 (1971).
    """
    several = [np.array(image) for image in answers if len(image) > 1]  # (reviewers, categories) each
    if not several:
        return None
    overlap = float(np.mean([_pairs_overlap(image) for image in several]))
    by_chance = _chance_overlap(np.concatenate(several))
    sure = 1 - by_chance > 1e-12
    return Agreement(overlap, by_chance, (overlap - by_chance) / (1 - by_chance) if sure else None, len(several))


def _pairs_overlap(answers: Floats) -> float:
    pairs = [np.minimum(answers[i], answers[i + 1 :]).sum(axis=1) for i in range(len(answers) - 1)]
    return float(np.concatenate(pairs).mean())


def _chance_overlap(answers: Floats) -> float:
    """Return the mean overlap of all pairs, each answer with itself too: for single answers Σ p²."""
    kinds, counts = np.unique(answers, axis=0, return_counts=True)
    shares = counts / counts.sum()
    return float(
        sum(share * (np.minimum(kind, kinds).sum(axis=1) @ shares) for kind, share in zip(kinds, shares, strict=True))
    )
