"""Which classes' scores a map needs, and how they become the score of each target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.runtime.scores import RESOLUTION, ScoreKind

__all__ = ["VANISHING", "ScoredClasses"]

Doubles = NDArray[np.float64]

VANISHING = 1e-6
"""ε, which keeps the share of two probabilities at 1/2 where both vanish."""


@dataclass(frozen=True)
class ScoredClasses:
    """The classes whose scores are kept: those of T targets, and those that the targets are contrasted with.

    Attributes
    ----------
    targets : sequence of int
        The T classes to explain.
    versus : sequence of int
        The class that each target is contrasted with; empty where a target's own score is explained.

    References
    ----------
    METHODS.md, "Contrast".

    Examples
    --------
    >>> classes = ScoredClasses([4, 7], versus=[7, 2])
    >>> classes.distinct
    [4, 7, 2]
    >>> classes.combine(np.array([3.0, 1.0, 0.5]), "logit")
    array([2. , 0.5])
    """

    targets: Sequence[int]
    versus: Sequence[int] = ()

    @cached_property
    def distinct(self) -> list[int]:
        """The classes whose scores are needed; the targets themselves where there is no contrast."""
        return list(dict.fromkeys([*self.targets, *self.versus])) if self.versus else list(self.targets)

    def combine(self, scores: Doubles, score_kind: ScoreKind) -> Doubles:
        """Return the score of each target, (…, T), from those of the distinct classes, (…, n).

        The contrast score is the difference of two logits, ``Y^A − Y^B``, or the share of two probabilities,
        ``(f^A + ε) / (f^A + f^B + 2ε)`` with ε = 1e-6.
        """
        if not self.versus:
            return scores
        own, other = self._pairs(scores)
        return own - other if score_kind == "logit" else (own + VANISHING) / (own + other + 2 * VANISHING)

    def logit_sums(self, classes: int) -> Doubles:
        """Return the sum of logits that is explained for each target, (T, classes): ``Y^A``, or ``Y^A − Y^B``.

        Examples
        --------
        >>> ScoredClasses([0], versus=[2]).logit_sums(classes=3)
        array([[ 1.,  0., -1.]])
        """
        rows = np.arange(len(self.targets))
        sums = np.zeros((len(rows), classes))
        sums[rows, self.targets] = 1
        if self.versus:
            sums[rows, self.versus] = -1
        return sums

    def highest_pair(self, scores: Doubles) -> float:
        """Return the most that both probabilities of a contrast sum to, of scores (…, n) of the distinct classes."""
        return float(np.max(sum(self._pairs(scores)), initial=0.0))

    def resolution(self, scores: Doubles, score_kind: ScoreKind) -> Doubles:
        """Return the least difference between contrast scores that a network in float32 can tell, (T,).

        A contrast is as precise as the two scores that it is made of, however small it is itself.
        """
        own, other = (np.abs(one).reshape(-1, len(self.targets)) for one in self._pairs(scores))
        if score_kind == "logit":
            return np.asarray(RESOLUTION * np.maximum(own, other).max(axis=0, initial=0.0))
        return np.full(len(self.targets), RESOLUTION)

    def _pairs(self, scores: Doubles) -> tuple[Doubles, Doubles]:
        """Return the scores of the targets and of the classes that they are contrasted with, (…, T) each."""
        place = {index: i for i, index in enumerate(self.distinct)}
        return scores[..., [place[a] for a in self.targets]], scores[..., [place[b] for b in self.versus]]
