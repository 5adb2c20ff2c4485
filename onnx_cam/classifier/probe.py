"""Where a layer's cells lie in the network's input, found by a run: patches of the input are changed, one by one.

A changed patch changes the layer most where its cells look at the patch, even where attention or a squeeze-and-excite
block lets every patch matter everywhere. Two lines are fitted: from each row of patches to the cells that it changes
most, and from each row of cells to the patches that change it most. Wide receptive fields, cut off at the border, pull
both towards the centre by about as much, so that the root of their quotient is the scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.frame import WHOLE, Frame
from onnx_cam.graph.inputs.element_types import ELEMENT_TYPES
from onnx_cam.graph.layer_geometry import LayerGeometry

__all__ = ["find_geometry"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_PATCHES = 6  # along each side
_IMAGES = 2
_BATCH = 12
_SEED = 0
_PIXEL_STEP = 96.0  # levels of an 8-bit pixel
_LEAST_CHANGE = 0.05  # of the largest: what changes less is not seen by the layer
_LEAST_ROWS = 3
_LEAST_EXPLAINED = 0.5  # of the variance along an axis: less means that no hypothesis fits
_SAME_SCALE = 1.3  # a frame whose scale is nearer to the input's than this factor is the whole input,
_SAME_CENTRE = 0.12  # where its centre is nearer than this to the input's, in fractions;
_LARGEST_MARGIN = 0.1  # of the input: cells that would lie further outside speak against the fit, not for padding
_LOOSENESS = (2.0, 0.4)  # what both grow by where the fit explains nothing: small and sparse layers fit loosely


def find_geometry(
    layer_maps: Callable[[Floats], Floats], images: Floats, dtype: str = "float32"
) -> LayerGeometry | None:
    """Return the geometry of a layer, by runs in which patches of the input are changed.

    Parameters
    ----------
    layer_maps : callable
        Returns the layer's maps (B, K, h, w) of images (B, C, H, W), turned as the tensor is.
    images : ndarray of shape (2, C, H, W), float32
        Trial images.
    dtype : str
        What the input takes: 8-bit pixels are changed by whole levels.

    Returns
    -------
    LayerGeometry or None
        None where no hypothesis fits, or where two equal runs differ.

    Examples
    --------
    >>> images = np.random.default_rng(0).standard_normal((2, 1, 24, 24)).astype(np.float32)
    >>> def mean_of_cells(batch):
    ...     return batch.reshape(len(batch), 1, 6, 4, 6, 4).mean(axis=(3, 5))
    >>> str(find_geometry(mean_of_cells, images))
    'the whole input'
    >>> str(find_geometry(lambda batch: mean_of_cells(batch).swapaxes(2, 3), images))
    'the whole input, rows and columns swapped'
    """
    total: Doubles | None = None
    for image in images[:_IMAGES]:
        change = _measure(layer_maps, image, dtype)
        if change is None:
            return None
        total = change if total is None else total + change
    return None if total is None else _best_hypothesis(total)


def _measure(layer_maps: Callable[[Floats], Floats], image: Floats, dtype: str) -> Doubles | None:
    """Return how much each patch of an image changes each cell of the layer, (6, 6, h, w), at most 1."""
    # The layer without a change, twice: a graph that draws random numbers cannot be probed.
    plain = layer_maps(np.stack([image, image]))  # (2, K, h, w)
    if not np.array_equal(plain[0], plain[1]):
        return None
    # One image for each of 6×6 patches, whose values are replaced by others of the same kind.
    changed = _changed_images(image, dtype)
    parts = [layer_maps(np.stack(list(islice(changed, _BATCH)))) for _ in range(0, _PATCHES**2, _BATCH)]
    change = np.abs(np.concatenate(parts).astype(np.float64) - plain[0]).sum(axis=1)  # (36, h, w)
    if not np.isfinite(change).all() or not change.any():
        return None
    return np.asarray(change / change.max()).reshape(_PATCHES, _PATCHES, *change.shape[1:])


def _changed_images(image: Floats, dtype: str) -> Iterator[Floats]:
    """Yield an image with each of its patches changed, 36 × (C, H, W), row by row; large ones do not fit together."""
    generator = np.random.default_rng(_SEED)
    rows = np.linspace(0, image.shape[1], _PATCHES + 1).round().astype(int)
    columns = np.linspace(0, image.shape[2], _PATCHES + 1).round().astype(int)
    spread = float(image.std()) or 1.0
    for i, j in product(range(_PATCHES), range(_PATCHES)):
        place = np.s_[:, rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
        one = image.copy()
        if ELEMENT_TYPES[dtype].is_integer:
            one[place] = np.where(one[place] > 127, one[place] - _PIXEL_STEP, one[place] + _PIXEL_STEP)
        else:
            one[place] += (2 * spread * generator.standard_normal(one[place].shape)).astype(np.float32)
        yield one


def _best_hypothesis(change: Doubles) -> LayerGeometry | None:
    """Return the geometry that explains the changes (6, 6, h, w) best; None where none does."""
    # Upright, the layer's rows follow the input's height and its columns the width; transposed, the other way round.
    upright = _fit(change.sum(axis=(1, 3))), _fit(change.sum(axis=(0, 2)))
    transposed = _fit(change.sum(axis=(1, 2))), _fit(change.sum(axis=(0, 3)))
    down, across = max((upright, transposed), key=lambda axes: sum(axis.explained for axis in axes))
    if min(down.explained, across.explained) < _LEAST_EXPLAINED:
        return None
    top, bottom = down.span()
    left, right = across.span()
    if min(top, left) < -_LARGEST_MARGIN or max(bottom, right) > 1 + _LARGEST_MARGIN:
        return None
    frame = WHOLE if down.is_whole and across.is_whole else Frame(top, left, bottom, right)
    return LayerGeometry(frame, (down, across) == transposed, down.scale < 0, across.scale < 0, source="run")


@dataclass(frozen=True)
class _Axis:
    """How an axis of the layer follows an axis of the input.

    Attributes
    ----------
    scale : float
        Cells per input, both as fractions of their axis: 2 for a crop of half; negative for a flip.
    centre : float
        The place in the input that the middle of the layer's axis looks at.
    explained : float
        The share of the variance that a straight line explains, from 0 to 1.
    """

    scale: float
    centre: float
    explained: float

    @property
    def is_whole(self) -> bool:
        """Whether nothing speaks against the layer covering the whole axis."""
        unexplained = 1 - self.explained
        same_scale = _SAME_SCALE + _LOOSENESS[0] * unexplained
        same_centre = _SAME_CENTRE + _LOOSENESS[1] * unexplained
        return 1 / same_scale < abs(self.scale) < same_scale and abs(self.centre - 0.5) < same_centre

    def span(self) -> tuple[float, float]:
        """Return where the layer begins and ends along the axis of the input."""
        if self.is_whole:
            return 0.0, 1.0
        half = 0.5 / abs(self.scale)
        return self.centre - half, self.centre + half


def _fit(change: Doubles) -> _Axis:
    """Fit the changes (6, n) that rows of patches make in rows of cells: forwards, and backwards."""
    forwards, explained = _line(change)  # cells = slope · patches + offset
    backwards, _ = _line(change.T)  # patches = slope · cells + offset
    if explained == 0 or forwards[0] * backwards[0] <= 0:
        return _Axis(1.0, 0.5, 0.0)
    scale = float(np.sign(forwards[0]) * np.sqrt(forwards[0] / backwards[0]))
    centre = ((0.5 - forwards[1]) / forwards[0] + backwards[0] * 0.5 + backwards[1]) / 2
    return _Axis(scale, float(centre), explained)


def _line(change: Doubles) -> tuple[tuple[float, float], float]:
    """Return slope and offset of the line from rows to the centres of what they change, and what it explains."""
    peaks = change.max(axis=1)
    seen = np.flatnonzero(peaks > _LEAST_CHANGE * peaks.max())
    if len(seen) < _LEAST_ROWS:
        return (0.0, 0.0), 0.0
    places = (seen + 0.5) / len(change)
    above_half = np.maximum(change[seen] - peaks[seen, None] / 2, 0)
    cells = (np.arange(change.shape[1]) + 0.5) / change.shape[1]
    centres = above_half @ cells / above_half.sum(axis=1)
    slope, offset = np.polyfit(places, centres, 1)
    variance = float(centres.var())
    residual = float(((centres - slope * places - offset) ** 2).mean())
    return (float(slope), float(offset)), 1 - residual / variance if variance > 0 else 0.0
