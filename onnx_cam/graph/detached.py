"""The weights of a large model, kept in memory once and out of its protobuf.

Every rewriting copies a model's protobuf, and every session is opened from its bytes. With the large weights beside it,
in the form that ONNX has for weights in files, both cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

__all__ = ["WEIGHT_TYPES", "DetachedWeights", "is_detached"]

_Type = onnx.TensorProto
WEIGHT_TYPES: dict[int, type[np.generic]] = {
    _Type.FLOAT: np.float32,
    _Type.FLOAT16: np.float16,
    _Type.DOUBLE: np.float64,
    _Type.INT8: np.int8,
    _Type.UINT8: np.uint8,
    _Type.INT16: np.int16,
    _Type.UINT16: np.uint16,
}
"""The types of weights that NumPy holds as a model stores them.

Others stay in the protobuf: ONNX Runtime's inference of shapes refuses 32- and 64-bit integers stored elsewhere.
"""


@dataclass(frozen=True, eq=False)
class DetachedWeights:
    """Weights of a model that are kept beside its protobuf, which refers to them by their locations.

    Attributes
    ----------
    arrays : mapping of str to ndarray of uint8
        The bytes of each weight, by its location.
    """

    arrays: Mapping[str, NDArray[np.uint8]]

    def array(self, tensor: onnx.TensorProto) -> NDArray[Any]:
        """Return the values of a weight, without a copy."""
        location = next(entry.value for entry in tensor.external_data if entry.key == "location")
        return self.arrays[location].view(WEIGHT_TYPES[tensor.data_type]).reshape(tuple(tensor.dims))

    def initializers(self, proto: onnx.ModelProto) -> dict[str, NDArray[Any]]:
        """Return the values of the weights that a model refers to, by their names."""
        return {tensor.name: self.array(tensor) for tensor in proto.graph.initializer if is_detached(tensor)}

    def attached(self, proto: onnx.ModelProto) -> onnx.ModelProto:
        """Return a copy of a model that stores all of its weights itself.

        Examples
        --------
        >>> import io
        >>> from onnx_cam.graph.read_detached import detach_weights
        >>> content = onnx.load("model.onnx").SerializeToString()
        >>> model = detach_weights(io.BytesIO(content), len(content), tensor_bytes=16)
        >>> model.weights.attached(model.proto).SerializeToString() == content
        True
        """
        whole = onnx.ModelProto()
        whole.CopyFrom(proto)
        for tensor in whole.graph.initializer:
            if is_detached(tensor):
                tensor.raw_data = self.array(tensor).tobytes()
                tensor.ClearField("external_data")
                tensor.ClearField("data_location")
        return whole


def is_detached(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor is stored elsewhere.

    Examples
    --------
    >>> is_detached(onnx.load("model.onnx").graph.initializer[0])
    False
    """
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)
