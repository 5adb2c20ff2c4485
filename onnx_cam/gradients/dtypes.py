"""The types of ONNX's tensors, as torch's.

Every floating type is the module's own, float32 unless ``module.double()`` was called: a float16 model is run in
float32, and a Cast between floating types changes nothing. So the derivatives of a float16 model are those of the
network that it rounds.
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
_KEPT = ("float32", "bool", "int8", "uint8", "int16", "uint16", "int32", "int64")
_OTHERS = {"float16": "float32", "bfloat16": "float32", "float64": "float32", "uint32": "int64", "uint64": "int64"}
_OTHERS |= {"int4": "int8", "uint4": "uint8"}


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Return a constant of a graph as a tensor of its own memory.

    Raises
    ------
    TypeError
        Strings, complex numbers or floats of 8 bits.
    """
    name = array.dtype.name
    if name not in _KEPT and name not in _OTHERS:
        raise TypeError(name)
    return torch.from_numpy(np.array(array, _OTHERS.get(name, name)))


def as_floats(tensor: Tensor) -> Tensor:
    """Return whole numbers as floats of the same value; floats as they are."""
    return tensor if tensor.is_floating_point() else tensor.to(torch.float32)


def onnx_type(kind: int | str | bytes) -> torch.dtype:
    """Return the torch type for one of ONNX's, by number, or by name as before opset 6."""
    if isinstance(kind, bytes):
        kind = kind.decode()
    number = onnx.TensorProto.DataType.Value(kind) if isinstance(kind, str) else kind
    return TORCH_TYPES[number]
