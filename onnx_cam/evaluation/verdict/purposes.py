"""What maps are made for, and which metrics bear on each purpose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onnx_cam.metrics import Metric

__all__ = ["PURPOSES", "Purpose", "by_purpose"]


@dataclass(frozen=True)
class Purpose:
    """A purpose of a map.

    Attributes
    ----------
    goal : str
        What the map is to do, as the beginning of a sentence.
    metrics : tuple of str
        The names of the metrics that tell how well a map does it.

    Examples
    --------
    >>> Purpose("To find the object", ("pointing",)).goal
    'To find the object'
    """

    goal: str
    metrics: tuple[str, ...]


PURPOSES = (
    Purpose(
        "To see which pixels the score rests on",
        ("deletion", "insertion", "average-drop", "average-increase", "average-gain"),
    ),
    Purpose("To find the object", ("pointing", "grid-pointing")),
    Purpose("To tell the class from the next likely one", ("contrast-drop",)),
    Purpose("To show what the model has learnt", ("randomisation",)),
    Purpose("To stay the same when the image hardly changes", ("stability",)),
)
"""In the order in which the report answers them. A metric of no purpose stands for itself."""


def by_purpose(metrics: Iterable[Metric]) -> list[tuple[str, list[Metric]]]:
    """Return the goals that some metrics bear on, each with these metrics.

    Examples
    --------
    >>> from onnx_cam.metrics import Deletion, Pointing
    >>> [(goal, [metric.name for metric in each]) for goal, each in by_purpose([Pointing(), Deletion()])]
    [('To see which pixels the score rests on', ['deletion']), ('To find the object', ['pointing'])]
    """
    metrics = list(metrics)
    goals = [(purpose.goal, [one for one in metrics if one.name in purpose.metrics]) for purpose in PURPOSES]
    known = {name for purpose in PURPOSES for name in purpose.metrics}
    goals += [(f"To do well by {one.title}", [one]) for one in metrics if one.name not in known]
    return [(goal, each) for goal, each in goals if each]
