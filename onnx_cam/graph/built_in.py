"""Find the normalisation that a graph itself applies to its input, before the first layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.walk import only_consumer

__all__ = ["BuiltIn", "find_built_in"]

Doubles = NDArray[np.float64]
Affine = tuple[Doubles, Doubles] | None
"""The factor and the offset of ``factor · x + offset``, each one number or one per channel; None: not of that form."""

_PASSED = {"Cast", "Identity", "Transpose", "QuantizeLinear", "Pad", "Reshape", "Resize", "Upsample"}
_LARGEST_UNIT_CONSTANT = 16.0  # the constants for pixels from 0 to 255 are larger, those for 0 to 1 are smaller
_UNIT_MEANS = (0.2, 0.8)
_UNIT_STDS = (0.1, 0.8)
_CHANNELS = 3


@dataclass(frozen=True)
class BuiltIn:
    """The normalisation ``(x − mean) / std`` that a graph applies to its input.

    Attributes
    ----------
    mean, std : tuple of float
        One number, or one per channel.

    Examples
    --------
    >>> caffe = BuiltIn(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0))
    >>> caffe.takes_pixels, caffe.takes_unit_range
    (True, False)
    >>> print(caffe)
    (x − (103.9, 116.8, 123.7)) / (1, 1, 1)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def takes_pixels(self) -> bool:
        """Whether it is meant for pixel values from 0 to 255; otherwise it is meant for values from 0 to 1."""
        return max(map(abs, (*self.mean, *self.std))) > _LARGEST_UNIT_CONSTANT

    @property
    def takes_unit_range(self) -> bool:
        """Whether it is meant for values from 0 to 1: it centres them, and scales them up.

        Constants that do neither belong to a layer of the network, whose input is normalised already.
        """
        return all(_UNIT_MEANS[0] < mean < _UNIT_MEANS[1] for mean in self.mean) and all(
            _UNIT_STDS[0] < std < _UNIT_STDS[1] for std in self.std
        )

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return f"(x − ({mean})) / ({std})"


def find_built_in(graph: gs.Graph, constants: Constants, image_input: str) -> BuiltIn | None:
    """Return the normalisation by constants that a graph applies to its input first; None where there is none.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    constants : Constants
        The values of the graph's constants.
    image_input : str
        The input that takes the image.

    Examples
    --------
    >>> import onnx
    >>> info = onnx.helper.make_tensor_value_info
    >>> image, scaled = (info(name, onnx.TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("image", "scaled"))
    >>> nodes = [onnx.helper.make_node("Div", ["image", "c"], ["scaled"])]
    >>> weights = [onnx.numpy_helper.from_array(np.float32([255]), "c")]
    >>> model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "main", [image], [scaled], weights))
    >>> print(find_built_in(gs.import_onnx(model), Constants(model), "image"))
    (x − (-0)) / (255)
    """
    tensor = graph.tensors()[image_input]
    factor, offset, is_changed = np.ones(1), np.zeros(1), False
    # Follow the image as long as only one node reads it, and compose what the nodes do into factor · x + offset.
    while (node := only_consumer(tensor)) is not None:
        change = _affine(node, tensor, constants)
        if change is not None:
            factor, offset, is_changed = factor * change[0], offset * change[0] + change[1], True
        elif node.op not in _PASSED:
            break
        tensor = node.outputs[0]
    if not is_changed or not np.all(factor) or (np.all(factor == 1) and not np.any(offset)):
        return None
    # factor · x + offset = (x − mean) / std
    built_in = BuiltIn(mean=tuple((-offset / factor).tolist()), std=tuple((1 / factor).tolist()))
    return built_in if built_in.takes_pixels or built_in.takes_unit_range else None


def _affine(node: gs.Node, tensor: gs.Tensor, constants: Constants) -> Affine:
    """Return the factor and the offset by which a node changes a tensor."""
    if node.op == "BatchNormalization":
        return _batch_normalisation(node, constants)
    if node.op == "DequantizeLinear":
        return _dequantization(node, constants)
    rule = _RULES.get(node.op)
    if rule is None or len(node.inputs) != 2:
        return None
    is_first = node.inputs[0] is tensor
    constant = _per_channel(constants.value(node.inputs[1 if is_first else 0]))
    return None if constant is None else rule(constant, is_first)


_RULES: dict[str, Callable[[Doubles, bool], Affine]] = {
    "Add": lambda constant, is_first: (np.ones(1), constant),
    "Sub": lambda constant, is_first: (np.ones(1), -constant) if is_first else (-np.ones(1), constant),
    "Mul": lambda constant, is_first: (constant, np.zeros(1)),
    "Div": lambda constant, is_first: (1 / constant, np.zeros(1)) if is_first and np.all(constant) else None,
}
"""Operator to its factor and offset, given the constant, and whether the image is the first of the two inputs."""


def _batch_normalisation(node: gs.Node, constants: Constants) -> Affine:
    values = [_per_channel(constants.value(tensor)) for tensor in node.inputs[1:5]]
    if len(values) < 4 or any(value is None for value in values):
        return None
    scale, bias, mean, variance = (np.asarray(value) for value in values)
    factor = scale / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    return factor, bias - mean * factor


def _dequantization(node: gs.Node, constants: Constants) -> Affine:
    if node.inputs[0].inputs and node.inputs[0].inputs[0].op == "QuantizeLinear":
        return np.ones(1), np.zeros(1)  # the two undo each other
    values = [_per_channel(constants.value(tensor)) for tensor in node.inputs[1:]]
    if not values or values[0] is None:
        return None
    zero_point = values[1] if len(values) > 1 and values[1] is not None else np.zeros(1)
    return values[0], -zero_point * values[0]


def _per_channel(value: NDArray[Any] | None) -> Doubles | None:
    """Return a constant of one number or one per channel, flat; None for any other."""
    if value is None or value.dtype.kind not in "fiu" or value.size not in (1, _CHANNELS):
        return None
    return np.ravel(value).astype(np.float64)
