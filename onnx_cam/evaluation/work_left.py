"""How many passes a run has left: counted where a method has been run, reckoned where it has not."""

from __future__ import annotations

from collections.abc import Mapping

from onnx_cam.evaluation.measuring import Measuring
from onnx_cam.evaluation.results import MeasuredMap
from onnx_cam.runtime.scorer import Progress

__all__ = ["WorkLeft"]


class WorkLeft:
    """Keeps count of passes done, and of those to be expected.

    Parameters
    ----------
    keys : mapping of str to str
        Each method's name and key.
    costs : mapping of str to float
        Mean passes for a map and its figures so far, by the method's key.
    measuring : Measuring
    images : int
        Images with something left to do.
    progress : callable, optional
        Called with the passes done and the passes expected.
    """

    def __init__(
        self,
        keys: Mapping[str, str],
        costs: Mapping[str, float],
        measuring: Measuring,
        images: int,
        progress: Progress | None,
    ) -> None:
        self._progress = progress
        self._images = images
        self._passes = {key: [costs[key]] if key in costs else [] for key in keys.values()}
        channels, steps = measuring.layer.shape[0], sum(metric.passes for metric in measuring.metrics)
        self._guess = {
            keys[name]: channels * getattr(method, "samples", 1) + steps for name, method in measuring.methods.items()
        }
        self._done = 0.0
        self._left_of_image: set[str] = set()

    def image(self) -> None:
        """Take note that the next image is being worked on."""
        self._images = max(0, self._images - 1)
        self._left_of_image = set(self._guess)

    def within(self, done: int, planned: int) -> None:
        """Take note of passes done for a map that is not finished."""
        self._tell(done)

    def map(self, found: MeasuredMap) -> None:
        """Take note of a map that is finished."""
        passes = found.record["passes"] + found.record["measuring_passes"]
        self._passes.setdefault(found.method, []).append(passes)
        self._left_of_image.discard(found.method)
        self._done += passes
        self._tell(0)

    def _tell(self, within: int) -> None:
        if self._progress:
            left = sum(map(self._expected, self._left_of_image)) + self._images * sum(map(self._expected, self._guess))
            self._progress(round(self._done) + within, round(self._done + max(left, within)))

    def _expected(self, key: str) -> float:
        known = self._passes[key]
        return sum(known) / len(known) if known else self._guess[key]
