"""Tensors that are created from shapes and numbers, not computed from the image."""

from __future__ import annotations

import numpy as np
import torch
from onnx import numpy_helper
from torch import Tensor

from onnx_cam.gradients.dtypes import TORCH_TYPES, as_tensor
from onnx_cam.gradients.node import Node

__all__ = ["constant", "constant_of_shape", "eye_like", "non_zero", "one_hot", "range_", "trilu"]


def constant(node: Node) -> Tensor:
    """Return the value of a Constant; strings raise a KeyError."""
    attributes = node.attributes
    if "value" in attributes:
        return as_tensor(numpy_helper.to_array(attributes["value"]))
    for name, dtype in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64)):
        if name in attributes:
            return as_tensor(np.asarray(attributes[name], dtype))
    return as_tensor(np.asarray(attributes["value_ints"], np.int64))


def constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    if "value" not in node.attributes:
        return torch.zeros(shape.tolist(), device=shape.device)
    value = as_tensor(numpy_helper.to_array(node.attributes["value"]))
    return torch.full(shape.tolist(), value.item(), dtype=value.dtype, device=shape.device)


def range_(node: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype, device=start.device)


def eye_like(node: Node, x: Tensor) -> Tensor:
    dtype = TORCH_TYPES[node.attributes["dtype"]] if "dtype" in node.attributes else x.dtype
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape)
    return (columns - rows[:, None] == node.get("k", 0)).to(dtype)


def non_zero(node: Node, x: Tensor) -> Tensor:
    return x.nonzero().T


def one_hot(node: Node, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    axis, count = node.get("axis", -1), int(depth.item())
    classes = indices.long()
    classes = torch.where(classes < 0, classes + count, classes)  # negative indices count from the end
    is_class = classes.unsqueeze(-1) == torch.arange(count, device=indices.device)
    off, on = values.unbind()
    return torch.where(is_class, on, off).movedim(-1, axis)


def trilu(node: Node, x: Tensor, k: Tensor | None = None) -> Tensor:
    diagonal = 0 if k is None else int(k.item())
    return x.triu(diagonal) if node.get("upper", 1) else x.tril(diagonal)
