"""An image that both builds were shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from onnx_cam.builds.distances import map_distance
from onnx_cam.builds.images import ComparedImage
from onnx_cam.builds.matching import ClassMatch
from onnx_cam.builds.views import BuildView

__all__ = ["ImageDiff"]


@dataclass(frozen=True, eq=False)
class ImageDiff:
    """What two builds say about an image.

    Attributes
    ----------
    image : ComparedImage
        Its name, its hash, its label, and what it can be opened from.
    old, new : BuildView
        The likeliest class of each build, the probability that each gives to the old build's, and their maps of it.
    classes : ClassMatch
        Which classes of the builds are the same.
    is_drawn : bool
        Whether the image was drawn for the figures on maps. Others have maps because their scores moved most.

    Examples
    --------
    >>> image = ComparedImage("cat.jpg", "cat.jpg", "00ff", label=1)
    >>> classes = ClassMatch((0, 1), (0, 1))
    >>> one = ImageDiff(image, BuildView(1, 0.75), BuildView(0, 0.25), classes, is_drawn=False)
    >>> one.is_flip, one.was_right, one.drift, one.distance
    (True, True, 0.5, None)
    """

    image: ComparedImage
    old: BuildView
    new: BuildView
    classes: ClassMatch
    is_drawn: bool

    @property
    def name(self) -> str:
        """The image's path, or its number among the images."""
        return self.image.name

    @property
    def is_flip(self) -> bool:
        """Whether the likeliest class changed."""
        return self.new.predicted != self.classes.to_new(self.old.predicted)

    @property
    def was_right(self) -> bool:
        """Whether the image has a label, and the old build predicts it."""
        return self.image.label == self.old.predicted

    @property
    def drift(self) -> float:
        """How far the probability of the old build's class changed, from 0 to 1."""
        return abs(self.new.probability - self.old.probability)

    @cached_property
    def distance(self) -> float | None:
        """The distance d of the two maps, from 0 to √2; None where none were made."""
        if self.old.map is None or self.new.map is None:
            return None
        return map_distance(self.old.map, self.new.map)
