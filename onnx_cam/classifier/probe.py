"""Where a layer's cells lie in the network's input, found by a run: patches of the input are changed, one by one.

A changed patch changes the layer most where its cells look at the patch, even where attention or a squeeze-and-excite
block lets every patch matter everywhere. So the centre of the change above half of its peak is taken, and hypotheses
are compared by how well they fit those centres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.frame import WHOLE, Frame
from onnx_cam.graph.image_input import EIGHT_BITS
from onnx_cam.graph.layer_geometry import LayerGeometry

__all__ = ["find_geometry"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_PATCHES = 6  # along each side
_IMAGES = 2
_BATCH = 12
_SEED = 0
_PIXEL_STEP = 96.0  # levels of an 8-bit pixel
_LEAST_CHANGE = 0.05  # of the largest: a patch that changes less is not seen by the layer
_LEAST_PATCHES = 6
_LEAST_EXPLAINED = 0.6  # of the centres' variance: less means that no hypothesis fits
_AS_GOOD = 0.04  # of the layer's side: what a simpler hypothesis may be worse by


@dataclass(frozen=True)
class _Centres:
    """Centres of patches (y, x) in the input, and of the changes that they make (row, column) in the layer: (P, 2)."""

    patches: Doubles
    changes: Doubles


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
    centres = [_measure(layer_maps, image, dtype) for image in images[:_IMAGES]]
    found = [one for one in centres if one is not None]
    if len(found) < len(centres):
        return None
    patches, changes = (
        np.concatenate(parts) for parts in zip(*((one.patches, one.changes) for one in found), strict=True)
    )
    return None if len(patches) < _LEAST_PATCHES else _best_hypothesis(_Centres(patches, changes))


def _measure(layer_maps: Callable[[Floats], Floats], image: Floats, dtype: str) -> _Centres | None:
    """Change each patch of an image, and find the centre of what changes in the layer."""
    # The layer without a change, twice: a graph that draws random numbers cannot be probed.
    plain = layer_maps(np.stack([image, image]))  # (2, K, h, w)
    if not np.array_equal(plain[0], plain[1]):
        return None
    # One image for each of 6×6 patches: its values are replaced by others of the same kind.
    changed, centres = _changed_images(image, dtype)
    parts = [layer_maps(changed[start : start + _BATCH]) for start in range(0, len(changed), _BATCH)]
    change = np.abs(np.concatenate(parts).astype(np.float64) - plain[0]).sum(axis=1)  # (36, h, w)
    if not np.isfinite(change).all() or not change.any():
        return None
    peaks = change.max(axis=(1, 2))
    seen = peaks > _LEAST_CHANGE * peaks.max()
    return _Centres(centres[seen], np.stack([_centre(one) for one in change[seen]]))


def _changed_images(image: Floats, dtype: str) -> tuple[Floats, Doubles]:
    """Return an image with each of its patches changed, (36, C, H, W), and the patches' centres in fractions."""
    generator = np.random.default_rng(_SEED)
    height, width = image.shape[1:]
    rows = np.linspace(0, height, _PATCHES + 1).round().astype(int)
    columns = np.linspace(0, width, _PATCHES + 1).round().astype(int)
    changed, centres = [], []
    spread = float(image.std()) or 1.0
    for i, j in product(range(_PATCHES), range(_PATCHES)):
        place = np.s_[:, rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
        one = image.copy()
        if dtype in EIGHT_BITS:
            one[place] = np.where(one[place] > 127, one[place] - _PIXEL_STEP, one[place] + _PIXEL_STEP)
        else:
            one[place] += (2 * spread * generator.standard_normal(one[place].shape)).astype(np.float32)
        changed.append(one)
        centres.append(((rows[i] + rows[i + 1]) / 2 / height, (columns[j] + columns[j + 1]) / 2 / width))
    return np.stack(changed), np.array(centres)


def _centre(change: Doubles) -> Doubles:
    """Return the centre (row, column) of what lies above half of the peak, in fractions of the layer's sides."""
    weight = np.maximum(change - change.max() / 2, 0)
    rows = (np.arange(change.shape[0]) + 0.5) / change.shape[0]
    columns = (np.arange(change.shape[1]) + 0.5) / change.shape[1]
    centre: Doubles = np.array([weight.sum(axis=1) @ rows, weight.sum(axis=0) @ columns]) / weight.sum()
    return centre


def _best_hypothesis(centres: _Centres) -> LayerGeometry | None:
    """Return the geometry that fits best, the simpler one where two fit about as well."""
    fits = []
    for transposed in (False, True):
        order = [1, 0] if transposed else [0, 1]
        # Row and column of the layer as straight lines of y and x of the input, each axis by itself.
        lines = [_fit(centres.patches[:, order[axis]], centres.changes[:, axis]) for axis in (0, 1)]
        fits.append((sum(line.error for line in lines), transposed, lines))
    _, transposed, lines = min(fits, key=lambda fit: fit[0])
    if min(line.explained for line in lines) < _LEAST_EXPLAINED:
        return None
    down, across = reversed(lines) if transposed else lines
    top, bottom = down.span()
    left, right = across.span()
    return LayerGeometry(
        Frame(min(top, bottom), min(left, right), max(top, bottom), max(left, right))
        if not (down.is_whole and across.is_whole)
        else WHOLE,
        transposed,
        down.slope < 0,
        across.slope < 0,
        source="run",
    )


@dataclass(frozen=True)
class _Line:
    """A position in the layer as ``slope · position in the input + offset``, and how well that fits."""

    slope: float
    offset: float
    error: float
    explained: float
    error_of_whole: float

    @property
    def is_whole(self) -> bool:
        """Whether the layer covers the whole axis, upright or flipped, about as well as anything else fits."""
        return self.error_of_whole <= self.error + _AS_GOOD

    def span(self) -> tuple[float, float]:
        """Return where the layer begins and ends along the axis of the input."""
        if self.is_whole:
            return (0.0, 1.0) if self.slope > 0 else (1.0, 0.0)
        return -self.offset / self.slope, (1 - self.offset) / self.slope


def _fit(patches: Doubles, changes: Doubles) -> _Line:
    """Fit changes as a straight line of patches, one axis of each; both (P,)."""
    slope, offset = np.polyfit(patches, changes, 1)
    residual = changes - (slope * patches + offset)
    error = float(np.sqrt((residual**2).mean()))
    variance = float(changes.var())
    explained = 1 - error**2 / variance if variance > 0 else 0.0
    whole = patches if slope > 0 else 1 - patches
    error_of_whole = float(np.sqrt(((changes - whole) ** 2).mean()))
    return _Line(float(slope), float(offset), error, explained, error_of_whole)
