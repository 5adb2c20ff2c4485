"""How many passes a run has left: counted where a method has been run, reckoned where it has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx_cam.evaluation.measuring import Measuring
from onnx_cam.evaluation.results.records import MeasuredMap
from onnx_cam.methods import Method
from onnx_cam.methods.mean_score import MeanScoreMethod
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
            keys[name]: _passes(method, channels * getattr(method, "samples", 1)) + steps
            for name, method in measuring.methods.items()
        }
        self._done = 0.0
        self._keys = dict(keys)
        self._begun: dict[str, set[str]] = {}  # the methods' keys that each image still waits for

    def image(self, image: str, methods: Iterable[str]) -> None:
        """Take note that an image is being worked on, and by which methods; others may be so, too."""
        self._images -= 1
        self._begun[image] = {self._keys[name] for name in methods}

    def give_up(self, image: str) -> None:
        """Take note that nothing more comes of an image."""
        if self._begun.pop(image, None) is None:
            self._images -= 1

    def within(self, done: int, planned: int) -> None:
        """Take note of passes done for a map that is not finished."""
        self._tell(done)

    def map(self, found: MeasuredMap) -> None:
        """Take note of a map that is finished."""
        passes = found.record["passes"] + found.record["measuring_passes"]
        self._passes.setdefault(found.method, []).append(passes)
        self._begun[found.image].discard(found.method)
        self._done += passes
        self._tell(0)

    def _tell(self, within: int) -> None:
        if self._progress:
            begun = sum(self._expected(key) for keys in self._begun.values() for key in keys)
            left = begun + self._images * sum(map(self._expected, self._guess))
            self._progress(round(self._done) + within, round(self._done + max(left, within)))

    def _expected(self, key: str) -> float:
        known = self._passes[key]
        return sum(known) / len(known) if known else self._guess[key]


def _passes(method: Method, exact: int) -> int:
    limit = method.limit if isinstance(method, MeanScoreMethod) else None
    return exact if limit is None else limit.passes(exact) or exact
