"""What a method finds on a graph whose region of influence is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.evaluation.ground_truth.known_graph import KnownCase, KnownGraph

__all__ = ["OUTCOMES", "Finding", "Outcome", "judge", "share_in_region"]

Outcome = Literal["finds", "misses", "empty", "invents", "undefined"]

OUTCOMES: dict[Outcome, str] = {
    "finds": "in every image and class, at most half as much of the map lies outside the region as with equal weights",
    "misses": "in an image or a class, more of the map lies outside the region",
    "empty": "the map is zero, which is right where a map cannot show what the score depends on",
    "invents": "the map shows something where it should be empty",
    "undefined": "the method is not defined for the graph",
}
"""Each outcome, and what it means."""

_MOST_OUTSIDE = 0.5  # of what equal weights leave outside the region


@dataclass(frozen=True)
class Finding:
    """What a method finds on a graph.

    Attributes
    ----------
    method : str
        The method with its variant and settings.
    graph : str
        The name of the graph.
    outcome : {"finds", "misses", "empty", "invents", "undefined"}
        :data:`OUTCOMES` says what each means.
    expected : str or None
        The outcome that follows from the method's formula; None for settings other than the defaults.
    reason : str
        Why that outcome is expected where it is not the right one.
    share : float or None
        The share of the map that lies in the region, from 0 to 1; of several images and classes, the lowest. None where
        the method is undefined, or there is no region.
    specificity : float or None
        The map's class specificity, of several the lowest; None where no map shows anything.
    note : str
        What the method says of its map: the warning about an empty one, or the error where it is undefined.

    Examples
    --------
    >>> Finding("equal", "one window", "misses", "misses", "it does not depend on the class", share=0.33).is_right
    False
    """

    method: str
    graph: str
    outcome: Outcome
    expected: Outcome | None
    reason: str = ""
    share: float | None = None
    specificity: float | None = None
    note: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the map shows the region, or nothing where there is nothing to find."""
        return self.outcome == "finds" or (self.outcome == "empty" and self.share is None)

    @property
    def is_expected(self) -> bool:
        """Whether the outcome is what follows from the method's formula, as far as that is known."""
        return self.expected in (None, self.outcome)

    def describe(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return {**vars(self), "right": self.is_right}


def judge(graph: KnownGraph, maps: Sequence[NDArray[np.float32]]) -> Outcome:
    """Return the outcome of the maps (8, 8) of a graph's cases.

    Examples
    --------
    >>> from onnx_cam.evaluation.ground_truth import known_graphs
    >>> graph = known_graphs()[0]
    >>> [judge(graph, [cam]) for cam in (graph.cases[0].region.astype(np.float32), np.ones((8, 8), np.float32))]
    ['finds', 'misses']
    """
    if not graph.can_be_found:
        return "invents" if any(cam.any() for cam in maps) else "empty"
    if not all(cam.any() for cam in maps):
        return "empty"
    found = [_is_found(case, share_in_region(case, cam)) for case, cam in zip(graph.cases, maps, strict=True)]
    return "finds" if all(found) else "misses"


def share_in_region(case: KnownCase, cam: NDArray[np.float32]) -> float:
    """Return the share of a map (8, 8) that lies in the case's region; 0 for an empty map.

    Examples
    --------
    >>> from onnx_cam.evaluation.ground_truth import known_graphs
    >>> share_in_region(known_graphs()[0].cases[0], np.ones((8, 8), np.float32))  # 4 of 64 cells
    0.0625
    """
    total = float(cam.sum(dtype=np.float64))
    return float(cam[case.region].sum(dtype=np.float64)) / total if total else 0.0


def _is_found(case: KnownCase, share: float) -> bool:
    return 1 - share <= _MOST_OUTSIDE * (1 - case.equal_share)
