"""What is to be done with one image of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onnx_cam.evaluation.datasets import Sample
from onnx_cam.evaluation.mosaics import MosaicPlan
from onnx_cam.evaluation.results.records import Corners, MeasuredMap, SeenImage

__all__ = ["Task"]


@dataclass(frozen=True)
class Task:
    """An image to evaluate.

    Attributes
    ----------
    sample : Sample
    label : int or None
        Its class, as a position in the model's output.
    box_labels : tuple of int or None
        The class of each box in the same way; None stands for the image's.
    maps : mapping of str to MeasuredMap
        The maps that are stored already, by the method's name.
    only_correct : bool
        Whether the image is left out if the model predicts another class than its label.
    mosaic : MosaicPlan or None
        Its mosaic, where a metric needs one.

    Examples
    --------
    >>> from onnx_cam.evaluation.datasets import Box
    >>> task = Task(Sample("cat.jpg", "cat.jpg", "cat", (Box(8, 4, 36, 28), Box(0, 0, 9, 9))), 1, (1, 3))
    >>> task.boxes_of(target=3)  # of the two classes in the image
    ((0, 0, 9, 9),)
    """

    sample: Sample
    label: int | None = None
    box_labels: tuple[int | None, ...] = ()
    maps: Mapping[str, MeasuredMap] = field(default_factory=dict)
    only_correct: bool = False
    mosaic: MosaicPlan | None = None

    def agrees_with(self, seen: SeenImage) -> bool:
        """Tell whether an image was stored with this name, label and mosaic, and these boxes of the predicted class."""
        facts = seen.facts
        same_boxes = facts.boxes == self.boxes_of(facts.predicted)
        same_mosaic = self.mosaic is None or self.mosaic.key == facts.mosaic
        return facts.label == self.label and same_boxes and same_mosaic and seen.name == self.sample.name

    def boxes_of(self, target: int) -> tuple[Corners, ...]:
        """Return the boxes that a map of a class should lie on.

        Where all objects are of the image's class, these are all boxes, whatever the model predicts, as in the papers.
        Otherwise they are the boxes of the class itself.
        """
        labels = self.box_labels or (None,) * len(self.sample.boxes)
        matching_labels = {None, target} if set(labels) - {None, self.label} else {*labels}
        pairs = zip(self.sample.boxes, labels, strict=True)
        return tuple((box.x0, box.y0, box.x1, box.y1) for box, label in pairs if label in matching_labels)
