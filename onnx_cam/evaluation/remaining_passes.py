"""The forward passes that a run has left: counted where a method has been run before, estimated where it has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnx_cam.evaluation.image_evaluator import ImageEvaluator
from onnx_cam.evaluation.results.records import MeasuredMap, MoreFigures
from onnx_cam.runtime.scorer import Progress

__all__ = ["RemainingPasses"]


@dataclass
class _OpenMap:
    """A map that is being worked on.

    Attributes
    ----------
    expected : float or None
        The passes that its further figures take; None for a whole map, as many as the others of its method took.
    done : float
        The passes done.
    """

    expected: float | None
    done: float = 0.0


class RemainingPasses:
    """Counts the forward passes that are done, and estimates those to come.

    Parameters
    ----------
    keys : mapping of str to str
        Each method's name, and the key that its maps are stored under.
    costs : mapping of str to float
        The mean forward passes for a map and its figures in the results so far, by the method's key.
    evaluator : ImageEvaluator
    images : int
        The images with something left to do.
    progress : callable, optional
        Called with the forward passes done and the forward passes expected in all.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation.method_names import choose_named_methods
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluator = ImageEvaluator(model, choose_named_methods("scorecam"), (), layer=None, seed=0, batch_size=16)
    >>> remaining = RemainingPasses({"scorecam": "key"}, {}, evaluator, images=2, progress=print)
    >>> remaining.within_map(3, 6)  # 6 channels, 2 images
    3 12
    """

    def __init__(
        self,
        keys: Mapping[str, str],
        costs: Mapping[str, float],
        evaluator: ImageEvaluator,
        images: int,
        progress: Progress | None,
    ) -> None:
        self._progress = progress
        self._images = images
        self._costs = {key: [costs[key]] if key in costs else [] for key in keys.values()}
        channels, steps = evaluator.layer.shape[0], sum(metric.passes for metric in evaluator.metrics)
        maps = 1 + sum(metric.explanations for metric in evaluator.metrics)  # the map, and those that figures take
        self._estimates = {
            keys[name]: maps * method.expected_passes(channels) + steps for name, method in evaluator.methods.items()
        }
        self._done = 0.0
        self._told = 0  # of the passes done, the most that was reported: maps are finished in groups
        self._keys = dict(keys)
        self._open_maps: dict[str, dict[str, _OpenMap]] = {}  # by the image and the method's key

    def prepare(self, passes: int) -> None:
        """Note forward passes that were run before the first image is evaluated."""
        self._done += passes
        self._report(0)

    def expect(self, images: int) -> None:
        """Note how many images have something left to do."""
        self._images = images

    def start_image(self, image: str, expected: Mapping[str, float | None]) -> None:
        """Note that an image is being worked on. Several images may be at the same time.

        Parameters
        ----------
        image : str
            Its hash.
        expected : mapping of str to float or None
            The methods with something left to do, and the passes that this takes; None for a whole map.
        """
        self._images -= 1
        self._open_maps[image] = {self._keys[name]: _OpenMap(passes) for name, passes in expected.items()}

    def give_up(self, image: str) -> None:
        """Note that nothing more comes of an image."""
        if self._open_maps.pop(image, None) is None:
            self._images -= 1

    def within_map(self, done: int, planned: int) -> None:
        """Report forward passes done for maps that are not finished."""
        self._report(done)

    def count(self, measured: MeasuredMap | MoreFigures) -> None:
        """Note that a map or further figures of one are there, and what they cost."""
        open_maps = self._open_maps[measured.image]
        one = open_maps.setdefault(measured.method, _OpenMap(None))
        one.done += measured.passes
        if measured.is_last:
            del open_maps[measured.method]
            if one.expected is None:
                self._costs.setdefault(measured.method, []).append(one.done)
        self._done += measured.passes
        self._report(0)

    def _report(self, within: int) -> None:
        if self._progress:
            # The maps that images in work still wait for, and every method's map of each image after them.
            in_work = sum(self._left(key, one) for maps in self._open_maps.values() for key, one in maps.items())
            remaining = in_work + self._images * sum(map(self._expected, self._estimates))
            self._told = max(self._told, round(self._done) + within)
            self._progress(self._told, max(self._told, round(self._done + max(remaining, within))))

    def _left(self, key: str, one: _OpenMap) -> float:
        """Return the passes to come for a map that is being worked on."""
        return max(0.0, (self._expected(key) if one.expected is None else one.expected) - one.done)

    def _expected(self, key: str) -> float:
        costs = self._costs[key]
        return sum(costs) / len(costs) if costs else self._estimates[key]
