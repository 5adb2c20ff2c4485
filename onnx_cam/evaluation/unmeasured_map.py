"""Maps between the moment they are made and the moment they have their figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from onnx_cam.evaluation.results.records import MeasuredMap, MoreFigures
from onnx_cam.metrics import MaskedImage, Measurement, Metric
from onnx_cam.metrics.inputs import ScoredInput
from onnx_cam.metrics.masked_image import score_together
from onnx_cam.runtime.scorer import Progress

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
    is_stored : bool
        Whether the results hold the map already.
    """

    image: str
    method: str
    record: Mapping[str, Any]
    masked: MaskedImage
    metrics: Mapping[str, Metric]
    passes: int
    is_stored: bool = False

    @cached_property
    def inputs(self) -> list[ScoredInput]:
        """What the metrics have the model score."""
        return [one for metric in self.metrics.values() for one in metric.inputs(self.masked)]

    def outcomes(self, watch: Progress | None) -> Iterator[MeasuredMap | MoreFigures]:
        """Yield the map with the figures of its scored inputs; then, one by one, those that take other explanations.

        What comes is stored at once, so that a stop of the run costs no more than the explanations of one figure.
        `watch` is as for `measure_together`.
        """
        explaining = [key for key, metric in self.metrics.items() if metric.explanations]
        scoring = {key: metric for key, metric in self.metrics.items() if not metric.explanations}
        figures = {key: metric.measure(self.masked) for key, metric in scoring.items()}
        counted = 0
        if not self.is_stored:
            counted = self.masked.passes
            record = {"measuring_passes": counted, **self.record}
            yield MeasuredMap(self.image, self.method, self.masked.cam, record, figures, is_last=not explaining)
        elif figures or not explaining:
            counted = self.masked.passes
            yield self._more(figures, counted + self.passes, is_last=not explaining)
        else:
            counted = -self.passes  # the passes before the first of the figures that follow count with it
        for key in explaining:
            self.masked.watch = watch and _counted_from(counted, watch)
            figure = self.metrics[key].measure(self.masked)
            passes, counted = self.masked.passes - counted, self.masked.passes
            yield self._more({key: figure}, passes, is_last=key == explaining[-1])

    def _more(self, figures: Mapping[str, Measurement], passes: float, *, is_last: bool) -> MoreFigures:
        return MoreFigures(self.image, self.method, figures, passes, is_last)


def measure_together(
    maps: Sequence[UnmeasuredMap], watch: Progress | None = None
) -> Iterator[MeasuredMap | MoreFigures]:
    """Yield maps of one image with their figures: what their metrics have the model score shares batches.

    Parameters
    ----------
    maps : sequence of UnmeasuredMap
    watch : callable, optional
        Called with the forward passes done for what was not yielded yet, and those planned for it.
    """
    score_together([(one.masked, one.inputs) for one in maps])
    begun = [one.outcomes(watch) for one in maps]
    # First every map with the figures that are there, so that it is stored; then what takes explanations of its own.
    for one, outcomes in zip(maps, begun, strict=True):
        if not one.is_stored:
            yield next(outcomes)
    for outcomes in begun:
        yield from outcomes


def _counted_from(start: int, watch: Progress) -> Progress:
    """Return what reports the passes of a map's other explanations, without those that count elsewhere."""
    return lambda done, planned: watch(done - start, planned - start)
