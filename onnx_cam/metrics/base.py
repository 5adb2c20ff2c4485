"""What every metric is: a number for one map of one image, and what it is called."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.metrics.pixels import area, keep_masks
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["CurveMetric", "MaskingMetric", "Measurement", "Metric"]


@dataclass(frozen=True)
class Measurement:
    """What a metric says of one map.

    Attributes
    ----------
    value : float or None
        None where the metric is not defined for this map or this image.
    curve : tuple of float
        The scores that the value is the area under, where it is one.
    """

    value: float | None
    curve: tuple[float, ...] = ()


@dataclass(frozen=True)
class Metric(ABC):
    """Base of the metrics; the fields are the free choices, printed with every figure.

    Attributes
    ----------
    name : str
        The name on the command line and in files (METHODS.md, "Evaluation").
    title : str
        For tables.
    unit : {"%", ""}
    better : {"lower", "higher", None}
        None where neither is.
    needs_boxes, needs_second_class : bool
        Whether it is defined only where the image has boxes; whether it compares with the map of another class.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[Literal["%", ""]] = ""
    better: ClassVar[Literal["lower", "higher"] | None] = None
    needs_boxes: ClassVar[bool] = False
    needs_second_class: ClassVar[bool] = False

    @property
    def parameters(self) -> dict[str, Any]:
        """The free choices as plain JSON values."""
        return asdict(self)

    @cached_property
    def key(self) -> str:
        """The name with the free choices: what a stored value is found by."""
        return json.dumps([self.name, self.parameters], sort_keys=True)

    @property
    def passes(self) -> int:
        """Forward passes for one map."""
        return 0

    @abstractmethod
    def measure(self, image: MaskedImage) -> Measurement:
        """Return what the metric says of the map that an image is masked by."""


@dataclass(frozen=True)
class MaskingMetric(Metric):
    """Base of the metrics that compare the image's score Y with that of the image times the map, O.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c.
    keep : float
        The share of pixels that the map keeps, the most important ones; 1: all of them, each times its importance.
    """

    score: ScoreKind = "probability"
    keep: float = 1.0

    @property
    def passes(self) -> int:
        """One, which all of them share."""
        return 1


@dataclass(frozen=True)
class CurveMetric(Metric):
    """Base of the areas under f^c against the share of pixels, from the most to the least important pixel.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c.
    steps : int
        The curve has steps + 1 points.
    baseline : {"zero", "black", "mean", "blur"}
        X_b, which gives the value of each pixel that is not the image's.

    Attributes
    ----------
    removes : bool
        Whether the curve starts at the image and replaces its pixels by the baseline's, or the other way round.
    """

    removes: ClassVar[bool]

    score: ScoreKind = "probability"
    steps: int = 50
    baseline: str = "zero"

    @property
    def passes(self) -> int:
        """One a step; the image's own score is known."""
        return self.steps

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the area and the curve, steps + 1 scores."""
        # The masks of the pixels that are the image's, between the two ends of the curve. What removes the most
        # important pixels first keeps the least important ones last.
        kept = keep_masks(image.importance, self.steps, most_important=not self.removes)  # (steps − 1, H, W)
        ends = [image.baseline_score(self.baseline, self.score), image.score(self.score)]
        if self.removes:
            kept, ends = kept[::-1], ends[::-1]
        between = image.score_composed(kept, self.baseline, self.score) if len(kept) else np.zeros(0)
        curve = np.concatenate([ends[:1], between, ends[1:]])  # (steps + 1,)
        return Measurement(area(curve), tuple(map(float, curve)))
