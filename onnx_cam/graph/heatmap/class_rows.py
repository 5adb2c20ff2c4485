"""The rows of a linear layer's weights that belong to classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.linear_head import LinearHead

__all__ = ["emit_class_weights"]


def emit_class_weights(
    emitter: Emitter, linear: LinearHead, stored: NDArray[np.generic] | None, class_index: str, *, binary: bool
) -> str:
    """Return ``w_k^c`` of each image's class, K numbers an image.

    Parameters
    ----------
    emitter : Emitter
    linear : LinearHead
    stored : ndarray or None
        The weights as the file stores them, where an initializer holds them: then its rows are taken, and the weights
        are not written a second time.
    class_index : str
        (N,) int64.
    binary : bool
        Whether there is a single logit z for two classes: class 1 has its weights, and class 0 the negative ones.
    """
    # A single logit has one row of weights, which both classes take.
    row = emitter.add("Mul", class_index, np.zeros(1, np.int64)) if binary else class_index
    weights = _stored_rows(emitter, linear, row) if _says_the_same(linear, stored) else None
    if weights is None:
        weights = emitter.add("Gather", linear.weights, row, axis=0)
    if binary:
        signs = emitter.add("Sub", emitter.add("Mul", emitter.cast(class_index), 2.0), 1.0)
        weights = emitter.add("Mul", weights, emitter.reshape(signs, (None, 1)))
    return weights


def _says_the_same(linear: LinearHead, stored: NDArray[np.generic] | None) -> bool:
    if stored is None or stored.size != linear.weights.size:
        return False
    matrix = stored.reshape(stored.shape[:2]).astype(np.float32)
    matrix = matrix if linear.class_axis == 0 else matrix.T
    parameters = (linear.scale, linear.zero_point)
    if any(n not in (1, m) for one in parameters for n, m in zip(one.shape, linear.weights.shape, strict=True)):
        return False  # such as one for each block of weights
    return np.array_equal((matrix - linear.zero_point) * linear.scale, linear.weights)


def _stored_rows(emitter: Emitter, linear: LinearHead, row: str) -> str:
    channels = linear.weights.shape[1]
    weights = emitter.cast(emitter.add("Gather", linear.stored, row, axis=linear.class_axis))
    if linear.class_axis == 1:  # (K, N)
        weights = emitter.transpose(weights, [1, 0])
    weights = emitter.reshape(weights, (None, channels))  # a convolution's are (N, K, 1, 1)
    for operator, values, neutral in (("Sub", linear.zero_point, 0), ("Mul", linear.scale, 1)):
        if (values != neutral).any():
            of_class = emitter.add("Gather", values, row, axis=0) if len(values) > 1 else values
            weights = emitter.add(operator, weights, of_class)
    return weights
