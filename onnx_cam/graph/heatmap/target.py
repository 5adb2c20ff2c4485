"""The class that each image is explained for, and the coefficients of the logits that follow from it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.emission import Emission
from onnx_cam.graph.emit_head import emit_probabilities
from onnx_cam.graph.head import Head
from onnx_cam.graph.new_nodes import constant_node

__all__ = ["emit_fixed_class", "emit_likeliest", "emit_requested", "emit_seed"]


def emit_likeliest(proto: onnx.ModelProto, emitter: Emitter, head: Head, *, binary: bool) -> str:
    """Return the likeliest class of each image, (N,) int64: the first of the highest probabilities, as `explain` does.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; the nodes that compute the probabilities are appended to it at once.
    emitter : Emitter
        Takes the others.
    head : Head
    binary : bool
        Whether the output holds a single number for two classes.
    """
    emission = Emission(proto, emitter.opset, "heatmap/scores")
    probabilities = emit_probabilities(emission, head, binary=binary).name  # (N, classes) float64
    emitted = emission.exported()
    constants = [constant_node(tensor.name, onnx.numpy_helper.to_array(tensor)) for tensor in emitted.initializer]
    proto.graph.node.extend([*constants, *emitted.node])
    # ArgMax takes float64 from opset 11 on. The difference from the highest is 0 there alone, in float32 as well.
    highest = emitter.reduce("ReduceMax", probabilities, [1])
    distances = emitter.cast(emitter.add("Sub", probabilities, highest))
    return emitter.add("ArgMax", distances, axis=1, keepdims=0)


def emit_fixed_class(emitter: Emitter, head: Head, index: int) -> str:
    """Return the same class for each image, (N,) int64."""
    # The number of images is that of the scores; below opset 8 nothing repeats a constant so often.
    scores = emitter.cast(emitter.add("Flatten", head.output, axis=1))
    some_class = emitter.add("ArgMax", scores, axis=1, keepdims=0)
    zeros = emitter.add("Mul", some_class, np.zeros(1, np.int64))
    return emitter.add("Add", zeros, np.array([index], np.int64))


def emit_requested(emitter: Emitter, requested: str, likeliest: str, classes: int) -> str:
    """Return the requested class of each image where there is such a class, and the likeliest elsewhere, (N,) int64."""
    number = emitter.cast(requested)  # Less takes integers from opset 9 on
    not_negative = emitter.add("Not", emitter.add("Less", number, 0.0))
    exists = emitter.add("And", not_negative, emitter.add("Less", number, float(classes)))
    taken = emitter.cast(exists, TensorProto.INT64)  # 1 or 0: Where came with opset 9
    left = emitter.add("Sub", np.ones(1, np.int64), taken)
    return emitter.add("Add", emitter.add("Mul", requested, taken), emitter.add("Mul", likeliest, left))


def emit_seed(emitter: Emitter, class_index: str, classes: int, *, binary: bool) -> str:
    """Return the coefficient of each logit, (N, classes) float32: 1 for the class, or ±1 of a single logit, (N, 1)."""
    column = emitter.reshape(class_index, (None, 1))
    if binary:  # class 1 has the logit z, and class 0 has −z
        return emitter.add("Sub", emitter.add("Mul", emitter.cast(column), 2.0), 1.0)
    return emitter.cast(emitter.add("Equal", column, np.arange(classes, dtype=np.int64)[None]))
