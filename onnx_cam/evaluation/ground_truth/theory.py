"""What follows from each method's formula on each graph of the ground truth, and why where it is not the right map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from onnx_cam.evaluation.ground_truth.finding import Outcome
from onnx_cam.evaluation.ground_truth.graphs import GRAPHS

__all__ = ["EXPECTED", "REASONS", "Reason", "expected_outcome", "reason_for"]

EXPECTED: dict[str, str] = {
    # one window, two windows, pattern, constant, bypass
    "scorecam:paper": "finds finds finds empty empty",
    "scorecam:torchcam": "finds finds finds invents invents",
    "scorecam:pytorch-grad-cam": "finds finds finds invents invents",
    "sscam1:range": "finds finds finds empty empty",
    "sscam1:paper": "misses finds finds empty empty",
    "sscam1:feature": "finds finds finds empty empty",
    "sscam1:authors": "misses misses misses invents invents",
    "sscam1:torchcam": "finds finds finds invents invents",
    "sscam2:range": "finds finds finds empty empty",
    "sscam2:authors": "finds finds finds invents invents",
    "sscam2:paper": "finds finds finds empty empty",
    "sscam-max:paper": "misses misses misses invents invents",
    "sscam-max:authors-scale": "misses misses misses invents invents",
    "iscam:paper": "finds finds finds empty empty",
    "iscam:torchcam": "finds finds finds invents invents",
    "iscam:linear": "finds finds finds empty empty",
    "cam:paper": "undefined undefined finds empty undefined",
    "gradcam:paper": "misses finds finds empty empty",
    "gradcam++:paper": "misses finds finds empty empty",
    "gradcam++:pytorch-grad-cam": "misses finds finds empty empty",
    "smoothgradcam++:paper": "misses finds finds empty empty",
    "grad++scorecam:full-resolution": "finds finds finds empty empty",
    "grad++scorecam:paper": "empty empty empty empty empty",
    "grad++scorecam:weights": "misses finds empty empty empty",
    "grad++scorecam:figure": "finds finds finds empty empty",
    "xgradcam:paper": "finds finds finds empty empty",
    "layercam:paper": "finds finds finds empty empty",
    "hirescam:paper": "finds finds finds empty empty",
    "finercam:paper": "misses finds finds empty empty",
    "equal": "misses misses misses invents invents",
    "centre": "misses misses misses invents invents",
    "random": "misses misses misses invents invents",
}
"""Method and variant to the outcome on each of `GRAPHS`, at the default settings and seed 0."""


@dataclass(frozen=True)
class Reason:
    """Why some methods do not give the right map on some graphs.

    Attributes
    ----------
    methods : tuple of str
    graphs : tuple of str
    text : str

    Examples
    --------
    >>> Reason(("equal",), ("one window",), "no weight depends on the class").covers("equal", "one window")
    True
    """

    methods: tuple[str, ...]
    graphs: tuple[str, ...]
    text: str

    def covers(self, method: str, graph: str) -> bool:
        """Tell whether the reason is about a method on a graph."""
        return method in self.methods and graph in self.graphs


_FINDABLE, _NOTHING_TO_FIND = GRAPHS[:3], GRAPHS[3:]

REASONS: tuple[Reason, ...] = (
    Reason(("equal",), GRAPHS, "All live channels weigh the same: the map does not depend on the scores."),
    Reason(("centre", "random"), GRAPHS, "The map depends on neither the image nor the scores."),
    Reason(
        ("gradcam:paper", "gradcam++:paper", "gradcam++:pytorch-grad-cam", "smoothgradcam++:paper", "finercam:paper"),
        ("one window",),
        "A channel's weight is the gradient collected over all positions. The class reads every channel in the window "
        "alike, so that a channel that is active elsewhere weighs as much as the one that is active in the window.",
    ),
    Reason(
        ("grad++scorecam:weights",),
        ("one window",),
        "The mask is the gradient without the activations: the window, whatever the channel. All channels score alike.",
    ),
    Reason(
        ("grad++scorecam:weights",),
        ("pattern",),
        "Before global average pooling the gradient is the same at every position: every mask is constant.",
    ),
    Reason(
        ("grad++scorecam:paper",),
        _FINDABLE,
        "The image is reduced to the layer's size, at which the patterns average out to zero.",
    ),
    Reason(
        ("cam:paper",),
        ("one window", "two windows", "bypass"),
        "The layer is not followed by global average pooling and one linear layer alone.",
    ),
    Reason(
        ("scorecam:torchcam", "scorecam:pytorch-grad-cam", "sscam1:torchcam", "iscam:torchcam"),
        _NOTHING_TO_FIND,
        "The softmax over channels gives every channel a weight above zero: equal scores give equal weights.",
    ),
    Reason(
        ("sscam-max:paper", "sscam-max:authors-scale"),
        GRAPHS,
        "The softmax over channels is of probabilities, which differ by 1 at most: no channel weighs more than e times "
        "another one, and none weighs nothing.",
    ),
    Reason(
        ("sscam1:authors", "sscam2:authors"),
        _NOTHING_TO_FIND,
        "No baseline is subtracted: every channel weighs at least what the class scores by chance.",
    ),
    Reason(
        ("sscam1:authors",),
        _FINDABLE,
        "The noise on the mask has the standard deviation (σ / range)². As the activations of these graphs are at most "
        "0.75, the noise is about ten times the mask, and every channel is scored on noise.",
    ),
    Reason(
        ("sscam1:paper",),
        ("one window",),
        "With σ = 2 the noise is twice the mask's range: it lets the class see the window through every mask.",
    ),
)
"""Each outcome of `EXPECTED` that is not the right map has one reason."""


def expected_outcome(method: str, graph: str) -> Outcome | None:
    """Return the outcome that follows from a method's formula; None for a method that is not in the table.

    Examples
    --------
    >>> expected_outcome("gradcam:paper", "one window"), expected_outcome("gradcam:paper", "bypass")
    ('misses', 'empty')
    """
    if method not in EXPECTED:
        return None
    return cast(Outcome, EXPECTED[method].split()[GRAPHS.index(graph)])


def reason_for(method: str, graph: str) -> str:
    """Return why a method does not give the right map on a graph; empty where it does.

    Examples
    --------
    >>> reason_for("equal", "pattern")
    'All live channels weigh the same: the map does not depend on the scores.'
    """
    return next((reason.text for reason in REASONS if reason.covers(method, graph)), "")
