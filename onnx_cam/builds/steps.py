"""How far a comparison has come, in steps that take about as long as each other."""

from __future__ import annotations

from onnx_cam.runtime.scorer import Progress

__all__ = ["Steps"]

_OF_MAPS = 3
"""The maps of an image: the old build's, the one with noise, and the new build's. Predicting it is one step."""


class Steps:
    """Counts the steps of a comparison, and tells the user's callback.

    Parameters
    ----------
    images : int
        The images to predict.
    maps : int
        The images of which maps are made.
    progress : callable, optional
        Called with the steps done and the steps expected in all.

    Examples
    --------
    >>> steps = Steps(2, 1, lambda done, total: print(done, "of", total))
    >>> steps.finish(has_map=True)
    4 of 5
    """

    def __init__(self, images: int, maps: int, progress: Progress | None) -> None:
        self._done = 0
        self._total = images + _OF_MAPS * maps
        self._progress = progress

    def finish(self, *, has_map: bool) -> None:
        """Count an image that was predicted, and its maps."""
        self._add(1 + _OF_MAPS * has_map)

    def finish_map(self) -> None:
        """Count the maps of an image that was predicted before."""
        self._add(_OF_MAPS)

    def _add(self, steps: int) -> None:
        self._done += steps
        if self._progress is not None:
            self._progress(self._done, self._total)
