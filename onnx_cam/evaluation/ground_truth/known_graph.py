"""A graph whose region of influence is known, and the images on which a method must find it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.evaluation.ground_truth.patterns import (
    CELLS,
    CHANNELS,
    LAYER,
    LEVEL,
    PATCH_CELLS,
    SIZE,
    layer_nodes,
    layer_weights,
)

__all__ = ["CLASSES", "EVIDENCE", "KnownCase", "KnownGraph", "build", "linear_head", "pooled_weight"]

Floats = NDArray[np.float32]

CLASSES = 10
EVIDENCE = 6.0
"""The logit that a whole patch gives its class; a class without evidence has a logit of 0."""


@dataclass(frozen=True)
class KnownCase:
    """An image, a class, and the part of the layer that the class's logit depends on.

    Attributes
    ----------
    image : ndarray of shape (3, 32, 32), float32
        The network's input.
    target : int
        The class to explain.
    region : ndarray of shape (8, 8), bool
        The cells of the layer that speak for the class; none where a map of this layer can show nothing.
    equal_share : float
        The share of the activations that lie in the region: that of the map with all weights equal.

    Examples
    --------
    >>> from onnx_cam.evaluation.ground_truth import known_graphs
    >>> case = known_graphs()[0].cases[0]
    >>> int(case.region.sum()), f"{case.equal_share:.2f}"
    (4, '0.33')
    """

    image: Floats
    target: int
    region: NDArray[np.bool_]
    equal_share: float

    @property
    def can_be_found(self) -> bool:
        """Whether a map of the layer can show what the class depends on."""
        return bool(self.region.any())


@dataclass(frozen=True)
class KnownGraph:
    """A graph whose region of influence is known by construction.

    Attributes
    ----------
    name : str
    description : str
        What the score depends on.
    proto : onnx.ModelProto
        The graph, whose output is logits.
    cases : tuple of KnownCase
        A method finds the region where it finds it in all of them.

    Examples
    --------
    >>> from onnx_cam.evaluation.ground_truth import known_graphs
    >>> [graph.name for graph in known_graphs()]
    ['one window', 'two windows', 'pattern', 'constant', 'bypass']
    """

    name: str
    description: str
    proto: onnx.ModelProto
    cases: tuple[KnownCase, ...]

    @property
    def can_be_found(self) -> bool:
        """Whether a map of the layer can show what the class depends on."""
        return all(case.can_be_found for case in self.cases)


def build(head: Sequence[onnx.NodeProto], weights: Mapping[str, NDArray[np.generic]]) -> onnx.ModelProto:
    """Return a graph of the layer and the nodes behind it, which end in ``logits``."""
    graph = helper.make_graph(
        [*layer_nodes(), *head],
        "ground_truth",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in {**layer_weights(), **weights}.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


def linear_head(*, pooled: bool, output: str = "logits") -> list[onnx.NodeProto]:
    """Return a linear layer, with weights ``w`` and ``b``, behind the whole layer or behind its global average."""
    pooling = [helper.make_node("GlobalAveragePool", [LAYER], ["pooled"], name="Pool")]
    return [
        *(pooling if pooled else []),
        helper.make_node("Flatten", ["pooled" if pooled else LAYER], ["flat"], name="Flatten"),
        helper.make_node("Gemm", ["flat", "w", "b"], [output], name="Classify", transB=1),
    ]


def pooled_weight(readers: Mapping[int, str], patches: int = 1) -> Floats:
    """Return weights (classes, 3) behind global average pooling, from the pattern that each class reads.

    Parameters
    ----------
    readers : mapping of int to str
    patches : int
        The patches of a pattern that together give a logit of `EVIDENCE`.
    """
    weight = np.zeros((CLASSES, len(CHANNELS)), np.float32)
    for target, pattern in readers.items():
        weight[target, CHANNELS.index(pattern)] = EVIDENCE * CELLS**2 / (patches * PATCH_CELLS * LEVEL)
    return weight
