"""Four images in one: a mosaic of two by two network inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS", "at_cell_size", "cell_area", "make_mosaic"]

Floats = NDArray[np.float32]

CELLS = 4
"""The cells of a mosaic, row by row."""


def cell_area(cell: int, size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a cell of a mosaic.

    Parameters
    ----------
    cell : int
        0 to 3, row by row.
    size : tuple of int
        ``(H, W)`` of the mosaic, in pixels. Of an odd side the second cell gets the pixel in the middle.

    Examples
    --------
    >>> cell_area(1, (20, 31))
    (slice(0, 10, None), slice(15, 31, None))
    """
    halves = [(slice(0, side // 2), slice(side // 2, side)) for side in size]
    return halves[0][cell // 2], halves[1][cell % 2]


def make_mosaic(inputs: Sequence[Floats], size: tuple[int, int]) -> Floats:
    """Return a mosaic of four network inputs.

    Parameters
    ----------
    inputs : sequence of ndarray of shape (C, h, w), float32
        In the order of the cells, all of one shape. Where the cells are smaller, each pixel becomes the mean of those
        that it stands for.
    size : tuple of int
        ``(H, W)`` of the mosaic, in pixels.

    Returns
    -------
    ndarray of shape (C, H, W), float32

    Examples
    --------
    >>> inputs = [np.full((1, 2, 2), value, np.float32) for value in (1, 2, 3, 4)]
    >>> make_mosaic(inputs, (2, 2)).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    mosaic = np.empty((len(inputs[0]), *size), np.float32)
    for cell, one in enumerate(inputs):
        rows, columns = cell_area(cell, size)
        mosaic[:, rows, columns] = _resized(one, (rows.stop - rows.start, columns.stop - columns.start))
    return mosaic


def at_cell_size(network_input: Floats) -> Floats:
    """Return a network input with the detail that it has in a cell of a mosaic of its own size: shrunk, and enlarged.

    Parameters
    ----------
    network_input : ndarray of shape (C, H, W), float32

    Returns
    -------
    ndarray of shape (C, H, W), float32

    Examples
    --------
    >>> at_cell_size(np.array([[[0, 4, 8, 8], [0, 4, 8, 8]]], np.float32)).round(1).tolist()
    [[[2.0, 3.5, 6.5, 8.0], [2.0, 3.5, 6.5, 8.0]]]
    """
    height, width = network_input.shape[1:]
    return _resized(_resized(network_input, (max(1, height // 2), max(1, width // 2))), (height, width))


def _resized(images: Floats, size: tuple[int, int]) -> Floats:
    """Return channels at another size: by area where they shrink, linearly where they grow."""
    import cv2

    height, width = images.shape[1:]
    if (height, width) == size:
        return images
    interpolation = cv2.INTER_AREA if size[0] <= height and size[1] <= width else cv2.INTER_LINEAR
    return np.stack([cv2.resize(one, size[::-1], interpolation=interpolation) for one in images]).astype(np.float32)
