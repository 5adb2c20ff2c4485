"""Boxes around objects, in the image and in the network's input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import DatasetError
from onnx_cam.image.geometry import Geometry

__all__ = ["TOLERANCE", "Box", "box_mask", "check_boxes", "clip_boxes"]

TOLERANCE = 1.0
"""Pixels by which a box may stick out of its image: data sets round, and differ on where counting begins."""


@dataclass(frozen=True)
class Box:
    """A rectangle in continuous image pixels: pixel i reaches from i to i + 1.

    Attributes
    ----------
    x0, y0, x1, y1 : float
        Left, top, right and bottom; right and bottom are exclusive: pixels a to b, both included, are ``x0 = a``,
        ``x1 = b + 1``.
    label : int, str or None
        The class of what is in it, where a data set says so for each box; None: the image's label.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    label: int | str | None = None

    @property
    def area(self) -> float:
        """Its area in pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


def check_boxes(boxes: Sequence[Box], width: int, height: int) -> None:
    """Refuse boxes that do not fit an image.

    A box may stick out by `TOLERANCE`, as many do: `clip_boxes` and `box_mask` cut that off.

    Parameters
    ----------
    boxes : sequence of Box
    width, height : int
        Of the image, in pixels.

    Raises
    ------
    DatasetError
        A box is empty, inverted, not finite, or sticks out of the image by more than `TOLERANCE`.
    """
    if fault := find_fault(boxes, (width, height)):
        raise DatasetError(f"{fault}; mend or remove that box")


def find_fault(boxes: Sequence[Box], size: tuple[int, int] | None) -> str | None:
    """Return what is wrong with the first bad box; without a size (width, height), what can be told without it."""
    for number, box in enumerate(boxes, 1):
        if fault := _fault(box, *(size or (math.inf, math.inf))):
            edges = ", ".join(f"{edge:g}" for edge in (box.x0, box.y0, box.x1, box.y1))
            place = f" of {size[0]}×{size[1]} pixels" if size else ""
            return f"box {number} of {len(boxes)} (from x, y to x, y: {edges}) {fault}{place}"
    return None


def _fault(box: Box, width: float, height: float) -> str | None:
    if not all(math.isfinite(edge) for edge in (box.x0, box.y0, box.x1, box.y1)):
        return "is not finite in the image"
    if box.x1 < box.x0 or box.y1 < box.y0:
        return "is inverted in the image"
    if box.x1 == box.x0 or box.y1 == box.y0:
        return "is empty in the image"
    out = max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)
    if out > TOLERANCE or min(box.x1, box.y1, width - box.x0, height - box.y0) <= 0:
        return "lies outside the image"
    return None


def clip_boxes(boxes: Iterable[Box], width: int, height: int) -> tuple[Box, ...]:
    """Return checked boxes without what sticks out of the image."""
    return tuple(
        Box(max(box.x0, 0.0), max(box.y0, 0.0), min(box.x1, width), min(box.y1, height), box.label) for box in boxes
    )


def box_mask(boxes: Iterable[Box], geometry: Geometry, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of the network's input lie in the union of boxes.

    A pixel counts where its centre, mapped back into the image, lies in a box. A box outside the crop, or between
    two centres, marks nothing.

    Parameters
    ----------
    boxes : iterable of Box
    geometry : Geometry
        Where the network's input lies in the image.
    size : tuple of int
        ``(H, W)`` of the network's input.

    Returns
    -------
    ndarray of shape (H, W), bool
    """
    x0, y0, x1, y1 = geometry.crop
    rows, columns = _centres(y0, y1, size[0]), _centres(x0, x1, size[1])
    mask = np.zeros(size, np.bool_)
    for box in boxes:
        across = (columns >= box.x0) & (columns < box.x1)
        down = (rows >= box.y0) & (rows < box.y1)
        mask |= down[:, None] & across  # (H, W)
    return mask


def _centres(start: int, stop: int, count: int) -> NDArray[np.float64]:
    return np.asarray(start + (np.arange(count) + 0.5) * (stop - start) / count, np.float64)
