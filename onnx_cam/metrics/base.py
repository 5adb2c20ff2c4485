"""What every metric is: a number for one map of one image, with a name and settings."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

from onnx_cam.metrics.inputs import BaselineImage, ImageTimesMap, PartOfImage, ScoredInput, WholeImage
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.metrics.pixels import area, step_counts
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["CurveMetric", "MaskingMetric", "Measurement", "Metric"]


@dataclass(frozen=True)
class Measurement:
    """The value of a metric for one map.

    Attributes
    ----------
    value : float or None
        None where the metric is not defined for this map or this image.
    curve : tuple of float
        The scores whose area the value is, for metrics that are an area.
    parts : mapping of str to float or None
        What the value is made of, by the metric's `part_names`; None where a part is not defined.
    reason : str
        Why there is no value, where the user should know; tables say it once for all images.

    Examples
    --------
    >>> Measurement(12.5).value
    12.5
    >>> Measurement(0.4, parts={"mirror": 0.3, "crop": 0.5}).parts["crop"]
    0.5
    """

    value: float | None
    curve: tuple[float, ...] = ()
    parts: Mapping[str, float | None] = field(default_factory=dict)
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {**asdict(self), "curve": list(self.curve)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Measurement:
        """Return the measurement that `as_json` described; JSON gives every float back exactly."""
        return cls(content["value"], tuple(content["curve"]), content["parts"], content["reason"])


@dataclass(frozen=True)
class Metric(ABC):
    """Base of the metrics. The fields are the metric's settings, which are printed with every figure.

    The first paragraph of a metric's docstring is what the report prints about it.

    Attributes
    ----------
    name : str
        The name on the command line and in files (METHODS.md, "Evaluation").
    title : str
        The name in tables.
    unit : {"%", ""}
    better : {"lower", "higher", None}
        None where neither direction is better.
    needs_boxes : bool
        Whether it is defined only for images with boxes.
    needs_second_class : bool
        Whether it compares with the map of the second likeliest class.
    needs_mosaic : bool
        Whether it looks at the image in a mosaic with others.
    part_names : tuple of str
        What is stored and averaged beside the value: the terms that it is made of.
    explanations : int
        How many explanations of other inputs measuring a map takes, each as long as the map itself.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Largest(Metric):
    ...     name = "largest"
    ...     title = "Largest value"
    ...
    ...     def measure(self, image):
    ...         return Measurement(float(image.cam.max()))
    >>> Largest().key
    '["largest", {}]'
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[Literal["%", ""]] = ""
    better: ClassVar[Literal["lower", "higher"] | None] = None
    needs_boxes: ClassVar[bool] = False
    needs_second_class: ClassVar[bool] = False
    needs_mosaic: ClassVar[bool] = False
    part_names: ClassVar[tuple[str, ...]] = ()
    explanations: ClassVar[int] = 0

    @property
    def parameters(self) -> dict[str, str | int | float | None]:
        """The settings as plain JSON values."""
        return asdict(self)

    @cached_property
    def key(self) -> str:
        """The name with the settings, which stored figures are found by."""
        return json.dumps([self.name, self.parameters], sort_keys=True)

    @property
    def passes(self) -> int:
        """The forward passes that measuring one map takes, without those of `explanations`."""
        return 0

    def inputs(self, image: MaskedImage) -> Sequence[ScoredInput]:
        """Return the inputs whose scores `measure` needs; none by default.

        A run scores the inputs of all metrics, and of several maps, in shared batches, before it measures.
        """
        return ()

    @abstractmethod
    def measure(self, image: MaskedImage) -> Measurement:
        """Return the metric's value for the map of an image, from the scores of its inputs."""


@dataclass(frozen=True)
class MaskingMetric(Metric):
    """Base of the metrics that compare the image's score Y with that of the image multiplied by the map, O.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c, the score of the predicted class.
    keep : float
        The share of pixels that the map keeps: the most important ones, each multiplied by its importance.

    Examples
    --------
    >>> from onnx_cam.metrics import AverageDrop
    >>> AverageDrop(keep=0.2).parameters
    {'score': 'probability', 'keep': 0.2}
    """

    score: ScoreKind = "probability"
    keep: float = 1.0

    @property
    def passes(self) -> int:
        """One, which the metrics with the same settings share."""
        return 1

    def inputs(self, image: MaskedImage) -> Sequence[ScoredInput]:
        """Return the image and the image multiplied by the map, whose scores are Y and O."""
        return WholeImage(self.score), ImageTimesMap(self.score, self.keep)


@dataclass(frozen=True)
class CurveMetric(Metric):
    """Base of the areas under the score while pixels are exchanged, the most important ones first.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c, the score of the predicted class.
    steps : int
        The curve has steps + 1 points.
    baseline : {"zero", "black", "mean", "blur"}
        X_b, the other image that pixels are taken from.

    Attributes
    ----------
    removes : bool
        Whether the curve starts at the image and ends at the baseline, or the other way round.

    Examples
    --------
    >>> from onnx_cam.metrics import Deletion, Insertion
    >>> Deletion().removes, Insertion().removes, Insertion(steps=20).passes
    (True, False, 20)
    """

    removes: ClassVar[bool]

    score: ScoreKind = "probability"
    steps: int = 50
    baseline: str = "zero"

    @property
    def passes(self) -> int:
        """One for each step; the image's own score has been measured by then."""
        return self.steps

    def inputs(self, image: MaskedImage) -> Sequence[ScoredInput]:
        """Return the points of the curve, steps + 1 inputs.

        Raises
        ------
        SettingError
            There are more steps than pixels.
        """
        # Removing the most important pixels first is the same as keeping the least important ones, in reverse order.
        points: list[ScoredInput] = [BaselineImage(self.score, self.baseline)]
        for count in step_counts(image.image[0].size, self.steps):
            points.append(PartOfImage(self.score, self.baseline, count, most_important=not self.removes))
        points.append(WholeImage(self.score))
        return points[::-1] if self.removes else points

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the area and the curve, steps + 1 scores."""
        curve = image.scores(self.inputs(image))  # (steps + 1,)
        return Measurement(area(curve), tuple(map(float, curve)))
