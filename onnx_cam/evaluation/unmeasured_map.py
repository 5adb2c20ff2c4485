"""Maps between the moment they are made and the moment they have their figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from onnx_cam.evaluation.results.records import MeasuredMap
from onnx_cam.metrics import MaskedImage, Metric
from onnx_cam.metrics.inputs import ScoredInput
from onnx_cam.metrics.masked_image import score_together

__all__ = ["UnmeasuredMap", "measure_together"]


@dataclass(frozen=True)
class UnmeasuredMap:
    """A map that is made, and waits for its figures.

    Attributes
    ----------
    image, method : str
        The image's hash, and the key of the method.
    record : mapping
        How the map was made.
    masked : MaskedImage
        The image with the map.
    metrics : mapping of str to Metric
        By the keys of the figures.
    passes : int
        The forward passes that this run has taken for the map.
    """

    image: str
    method: str
    record: Mapping[str, Any]
    masked: MaskedImage
    metrics: Mapping[str, Metric]
    passes: int

    @cached_property
    def inputs(self) -> list[ScoredInput]:
        """What the metrics have the model score."""
        return [one for metric in self.metrics.values() for one in metric.inputs(self.masked)]

    def measured(self) -> MeasuredMap:
        """Return the map with its figures."""
        figures = {key: metric.measure(self.masked) for key, metric in self.metrics.items()}
        cost = {"measuring_passes": self.masked.passes}
        return MeasuredMap(self.image, self.method, self.masked.cam, {**cost, **self.record}, figures)


def measure_together(maps: Sequence[UnmeasuredMap]) -> Iterator[MeasuredMap]:
    """Yield maps of one image with their figures: what their metrics have the model score shares batches."""
    score_together([(one.masked, one.inputs) for one in maps])
    for one in maps:
        yield one.measured()
