"""The linear layer behind global average pooling, where the model has one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.find_layers import Layer
from onnx_cam.graph.head import RESHAPING
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.walk import only_consumer

__all__ = ["find_linear_head"]

_LINEAR = ("Gemm", "MatMul", "Conv", "QLinearMatMul", "QGemm")


def find_linear_head(file: ModelFile, graph: gs.Graph, layer: Layer, logits: str) -> NDArray[np.float32] | None:
    """Return the weights ``w_k^c`` between a layer's global average and the logits.

    Parameters
    ----------
    file : ModelFile
        The model, for its weights: they may lie beside it.
    graph : onnx_graphsurgeon.Graph
        Its graph.
    layer : Layer
        The layer, ``(N, K, h, w)``.
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
    constants = Constants(file)
    tensor = graph.tensors().get(layer.name)
    pool = _only(tensor, lambda node: _pools_globally(node, layer, constants)) if tensor is not None else None
    if pool is None:
        return None
    linear = _only(_behind_reshapes(pool.outputs[0]), lambda node: node.op in _LINEAR)
    if linear is None or not _leads_to(linear.outputs[0], logits, constants):
        return None
    return _weights(linear, constants)


def _only(tensor: gs.Tensor, accept: Callable[[gs.Node], bool]) -> gs.Node | None:
    """Return the tensor's only consumer, if it is accepted."""
    node = only_consumer(tensor)
    return node if node is not None and accept(node) else None


def _pools_globally(node: gs.Node, layer: Layer, constants: Constants) -> bool:
    if node.op in ("GlobalAveragePool", "QLinearGlobalAveragePool"):
        return True
    if node.op == "AveragePool":
        return tuple(node.attrs.get("kernel_shape", ())) == layer.shape[1:] and not any(node.attrs.get("pads", ()))
    if node.op != "ReduceMean":
        return False
    axes = node.attrs.get("axes")
    if axes is None and len(node.inputs) > 1:
        axes = constants.value(node.inputs[1])
    positions = [1, 2] if layer.layout == "NHWC" else [2, 3]
    return axes is not None and sorted(int(axis) % 4 for axis in np.ravel(axes)) == positions


def _behind_reshapes(tensor: gs.Tensor) -> gs.Tensor:
    while (node := _only(tensor, lambda node: node.op in RESHAPING)) is not None:
        tensor = node.outputs[0]
    return tensor


def _matrix(node: gs.Node, constants: Constants) -> NDArray[np.float32] | None:
    if node.op in ("QLinearMatMul", "QGemm"):
        return constants.dequantized(node.inputs[3:6], axis=0 if node.attrs.get("transB", 0) else 1)
    return constants.value(node.inputs[1]) if len(node.inputs) > 1 else None


def _weights(node: gs.Node, constants: Constants) -> NDArray[np.float32] | None:
    matrix = _matrix(node, constants)
    if matrix is None:
        return None
    if node.op == "Conv":
        plain = matrix.ndim == 4 and matrix.shape[2:] == (1, 1) and node.attrs.get("group", 1) == 1
        return matrix[:, :, 0, 0].astype(np.float32) if plain else None
    if matrix.ndim != 2:
        return None
    transposed = node.op in ("Gemm", "QGemm") and node.attrs.get("transB", 0)
    scale = node.attrs.get("alpha", 1.0) if node.op in ("Gemm", "QGemm") else 1.0
    oriented = matrix if transposed else matrix.T  # (classes, K)
    return oriented.astype(np.float32) * np.float32(scale)


def _leads_to(tensor: gs.Tensor, logits: str, constants: Constants) -> bool:
    """Whether only reshapes and the addition of a bias lie between a tensor and the logits."""
    while tensor.name != logits:
        node = _only(tensor, lambda node: node.op in RESHAPING or _adds_bias(node, constants))
        if node is None:
            return False
        tensor = node.outputs[0]
    return True


def _adds_bias(node: gs.Node, constants: Constants) -> bool:
    return node.op in ("Add", "QLinearAdd") and any(constants.value(tensor) is not None for tensor in node.inputs)
