"""``s(L)`` and ``s(U(L))`` as nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.emitter import Emitter

__all__ = ["Upsampling", "normalised", "upsampled"]

Floats = NDArray[np.float32]

_OPSET_OF_CLIP_INPUTS = 11


@dataclass(frozen=True, eq=False)
class Upsampling:
    """U as two matrices: ``rows · L · columns``; it works at every opset, and with frames that cover part of the input.

    Attributes
    ----------
    rows : ndarray of shape (H, h), float32
    columns : ndarray of shape (w, W), float32
    inner_rows, inner_columns : ndarray of shape (r, h) and (w, c), float32
        Those of them among whose products the minimum and the maximum of ``U(L)`` are: no pixel outside the frame.

    Examples
    --------
    >>> rows, columns = np.ones((2, 1), np.float32), np.ones((1, 3), np.float32)
    >>> Upsampling(rows, columns, rows[:1], columns[:, :1]).rows.shape
    (2, 1)
    """

    rows: Floats
    columns: Floats
    inner_rows: Floats
    inner_columns: Floats


def normalised(emitter: Emitter, maps: str) -> str:
    """Return ``s(L)`` of maps (N, h, w); 0 where a map is constant."""
    shifted = _shifted(emitter, maps, maps)
    return _stretched(emitter, shifted, shifted)


def upsampled(emitter: Emitter, maps: str, upsampling: Upsampling) -> str:
    """Return ``s(U(L))`` of maps (N, h, w): (N, H, W); 0 outside the frame, and where a map is constant."""
    # Normalised first, at the maps' own size: U is linear, and its rows within the frame sum to 1. A constant map
    # becomes 0 before U, whose rows only sum to 1 up to rounding.
    maps = _shifted(emitter, maps, maps)
    inner = emitter.add("MatMul", upsampling.inner_rows, emitter.add("MatMul", maps, upsampling.inner_columns))
    small = _stretched(emitter, _shifted(emitter, maps, inner), _shifted(emitter, inner, inner))
    large = emitter.add("MatMul", upsampling.rows, emitter.add("MatMul", small, upsampling.columns))
    if emitter.opset < _OPSET_OF_CLIP_INPUTS:
        return emitter.add("Clip", large, min=0.0, max=1.0)
    return emitter.add("Clip", large, 0.0, 1.0)


def _shifted(emitter: Emitter, maps: str, ranged: str) -> str:
    """Return maps less the minimum of others."""
    return emitter.add("Sub", maps, emitter.reduce("ReduceMin", ranged, [1, 2]))


def _stretched(emitter: Emitter, maps: str, ranged: str) -> str:
    """Return maps divided by the maximum of others, whose minimum is 0; 0 where that maximum is 0."""
    highest = emitter.reduce("ReduceMax", ranged, [1, 2])
    is_constant = emitter.cast(emitter.equal(highest, 0.0))
    divided = emitter.add("Div", maps, emitter.add("Add", highest, is_constant))
    return emitter.add("Mul", divided, emitter.add("Sub", 1.0, is_constant))
