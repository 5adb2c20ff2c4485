"""Contrast drop %: what the most important pixels say for the class rather than the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.inputs import PartOfImage, ScoredInput, WholeImage
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["ContrastDrop"]

_SHARE = 0.05
"""The share of the pixels that are replaced: the highest ones of the map."""

_ONE_CLASS = "the model has a single class, and no other one to compare with"
_VANISH = "the probabilities of both classes vanish"


@dataclass(frozen=True)
class ContrastDrop(Metric):
    """``100 · (q(X) − q(X′))``: how much the 5 % highest pixels of the map decide for the class and not the next one.

    q is the share ``p_A / (p_A + p_B)`` of the predicted class A and the likeliest other class B; X′ is the image with
    those pixels replaced by their blurred surroundings. A map that marks what the two classes have in common scores
    about 0. The metric is not defined where both probabilities vanish.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import ContrastDrop, MaskedImage
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> classes = [target.index for target in result.top[:2]]
    >>> x = model.network_input("cat.jpg")
    >>> image = MaskedImage(model, x, classes[0], result.cam, second_class=classes[1])
    >>> f"{ContrastDrop().measure(image).value:.1f} %"
    '0.1 %'
    """

    name: ClassVar[str] = "contrast-drop"
    title: ClassVar[str] = "Contrast drop"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"

    @property
    def passes(self) -> int:
        """One; both classes' probabilities come from it."""
        return 1

    def inputs(self, image: MaskedImage) -> Sequence[ScoredInput]:
        """Return X and X'."""
        if image.second_class is None:
            return ()
        pixels = image.importance.size
        kept = pixels - max(1, round(_SHARE * pixels))
        return WholeImage("probability"), PartOfImage("probability", "blur", kept, most_important=False)

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the drop in %; None where it is not defined."""
        if image.second_class is None:
            return Measurement(None, reason=_ONE_CLASS)
        scores = image.scores_of_both(self.inputs(image))  # (2, 2): X and X', each for A and B
        both = scores.sum(axis=1)
        if not both.all():
            return Measurement(None, reason=_VANISH)
        before, after = np.divide(scores[:, 0], both)
        return Measurement(float(100 * (before - after)))
