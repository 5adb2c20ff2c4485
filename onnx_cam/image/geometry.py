"""Where the network's input lies in the image, and how a map is placed back there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.frame import WHOLE, Frame

__all__ = ["Geometry"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Geometry:
    """Where the network's input lies in the image.

    Attributes
    ----------
    height, width : int
        The size of the image as given, in pixels.
    crop : tuple of int
        ``(x0, y0, x1, y1)`` in pixels, the part of the image that the network saw; x1 and y1 are exclusive.
    cells : Frame
        The part of a map that lies within the crop, in fractions of the map: all of it, unless the graph pads.

    Examples
    --------
    >>> geometry = Geometry(height=2, width=4, crop=(1, 0, 3, 2))
    >>> geometry.place(np.array([[0, 1], [2, 4]], np.float32))
    array([[0.  , 0.  , 0.25, 0.  ],
           [0.  , 0.5 , 1.  , 0.  ]], dtype=float32)
    """

    height: int
    width: int
    crop: tuple[int, int, int, int]
    cells: Frame = field(default=WHOLE, repr=False)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Where the whole map lies in the image, ``(x0, y0, x1, y1)`` in pixels: beyond the image where it is padded.

        Examples
        --------
        >>> Geometry(20, 40, (0, 0, 40, 20), Frame(0.25, 0.0, 0.75, 1.0)).extent
        (0.0, -10.0, 40.0, 30.0)
        """
        x0, y0, x1, y1 = self.crop
        if self.cells.is_whole:
            return x0, y0, x1, y1
        across = (x1 - x0) / (self.cells.right - self.cells.left)
        down = (y1 - y0) / (self.cells.bottom - self.cells.top)
        left, top = x0 - self.cells.left * across, y0 - self.cells.top * down
        return left, top, left + across, top + down

    def place(self, cam: Floats) -> Floats:
        """Return a map in the image's geometry, min-max normalised: ``s(U(L))`` inside the crop, 0 outside.

        Parameters
        ----------
        cam : ndarray of shape (h, w), float32
            L, at the layer's resolution.

        Returns
        -------
        ndarray of shape (height, width), float32, in [0, 1]
            All 0 where the map is constant.
        """
        x0, y0, x1, y1 = self.crop
        placed = self.upsample(cam)  # (H, W)
        inside = placed[y0:y1, x0:x1]
        low, high = float(inside.min()), float(inside.max())
        placed[y0:y1, x0:x1] = np.clip((inside - low) / (high - low), 0, 1) if high > low else 0
        return placed

    def upsample(self, values: Floats, *, blocks: bool = False) -> Floats:
        """Return values in the image's geometry, not normalised: ``U(values)`` inside the crop, 0 outside.

        Parameters
        ----------
        values : ndarray of shape (h, w), float32
        blocks : bool
            Take the nearest value, so that each cell becomes a block. Otherwise the values are interpolated linearly.

        Returns
        -------
        ndarray of shape (height, width), float32

        Examples
        --------
        >>> Geometry(1, 4, (0, 0, 4, 1)).upsample(np.array([[0, 8]], np.float32))
        array([[0., 2., 6., 8.]], dtype=float32)
        >>> Geometry(1, 4, (0, 0, 4, 1)).upsample(np.array([[0, 8]], np.float32), blocks=True)
        array([[0., 0., 8., 8.]], dtype=float32)
        """
        import cv2

        interpolation = cv2.INTER_NEAREST_EXACT if blocks else cv2.INTER_LINEAR
        x0, y0, x1, y1 = self.crop
        placed = np.zeros((self.height, self.width), np.float32)
        if self.cells.is_whole:
            placed[y0:y1, x0:x1] = cv2.resize(values, (x1 - x0, y1 - y0), interpolation=interpolation)
        else:
            placed[y0:y1, x0:x1] = _part(values, self.cells, (y1 - y0, x1 - x0), blocks=blocks)
        return placed

    def seen_by(self, frame: Frame) -> Geometry:
        """Return the geometry of a layer whose cells cover a frame of the network's input.

        Parameters
        ----------
        frame : Frame
            What the graph itself crops or pads.

        Returns
        -------
        Geometry
            Its crop is the part that the cells see, at least one pixel each way.

        Examples
        --------
        >>> Geometry(40, 80, (20, 0, 60, 40)).seen_by(Frame(0.25, 0.25, 0.75, 0.75))
        Geometry(height=40, width=80, crop=(30, 10, 50, 30))
        """
        if frame.is_whole:
            return self
        # Both in fractions of the network's input: where the image lies in it, and what the cells see of the image.
        image = self.cells
        seen = frame.common(image)
        x0, y0, x1, y1 = self.crop
        in_image = image.within(seen)
        top, bottom = (round(y0 + share * (y1 - y0)) for share in in_image.rows)
        left, right = (round(x0 + share * (x1 - x0)) for share in in_image.columns)
        top, left = min(top, self.height - 1), min(left, self.width - 1)
        crop = (left, top, max(right, left + 1), max(bottom, top + 1))
        return replace(self, crop=crop, cells=frame.within(seen))

    def mirrored(self) -> Geometry:
        """Return where a map lies that was made of the mirror image, and is itself mirrored back.

        Examples
        --------
        >>> Geometry(20, 40, (5, 0, 25, 20)).mirrored()
        Geometry(height=20, width=40, crop=(15, 0, 35, 20))
        """
        x0, y0, x1, y1 = self.crop
        cells = Frame(self.cells.top, 1 - self.cells.right, self.cells.bottom, 1 - self.cells.left)
        return replace(self, crop=(self.width - x1, y0, self.width - x0, y1), cells=cells)

    def within(self, whole: tuple[int, int], top: int, left: int) -> Geometry:
        """Return where a map lies in a larger image, of which this one is a part.

        Parameters
        ----------
        whole : tuple of int
            ``(height, width)`` of the larger image, in pixels.
        top, left : int
            Where this image begins in it.

        Examples
        --------
        >>> Geometry(18, 36, (2, 0, 20, 18)).within((20, 40), top=1, left=2)
        Geometry(height=20, width=40, crop=(4, 1, 22, 19))
        """
        x0, y0, x1, y1 = self.crop
        return Geometry(*whole, (x0 + left, y0 + top, x1 + left, y1 + top), self.cells)

    def common(self, other: Geometry) -> tuple[slice, slice] | None:
        """Return the rows and columns of the image that two crops have in common; None where they have none.

        Examples
        --------
        >>> Geometry(9, 9, (0, 0, 5, 9)).common(Geometry(9, 9, (3, 2, 9, 7)))
        (slice(2, 7, None), slice(3, 5, None))
        """
        x0, y0 = (max(self.crop[axis], other.crop[axis]) for axis in (0, 1))
        x1, y1 = (min(self.crop[axis], other.crop[axis]) for axis in (2, 3))
        return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None

    def scaled(self, height: int, width: int) -> Geometry:
        """Return where the network's input lies in the image scaled to another size.

        Parameters
        ----------
        height, width : int
            The new size, in pixels, at least 1.

        Returns
        -------
        Geometry
            Its crop is rounded to whole pixels, at least one of them each way.

        Examples
        --------
        >>> Geometry(60, 80, (10, 0, 70, 60)).scaled(15, 20)
        Geometry(height=15, width=20, crop=(2, 0, 18, 15))
        """
        down, across = height / self.height, width / self.width
        x0, y0, x1, y1 = self.crop
        left, top = min(round(x0 * across), width - 1), min(round(y0 * down), height - 1)
        right, bottom = max(round(x1 * across), left + 1), max(round(y1 * down), top + 1)
        return Geometry(height, width, (left, top, right, bottom), self.cells)


