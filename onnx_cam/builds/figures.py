"""The figures of a comparison, each with its 95 % interval over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnx_cam.metrics.interval import (
    Interval,
    mean_interval,
    median_interval,
    median_ratio_interval,
    share_interval,
)

if TYPE_CHECKING:
    from onnx_cam.builds.compared import ImageDiff

__all__ = ["CHANGED", "FIGURES", "measure"]

FIGURES = {
    "flips": "images whose likeliest class changed",
    "negative_flips": "images whose likeliest class changed, of those that the old build got right",
    "drift": "mean change of the probability of the old build's class",
    "map_distance": "median distance of the two builds' maps (0 the same, 1.41 the farthest)",
    "noise_floor": "median distance of the old build's maps with and without noise",
    "maps": "distance of the maps, in multiples of the noise floor",
    "changed": "images whose maps are farther apart than twice the noise floor",
}
"""What each figure is, in words."""

_LEAST_FLOOR = 0.005
"""The smallest noise floor that distances are divided by."""

CHANGED = 2.0
"""How many noise floors two maps of an image must be apart to count as changed."""


def measure(images: Sequence[ImageDiff]) -> dict[str, Interval]:
    """Return every figure of a comparison.

    Parameters
    ----------
    images : sequence of ImageDiff
        Those on predictions are over all of them, those on maps over the ones drawn for it.

    Returns
    -------
    dict of str to Interval
        By the names in `FIGURES`; without a value where there are no images for it.

    References
    ----------
    METHODS.md, "Two builds compared". Negative flips: Yan et al., Positive-Congruent Training, CVPR 2021.

    Examples
    --------
    >>> measure([])["flips"]
    Interval(value=None, low=None, high=None, n=0)
    """
    flips = [image.is_flip for image in images]
    were_right = [image.is_flip for image in images if image.was_right]
    drift = np.array([image.drift for image in images], np.float64)
    drawn = [image for image in images if image.is_drawn and image.distance is not None]
    distances = np.array([image.distance for image in drawn], np.float64)
    floors = np.array([image.old.floor for image in drawn], np.float64)
    threshold = CHANGED * float(np.median(floors)) if drawn else 0.0
    return {
        "flips": share_interval(sum(flips), len(flips)),
        "negative_flips": share_interval(sum(were_right), len(were_right)),
        "drift": mean_interval(drift),
        "map_distance": median_interval(distances),
        "noise_floor": median_interval(floors),
        "maps": median_ratio_interval(distances, floors, least=_LEAST_FLOOR),
        "changed": share_interval(int((distances > threshold).sum()), len(drawn)),
    }
