"""The values of a model's constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray
from onnx import numpy_helper

from onnx_cam.graph.read import ModelFile

__all__ = ["Constants"]


class Constants:
    """The values of a model's constants, wherever they lie."""

    def __init__(self, file: ModelFile) -> None:
        self._weights = {weight.name: weight for weight in file.proto.graph.initializer}
        self._folder = str(file.path.resolve().parent)

    def value(self, tensor: gs.Tensor) -> NDArray[Any] | None:
        """Return a tensor's value; None where it is computed."""
        if tensor.name in self._weights:
            return numpy_helper.to_array(self._weights[tensor.name], base_dir=self._folder)
        producer = tensor.inputs[0] if len(tensor.inputs) == 1 else None
        if producer is None:
            return None
        if producer.op == "Identity":
            return self.value(producer.inputs[0])
        if producer.op == "Transpose" and (source := self.value(producer.inputs[0])) is not None:
            return np.transpose(source, producer.attrs.get("perm"))
        if producer.op == "DequantizeLinear":
            return self.dequantized(producer.inputs, producer.attrs.get("axis", 1))
        value = producer.attrs.get("value") if producer.op == "Constant" else None
        return None if value is None else np.asarray(value.values)

    def dequantized(self, tensors: Sequence[gs.Tensor], axis: int) -> NDArray[Any] | None:
        """Return what integers stand for.

        Parameters
        ----------
        tensors : sequence of onnx_graphsurgeon.Tensor
            The integers, their scale, and their zero point if there is one.
        axis : int
            Along which the scale varies, if it does.
        """
        values = [self.value(tensor) for tensor in tensors]
        if any(value is None for value in values):
            return None
        integers, scale, *zero_point = (np.asarray(value, np.float32) for value in values)
        axis = axis % integers.ndim if integers.ndim else 0
        shape = [-1 if i == axis and scale.size > 1 else 1 for i in range(integers.ndim)]
        offset = zero_point[0].reshape(shape) if zero_point else np.zeros(shape, np.float32)
        return np.asarray((integers - offset) * scale.reshape(shape), np.float32)
