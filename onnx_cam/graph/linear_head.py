"""The linear layer behind global average pooling, where the model has one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

__all__ = ["find_linear_head"]

_RESHAPING = {"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Dropout", "Cast"}


def find_linear_head(graph: gs.Graph, layer: str, logits: str) -> NDArray[np.float32] | None:
    """Return the weights ``w_k^c`` between a layer's global average and the logits.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
    layer : str
        The layer's output tensor, ``(N, K, h, w)``.
    logits : str
        The tensor of the logits.

    Returns
    -------
    ndarray of shape (classes, K), float32, or None
        None where anything but global average pooling and one linear layer lies between the two.

    References
    ----------
    Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016: CAM's weights.
    """
    tensor = graph.tensors().get(layer)
    pool = _only(tensor, _pools_globally) if tensor is not None else None
    if pool is None:
        return None
    linear = _only(_behind_reshapes(pool.outputs[0]), lambda node: node.op in ("Gemm", "MatMul", "Conv"))
    if linear is None:
        return None
    weights = _weights(linear)
    return weights if weights is not None and _leads_to(linear.outputs[0], logits) else None


def _only(tensor: gs.Tensor, accept: Callable[[gs.Node], bool]) -> gs.Node | None:
    """Return the tensor's only consumer, if it is accepted; a Shape beside it does not count."""
    consumers = [node for node in tensor.outputs if node.op != "Shape"]
    return consumers[0] if len(consumers) == 1 and accept(consumers[0]) else None


def _pools_globally(node: gs.Node) -> bool:
    if node.op == "GlobalAveragePool":
        return True
    if node.op != "ReduceMean":
        return False
    axes = node.attrs.get("axes")
    if axes is None and len(node.inputs) > 1:
        axes = _constant(node.inputs[1])
    return axes is not None and sorted(int(axis) % 4 for axis in np.ravel(axes)) == [2, 3]


def _behind_reshapes(tensor: gs.Tensor) -> gs.Tensor:
    while (node := _only(tensor, lambda node: node.op in _RESHAPING)) is not None:
        tensor = node.outputs[0]
    return tensor


def _weights(node: gs.Node) -> NDArray[np.float32] | None:
    matrix = _constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if matrix is None:
        return None
    if node.op == "Conv":
        plain = matrix.ndim == 4 and matrix.shape[2:] == (1, 1) and node.attrs.get("group", 1) == 1
        return matrix[:, :, 0, 0].astype(np.float32) if plain else None
    if matrix.ndim != 2:
        return None
    transposed = node.op == "Gemm" and node.attrs.get("transB", 0)
    scale = node.attrs.get("alpha", 1.0) if node.op == "Gemm" else 1.0
    oriented = matrix if transposed else matrix.T  # (classes, K)
    return oriented.astype(np.float32) * np.float32(scale)


def _constant(tensor: gs.Tensor) -> NDArray[np.generic] | None:
    if isinstance(tensor, gs.Constant):
        return np.asarray(tensor.values)
    producer = tensor.inputs[0] if len(tensor.inputs) == 1 else None
    if producer is None:
        return None
    if producer.op == "Identity":
        return _constant(producer.inputs[0])
    if producer.op != "Constant":
        return None
    value = producer.attrs.get("value")
    return np.asarray(getattr(value, "values", value))


def _leads_to(tensor: gs.Tensor, logits: str) -> bool:
    """Whether only reshapes and the addition of a bias lie between a tensor and the logits."""
    while tensor.name != logits:
        node = _only(tensor, lambda node: node.op in _RESHAPING or _adds_bias(node))
        if node is None:
            return False
        tensor = node.outputs[0]
    return True


def _adds_bias(node: gs.Node) -> bool:
    return node.op == "Add" and any(_constant(tensor) is not None for tensor in node.inputs)
