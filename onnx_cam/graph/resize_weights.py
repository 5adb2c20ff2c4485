"""Which rows of an axis Resize and Upsample read, and with which weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interpolation", "new_sizes", "scaled_size"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_OPSET_OF_MODES = 11


def scaled_size(size: int, factor: float) -> int:
    """Return the new size of an axis, computed in float32 as ONNX Runtime does.

    Examples
    --------
    >>> scaled_size(5, 1.5)
    7
    """
    return int(np.floor(np.float32(size) * np.float32(factor)))


def new_sizes(old_sizes: Sequence[int], sizes: Sequence[int], policy: str) -> tuple[list[int], list[float]]:
    """Return the new sizes of axes and their factors, for Resize to given sizes.

    Parameters
    ----------
    old_sizes, sizes : sequence of int
        Of each resized axis: the input's, and the given ones.
    policy : str
        ``stretch``, or ``not_larger`` or ``not_smaller``: then all factors are the same.

    Examples
    --------
    >>> new_sizes([10, 20], [5, 40], "not_larger")
    ([5, 10], [0.5, 0.5])
    """
    factors = [size / old_size for size, old_size in zip(sizes, old_sizes, strict=True)]
    if policy == "stretch":
        return list(sizes), factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [int(np.floor(factor * old_size + 0.5)) for old_size in old_sizes], [factor] * len(old_sizes)


@dataclass(frozen=True)
class Interpolation:
    """How Resize interpolates: the attributes of its node.

    Attributes
    ----------
    opset : int
        The version of the operator.
    mode : str
        ``nearest``, ``linear`` or ``cubic``.
    coordinates : str
        The ``coordinate_transformation_mode``.
    nearest_mode : str
    cubic_coeff_a : float
    exclude_outside, antialias : bool

    Examples
    --------
    >>> doubling = Interpolation.of({"mode": b"linear"}, 13)
    >>> doubling.weights(2, 4, 2.0)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    >>> Interpolation.of({}, 13).rows(2, 4, 2.0)
    array([0, 0, 1, 1])
    """

    opset: int
    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest_mode: str = "round_prefer_floor"
    cubic_coeff_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False

    @classmethod
    def of(cls, attributes: Mapping[str, Any], opset: int) -> Interpolation:
        """Return the settings of a node from its attributes, text being bytes.

        Parameters
        ----------
        attributes : mapping of str to object
        opset : int
            The version of ONNX's operators; before 11 the coordinates were ``asymmetric``.
        """
        default = b"half_pixel" if opset >= _OPSET_OF_MODES else b"asymmetric"
        return cls(
            opset,
            attributes.get("mode", b"nearest").decode(),
            attributes.get("coordinate_transformation_mode", default).decode(),
            attributes.get("nearest_mode", b"round_prefer_floor").decode(),
            attributes.get("cubic_coeff_a", -0.75),
            bool(attributes.get("exclude_outside", 0)),
            bool(attributes.get("antialias", 0)),
        )

    def rows(self, old_size: int, size: int, factor: float) -> NDArray[np.int64]:
        """Return the input row that is nearest to each output row, as ``nearest_mode`` rounds, (size,).

        Parameters
        ----------
        old_size, size : int
            Of the input and of the output.
        factor : float
            The scale.
        """
        positions = self._positions(old_size, size, np.float32(factor))
        return np.clip(self._nearest(positions, factor), 0, old_size - 1).astype(np.int64)

    def weights(self, old_size: int, size: int, factor: float) -> Doubles:
        """Return the weight of each input row in each output row, (size, old_size).

        A row outside the input counts as the nearest one inside, or not at all with ``exclude_outside``.

        Parameters
        ----------
        old_size, size : int
            Of the input and of the output.
        factor : float
            The scale.
        """
        positions = self._positions(old_size, size, np.float32(factor)).astype(np.float64)
        is_cubic = self.mode == "cubic"
        stretch = 1 / factor if self.antialias and factor < 1 else 1.0
        radius = int(np.ceil((2 if is_cubic else 1) * stretch))
        rows = np.floor(positions)[:, None] + np.arange(1 - radius, 1 + radius)  # (size, taps)
        distances = np.abs(rows - positions[:, None]) / stretch
        taps = _cubic(distances, self.cubic_coeff_a) if is_cubic else np.maximum(1 - distances, 0)
        if self.exclude_outside:
            taps = taps * ((rows >= 0) & (rows < old_size))
        if self.exclude_outside or stretch > 1:
            taps = taps / taps.sum(axis=1, keepdims=True)
        weights = np.zeros((len(positions), old_size))
        outputs = np.broadcast_to(np.arange(len(positions))[:, None], rows.shape)
        np.add.at(weights, (outputs, np.clip(rows, 0, old_size - 1).astype(np.int64)), taps)
        return weights

    def _positions(self, old_size: int, size: int, factor: np.float32) -> Floats:
        """Return the position of each output row among the input's, (size,), in float32 as ONNX Runtime does."""
        rows = np.arange(size, dtype=np.float32)
        half_pixel = (rows + np.float32(0.5)) / factor - np.float32(0.5)
        if self.coordinates == "half_pixel_symmetric":
            adjustment = size / (float(factor) * old_size)
            half_pixel = half_pixel + np.float32(old_size / 2 * (1 - adjustment))
        positions: dict[str, Floats] = {
            "half_pixel": half_pixel,
            "half_pixel_symmetric": half_pixel,
            "pytorch_half_pixel": half_pixel if size > 1 else rows * 0,
            "align_corners": rows * np.float32((old_size - 1) / max(size - 1, 1)),
            "asymmetric": rows / factor,
            "tf_half_pixel_for_nn": (rows + np.float32(0.5)) / factor,
        }
        if self.coordinates not in positions:
            raise ValueError(
                f"unsupported coordinate_transformation_mode {self.coordinates!r}: "
                f"expected one of {', '.join(positions)}"
            )
        return np.asarray(positions[self.coordinates], np.float32)

    def _nearest(self, positions: Floats, factor: float) -> Floats:
        if self.opset < _OPSET_OF_MODES:
            return np.floor(positions) if factor >= 1 else np.ceil(positions)
        rounded: dict[str, Floats] = {
            "round_prefer_floor": np.ceil(positions - np.float32(0.5)),
            "round_prefer_ceil": np.floor(positions + np.float32(0.5)),
            "floor": np.floor(positions),
            "ceil": np.ceil(positions),
        }
        return rounded[self.nearest_mode]


def _cubic(distance: Doubles, a: float) -> Doubles:
    """Return the weights of Keys' cubic convolution at distances in rows."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
