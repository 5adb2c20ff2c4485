"""How far two builds' maps of an image are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.builds.views import PlacedMap
from onnx_cam.runtime.map_distance import FARTHEST, unit_distance

__all__ = ["FARTHEST", "map_distance"]

Floats = NDArray[np.float32]

_SIDE = 112  # pixels, of maps that are compared in the image


def map_distance(first: PlacedMap, second: PlacedMap) -> float:
    """Return ``d = ‖n(L) − n(L')‖``, n = scaled to unit length.

    Where both maps have the same cells and see the same part of the image, they are compared cell by cell. Otherwise
    both are placed in the image, cut to what both see, and shrunk to at most 112×112.

    Parameters
    ----------
    first, second : PlacedMap
        Of one image.

    Returns
    -------
    float
        From 0 to √2. √2 where one of the maps is empty, 0 where both are.

    References
    ----------
    METHODS.md, "Two builds compared".

    Examples
    --------
    >>> from onnx_cam.image.geometry import Geometry
    >>> whole = Geometry(2, 2, (0, 0, 2, 2))
    >>> left, right = (PlacedMap(np.array(row, np.float32), whole) for row in ([[1, 0]], [[0, 3]]))
    >>> map_distance(left, left), round(map_distance(left, right), 4)
    (0.0, 1.4142)
    """
    if first.is_empty or second.is_empty:
        return 0.0 if first.is_empty and second.is_empty else FARTHEST
    if first.cam.shape == second.cam.shape and first.geometry == second.geometry:
        distance = unit_distance(first.cam, second.cam)
    else:
        distance = _distance_in_image(first, second)
    return FARTHEST if distance is None else distance


def _distance_in_image(first: PlacedMap, second: PlacedMap) -> float | None:
    """Return the distance over the part of the image that both maps see; None where one is empty there."""
    area = first.geometry.common(second.geometry)
    if area is None:
        return None
    cut = [one.geometry.upsample(one.cam)[area] for one in (first, second)]
    return unit_distance(*map(_shrunk, cut))


def _shrunk(placed: Floats) -> Floats:
    """Return a map with at most 112 rows and columns, each the mean of those that it stands for."""
    import cv2

    height, width = (min(side, _SIDE) for side in placed.shape)
    return np.asarray(cv2.resize(placed, (width, height), interpolation=cv2.INTER_AREA), np.float32)
