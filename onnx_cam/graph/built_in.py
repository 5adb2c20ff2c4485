"""Find the normalisation that a graph does itself, before its first layer."""

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

Affine = tuple[NDArray[np.float64], NDArray[np.float64]] | None

_PASS = {"Cast", "Identity", "Transpose", "QuantizeLinear", "Pad", "Reshape", "Resize", "Upsample"}
_PIXEL_SCALE = 16.0  # constants for pixels from 0 to 255 are larger, those for 0 to 1 are smaller


@dataclass(frozen=True)
class BuiltIn:
    """``(x − mean) / std``, done by the graph itself.

    Attributes
    ----------
    mean, std : tuple of float
        One number, or one a channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def takes_pixels(self) -> bool:
        """Whether it is made for pixel values from 0 to 255; else for 0 to 1."""
        return max(map(abs, (*self.mean, *self.std))) > _PIXEL_SCALE

    @property
    def takes_shares(self) -> bool:
        """Whether it is made for values from 0 to 1: it centres them, and spreads them.

        What does neither is a layer of the network, behind an input that is normalised already.
        """
        return all(0.2 < mean < 0.8 for mean in self.mean) and all(0.1 < std < 0.8 for std in self.std)

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return f"(x − ({mean})) / ({std})"


def find_built_in(graph: gs.Graph, constants: Constants, image_input: str) -> BuiltIn | None:
    """Return what a graph does to its input by constants alone, before anything else; None where it does nothing.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    constants : Constants
    image_input : str
        The input that takes the image.
    """
    tensor = graph.tensors()[image_input]
    factor, offset, found = np.ones(1), np.zeros(1), False
    while (node := only_consumer(tensor)) is not None:
        change = _affine(node, tensor, constants)
        if change is not None:
            factor, offset, found = factor * change[0], offset * change[0] + change[1], True
        elif node.op not in _PASS:
            break
        tensor = node.outputs[0]
    if not found or not np.all(factor) or (np.all(factor == 1) and not np.any(offset)):
        return None
    built_in = BuiltIn(tuple((-offset / factor).tolist()), tuple((1 / factor).tolist()))
    return built_in if built_in.takes_pixels or built_in.takes_shares else None


def _affine(node: gs.Node, tensor: gs.Tensor, constants: Constants) -> Affine:
    """Return (a, b) of a node that computes ``a · x + b``, each of one number or one a channel."""
    if node.op == "BatchNormalization":
        return _batch_normalisation(node, constants)
    if node.op == "DequantizeLinear":
        return _dequantization(node, constants)
    rule = _RULES.get(node.op)
    if rule is None or len(node.inputs) != 2:
        return None
    first = node.inputs[0] is tensor
    constant = _a_channel(constants.value(node.inputs[1 if first else 0]))
    return None if constant is None else rule(constant, first)


_RULES: dict[str, Callable[[NDArray[np.float64], bool], Affine]] = {
    "Add": lambda c, first: (np.ones(1), c),
    "Sub": lambda c, first: (np.ones(1), -c) if first else (-np.ones(1), c),
    "Mul": lambda c, first: (c, np.zeros(1)),
    "Div": lambda c, first: (1 / c, np.zeros(1)) if first and np.all(c) else None,
}


def _batch_normalisation(node: gs.Node, constants: Constants) -> Affine:
    values = [_a_channel(constants.value(tensor)) for tensor in node.inputs[1:5]]
    if len(values) < 4 or any(value is None for value in values):
        return None
    scale, bias, mean, variance = (np.asarray(value) for value in values)
    factor = scale / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    return factor, bias - mean * factor


def _dequantization(node: gs.Node, constants: Constants) -> Affine:
    if node.inputs[0].inputs and node.inputs[0].inputs[0].op == "QuantizeLinear":
        return np.ones(1), np.zeros(1)  # the two undo each other
    values = [_a_channel(constants.value(tensor)) for tensor in node.inputs[1:]]
    if not values or values[0] is None:
        return None
    zero_point = values[1] if len(values) > 1 and values[1] is not None else np.zeros(1)
    return values[0], -zero_point * values[0]


def _a_channel(value: NDArray[Any] | None) -> NDArray[np.float64] | None:
    """Return a constant of one number or one a channel, flat; None for any other."""
    if value is None or value.dtype.kind not in "fiu" or value.size not in (1, 3):
        return None
    return np.ravel(value).astype(np.float64)
