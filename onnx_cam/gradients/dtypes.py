"""The data types of ONNX tensors, as torch's.

Every floating type becomes the module's own: float32, or float64 after ``module.double()``. A float16 model is
therefore run in float32, and a Cast between floating types changes nothing. The derivatives of a float16 model are
those of the network in full precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor

__all__ = ["TORCH_TYPES", "as_floats", "as_tensor", "onnx_type"]

TORCH_TYPES: dict[int, torch.dtype] = {
    **dict.fromkeys((TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE), torch.float32),
    TensorProto.BOOL: torch.bool,
    **dict.fromkeys((TensorProto.INT8, TensorProto.INT4), torch.int8),
    **dict.fromkeys((TensorProto.UINT8, TensorProto.UINT4), torch.uint8),
    TensorProto.INT16: torch.int16,
    TensorProto.UINT16: torch.uint16,
    TensorProto.INT32: torch.int32,
    **dict.fromkeys((TensorProto.INT64, TensorProto.UINT32, TensorProto.UINT64), torch.int64),
}
"""ONNX's data type to torch's."""

_SAME_TYPES = ("float32", "bool", "int8", "uint8", "int16", "uint16", "int32", "int64")
_CONVERTED_TYPES = {
    "float16": "float32",
    "bfloat16": "float32",
    "float64": "float32",
    "uint32": "int64",
    "uint64": "int64",
    "int4": "int8",
    "uint4": "uint8",
}


def as_tensor(array: NDArray[Any], *, copy: bool = True) -> Tensor:
    """Return a graph's constant as a tensor.

    Parameters
    ----------
    array : ndarray
    copy : bool
        False shares the memory of a writeable array, where torch has its type.

    Raises
    ------
    TypeError
        It holds strings, complex numbers or 8-bit floats; the message is the type's name.

    Examples
    --------
    >>> as_tensor(np.array([1.5, 2.0])), as_tensor(np.array([7], np.uint32))
    (tensor([1.5000, 2.0000]), tensor([7]))
    """
    name = array.dtype.name
    if name not in _SAME_TYPES and name not in _CONVERTED_TYPES:
        raise TypeError(name)
    dtype = _CONVERTED_TYPES.get(name, name)
    return torch.from_numpy(np.array(array, dtype) if copy else np.asarray(array, dtype))


def as_floats(tensor: Tensor) -> Tensor:
    """Return integers as float32 numbers of the same value; floats are returned as they are."""
    return tensor if tensor.is_floating_point() else tensor.to(torch.float32)


def onnx_type(data_type: int | str | bytes) -> torch.dtype:
    """Return the torch type of an ONNX data type, given by number, or by name as before opset 6.

    Examples
    --------
    >>> onnx_type(onnx.TensorProto.FLOAT16), onnx_type("INT64")
    (torch.float32, torch.int64)
    """
    if isinstance(data_type, bytes):
        data_type = data_type.decode()
    number = onnx.TensorProto.DataType.Value(data_type) if isinstance(data_type, str) else data_type
    return TORCH_TYPES[number]
