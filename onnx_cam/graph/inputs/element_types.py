"""The types of element that an image can be cast to, each with the cast in NumPy and in a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.emission import Emission

__all__ = ["ELEMENT_TYPES", "ElementType", "element_type_of"]

_CLIP_INPUTS_SINCE = 11
_ROUND_SINCE = 11
_NO_FRACTIONS = np.array(3 * 2**22, np.float32)
"""From 2²² on, float32 keeps whole numbers only when this is added: a sum is rounded, half to even."""
_LARGEST = 2.0**22  # of the wide integers; larger numbers are not pixel values


@dataclass(frozen=True)
class ElementType:
    """A type of element that an image can be cast to.

    Attributes
    ----------
    name : str
        NumPy's name.
    onnx_type : int
        ONNX's number of it.
    low, high : float
        What pixel values are cut off at; infinite for floating-point types.
    offset : float
        What is subtracted from pixel values that are cast to it: 128 for int8, whose range is that of 8-bit pixels.

    Examples
    --------
    >>> ELEMENT_TYPES["uint8"].is_integer, ELEMENT_TYPES["float64"].is_integer
    (True, False)
    """

    name: str
    onnx_type: int
    low: float = -np.inf
    high: float = np.inf
    offset: float = 0.0

    @property
    def is_integer(self) -> bool:
        """Whether its elements are whole numbers, which take pixel values without normalisation."""
        return bool(np.isfinite(self.high))

    @property
    def numpy_type(self) -> np.dtype[Any]:
        """The type in NumPy, which knows bfloat16 by the package ml_dtypes alone."""
        if self.name == "bfloat16":
            return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(self.onnx_type))
        return np.dtype(self.name)

    def cast(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Return values of this type, whole numbers rounded and cut off at its limits.

        Examples
        --------
        >>> ELEMENT_TYPES["int8"].cast(np.float32([-7, 0.6, 255])).tolist()
        [-128, -127, 127]
        """
        if self.is_integer:
            values = np.clip(np.rint(values), self.low, self.high) - np.float32(self.offset)
        return np.ascontiguousarray(values, self.numpy_type)

    def emit(self, front: Emission, values: gs.Variable) -> gs.Variable:
        """Return the same cast as nodes of a graph.

        Parameters
        ----------
        front : Emission
            The nodes that this is added to.
        values : onnx_graphsurgeon.Variable
            float32.
        """
        if self.is_integer:
            values = _rounded(front, self._clipped(front, values))
        if self.offset:
            values = front.add("Sub", values, np.array(self.offset, np.float32))
        return values if self.name == "float32" else front.add("Cast", values, to=self.onnx_type)

    def _clipped(self, front: Emission, values: gs.Variable) -> gs.Variable:
        if front.opset < _CLIP_INPUTS_SINCE:
            return front.add("Clip", values, min=float(self.low), max=float(self.high))
        return front.add("Clip", values, np.array(self.low, np.float32), np.array(self.high, np.float32))


def _rounded(front: Emission, values: gs.Variable) -> gs.Variable:
    if front.opset < _ROUND_SINCE:
        return front.add("Sub", front.add("Add", values, _NO_FRACTIONS), _NO_FRACTIONS)
    return front.add("Round", values)


_TENSOR = onnx.TensorProto
ELEMENT_TYPES: dict[str, ElementType] = {
    one.name: one
    for one in (
        ElementType("float32", _TENSOR.FLOAT),
        ElementType("float16", _TENSOR.FLOAT16),
        ElementType("bfloat16", _TENSOR.BFLOAT16),
        ElementType("float64", _TENSOR.DOUBLE),
        ElementType("uint8", _TENSOR.UINT8, 0, 255),
        ElementType("int8", _TENSOR.INT8, 0, 255, offset=128),
        ElementType("uint16", _TENSOR.UINT16, 0, 2**16 - 1),
        ElementType("int16", _TENSOR.INT16, -(2**15), 2**15 - 1),
        ElementType("uint32", _TENSOR.UINT32, 0, _LARGEST),
        ElementType("int32", _TENSOR.INT32, -_LARGEST, _LARGEST),
        ElementType("uint64", _TENSOR.UINT64, 0, _LARGEST),
        ElementType("int64", _TENSOR.INT64, -_LARGEST, _LARGEST),
    )
}
"""The types by NumPy's names."""


def element_type_of(onnx_type: int) -> ElementType | None:
    """Return the type with ONNX's number; None for one that an image cannot be cast to, such as text.

    Examples
    --------
    >>> element_type_of(onnx.TensorProto.DOUBLE).name
    'float64'
    >>> element_type_of(onnx.TensorProto.STRING) is None
    True
    """
    return next((one for one in ELEMENT_TYPES.values() if one.onnx_type == onnx_type), None)