def _part(values: Floats, cells: Frame, size: tuple[int, int], *, blocks: bool) -> Floats:
    """Return a part of a map, resized to ``(height, width)`` pixels."""
    height, width = values.shape
    rows = (cells.top + (np.arange(size[0]) + 0.5) / size[0] * (cells.bottom - cells.top)) * height - 0.5
    columns = (cells.left + (np.arange(size[1]) + 0.5) / size[1] * (cells.right - cells.left)) * width - 0.5
    if blocks:
        return np.asarray(values[np.ix_(_nearest(rows, height), _nearest(columns, width))], np.float32)
    return np.asarray(_between(_between(values, rows, 0), columns, 1), np.float32)


def _nearest(places: Floats, count: int) -> NDArray[np.int_]:
    return np.asarray(np.clip(np.floor(places + 0.5), 0, count - 1), int)


def _between(values: Floats, places: Floats, axis: int) -> Floats:
    """Interpolate linearly along an axis; ``cv2.remap`` rounds the places to 1/32 before OpenCV 5."""
    below = np.floor(places).astype(int)
    share = (places - below).reshape((-1, 1) if axis == 0 else (1, -1))
    last = values.shape[axis] - 1
    lower, upper = (np.take(values, np.clip(below + i, 0, last), axis) for i in (0, 1))
    return np.asarray(lower * (1 - share) + upper * share)
