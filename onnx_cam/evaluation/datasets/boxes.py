"""Boxes around objects, in the image and in the network's input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import DatasetError
from onnx_cam.image.geometry import Geometry

__all__ = ["TOLERANCE", "Box", "box_mask", "check_boxes", "clip_boxes", "find_fault"]

TOLERANCE = 1.0
"""Pixels by which a box may stick out of its image: datasets round, and differ on whether pixels count from 0 or 1."""


@dataclass(frozen=True)
class Box:
    """A rectangle in continuous image coordinates: pixel i reaches from i to i + 1.

    Attributes
    ----------
    x0, y0, x1, y1 : float
        Left, top, right and bottom. Right and bottom are exclusive: pixels a to b, both included, are ``x0 = a``,
        ``x1 = b + 1``.
    label : int, str or None
        The class of the object, where a dataset labels each box; None stands for the image's label.

    Examples
    --------
    >>> Box(10, 20, 30, 25).area
    100
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
    """Check that boxes lie in an image.

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

    Examples
    --------
    >>> check_boxes([Box(0, 0, 40, 30)], width=40, height=30)
    >>> check_boxes([Box(0, 0, 40, 0)], width=40, height=30)
    Traceback (most recent call last):
        ...
    onnx_cam.errors.DatasetError: box 1 of 1 (x0, y0, x1, y1: 0, 0, 40, 0) is empty in the image of 40×30 pixels; ...
    """
    if fault := find_fault(boxes, (width, height)):
        raise DatasetError(f"{fault}; correct or remove that box")


def find_fault(boxes: Sequence[Box], size: tuple[int, int] | None) -> str | None:
    """Return what is wrong with the first invalid box, or None.

    Parameters
    ----------
    boxes : sequence of Box
    size : tuple of int or None
        ``(width, height)`` of the image; without it only what does not depend on it is checked.

    Examples
    --------
    >>> find_fault([Box(0, 0, 9, 9), Box(9, 0, 0, 9)], None)
    'box 2 of 2 (x0, y0, x1, y1: 9, 0, 0, 9) is inverted in the image'
    """
    for number, box in enumerate(boxes, 1):
        if fault := _fault(box, *(size or (math.inf, math.inf))):
            edges = ", ".join(f"{edge:g}" for edge in (box.x0, box.y0, box.x1, box.y1))
            pixels = f" of {size[0]}×{size[1]} pixels" if size else ""
            return f"box {number} of {len(boxes)} (x0, y0, x1, y1: {edges}) {fault}{pixels}"
    return None


def _fault(box: Box, width: float, height: float) -> str | None:
    if not all(math.isfinite(edge) for edge in (box.x0, box.y0, box.x1, box.y1)):
        return "is not finite in the image"
    if box.x1 < box.x0 or box.y1 < box.y0:
        return "is inverted in the image"
    if box.x1 == box.x0 or box.y1 == box.y0:
        return "is empty in the image"
    overhang = max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)
    if overhang > TOLERANCE or min(box.x1, box.y1, width - box.x0, height - box.y0) <= 0:
        return "lies outside the image"
    return None


def clip_boxes(boxes: Iterable[Box], width: int, height: int) -> tuple[Box, ...]:
    """Return checked boxes without what sticks out of the image.

    Examples
    --------
    >>> clip_boxes([Box(-1, 0, 20, 31)], width=40, height=30)
    (Box(x0=0.0, y0=0, x1=20, y1=30, label=None),)
    """
    return tuple(
        Box(max(box.x0, 0.0), max(box.y0, 0.0), min(box.x1, width), min(box.y1, height), box.label) for box in boxes
    )


def box_mask(boxes: Iterable[Box], geometry: Geometry, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of the network's input lie in any of the boxes.

    A pixel lies in a box if its centre, mapped back into the image, does. A box that lies outside the crop, or between
    two centres, marks nothing.

    Parameters
    ----------
    boxes : iterable of Box
        In pixels of the image.
    geometry : Geometry
        Where the network's input lies in the image.
    size : tuple of int
        ``(H, W)`` of the network's input.

    Returns
    -------
    ndarray of shape (H, W), bool

    Examples
    --------
    >>> whole_image = Geometry(height=20, width=40, crop=(0, 0, 40, 20))
    >>> box_mask([Box(0, 0, 20, 10)], whole_image, (2, 4)).astype(int)
    array([[1, 1, 0, 0],
           [0, 0, 0, 0]])
    """
    x0, y0, x1, y1 = geometry.extent
    rows, columns = _centres(y0, y1, size[0]), _centres(x0, x1, size[1])
    mask = np.zeros(size, np.bool_)
    for box in boxes:
        across = (columns >= box.x0) & (columns < box.x1)
        down = (rows >= box.y0) & (rows < box.y1)
        mask |= down[:, None] & across  # (H, W)
    return mask


def _centres(start: float, stop: float, count: int) -> NDArray[np.float64]:
    """Return where in the image the centres of the network input's pixels lie along one axis, (count,)."""
    return np.asarray(start + (np.arange(count) + 0.5) * (stop - start) / count, np.float64)
