"""Whether a model gives the same scores for the same image each time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.graph.walk_protobuf import all_nodes

__all__ = ["Chance", "find_chance", "random_operators"]

Doubles = NDArray[np.float64]

_RANDOM = {
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"),
    *("SampleOp", "RandomNormalInt", "Dropout", "BiasDropout", "BitmaskDropout"),
}
_ROUNDING = 1e-3  # of the difference between images: a GPU adds in another order each time
_DRAWN = 1e-5  # the same, where the graph has operators that may draw random numbers


@dataclass(frozen=True)
class Chance:
    """How far a model's scores of one image differ from run to run.

    Attributes
    ----------
    noise : ndarray of shape (outputs,), float64
        The largest difference between two runs on the same image, for each number of the output.
    reason : str
        Where they differ by more than rounding: what was found, in words. Empty where equal runs give equal scores.

    Examples
    --------
    >>> Chance(np.zeros(4)).is_random
    False
    """

    noise: Doubles
    reason: str = ""

    @property
    def is_random(self) -> bool:
        """Whether two equal runs give different scores."""
        return bool(self.reason)


def random_operators(proto: onnx.ModelProto) -> list[str]:
    """Return the operators of a model that can draw random numbers, in local functions and subgraphs too.

    A Dropout is among them only where something sets its training mode.

    Examples
    --------
    >>> node = onnx.helper.make_node("RandomNormalLike", ["image"], ["noise"])
    >>> random_operators(onnx.helper.make_model(onnx.helper.make_graph([node], "main", [], [])))
    ['RandomNormalLike']
    """
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    return sorted({node.op_type for node in all_nodes(nodes) if node.op_type in _RANDOM and _is_drawn(node)})


def _is_drawn(node: onnx.NodeProto) -> bool:
    return not node.op_type.endswith("Dropout") or (len(node.input) > 2 and bool(node.input[-1]))


def find_chance(
    first: NDArray[np.generic], second: NDArray[np.generic], spread: Doubles, proto: onnx.ModelProto
) -> Chance:
    """Return how far two equal runs differ, and why.

    Parameters
    ----------
    first, second : ndarray of shape (B, …)
        The scores of the same images in two runs.
    spread : ndarray of shape (…,), float64
        How far the scores of different images differ.
    proto : onnx.ModelProto
        The model, to name the operators that draw random numbers.

    Examples
    --------
    >>> scores = np.ones((1, 4))
    >>> find_chance(scores, scores + 0.5, np.ones(4), onnx.ModelProto()).reason
    'two equal runs gave different scores'
    """
    noise = np.abs(first.astype(np.float64) - second.astype(np.float64)).max(axis=0)
    if not noise.any():
        return Chance(noise)
    operators = random_operators(proto)
    if not (noise > (_DRAWN if operators else _ROUNDING) * np.max(spread, initial=0)).any():
        return Chance(noise)
    drawn = f"the graph draws random numbers ({', '.join(operators)})"
    return Chance(noise, drawn if operators else "two equal runs gave different scores")
