"""The linear layer after global average pooling, where the model ends in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.head import RESHAPING
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.walk import follow, only_consumer

__all__ = ["LinearHead", "find_linear_head"]

Floats = NDArray[np.float32]

_LINEAR = ("Gemm", "MatMul", "Conv", "QLinearMatMul", "QGemm")
_GEMMS = ("Gemm", "QGemm")
_QUANTIZED = ("QLinearMatMul", "QGemm")


@dataclass(frozen=True, eq=False)
class LinearHead:
    """The linear layer between a layer's global average and the logits.

    Attributes
    ----------
    weights : ndarray of shape (classes, K), float32
        ``w_k^c``.
    stored : str
        The tensor that holds them as the file stores them, perhaps as integers.
    class_axis : int
        Along which axis of it the classes lie.
    scale, zero_point : ndarray of shape (classes or 1, K or 1), float32
        Each weight is ``(stored − zero_point) · scale``.
    """

    weights: Floats
    stored: str
    class_axis: int
    scale: Floats
    zero_point: Floats


def find_linear_head(file: ModelFile, graph: gs.Graph, layer: Layer, logits: str) -> LinearHead | None:
    """Return the linear layer between a layer's global average and the logits.

    Parameters
    ----------
    file : ModelFile
        The model, for its weights: they may be in files beside it.
    graph : onnx_graphsurgeon.Graph
        The model's graph.
    layer : Layer
        The layer, ``(N, K, h, w)``.
    logits : str
        The tensor of the logits.

    Returns
    -------
    LinearHead or None
        None where anything but global average pooling and one linear layer lies between the two.

    References
    ----------
    Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016: CAM's weights.

    Examples
    --------
    >>> from onnx_cam.graph.read import import_graph, read_model
    >>> file = read_model("model.onnx")
    >>> layer = Layer("relu2", "Relu", (6, 5, 5), True)
    >>> find_linear_head(file, import_graph(file), layer, "logits").weights.shape
    (4, 6)
    """
    constants = Constants(file)
    tensor = graph.tensors().get(layer.name)
    if tensor is None:
        return None
    # Global average pooling must be all that reads the layer: (N, K, h, w) to (N, K, 1, 1) or (N, K).
    pool = _accepted_consumer(tensor, lambda node: _pools_globally(node, layer, constants))
    if pool is None:
        return None
    # Then one linear layer, after reshapes at most: (N, K) to (N, classes).
    linear = _accepted_consumer(_after_reshapes(pool.outputs[0]), lambda node: node.op in _LINEAR)
    # Then the logits, after reshapes and the addition of a bias at most.
    if linear is None or not _leads_to(linear.outputs[0], logits, constants):
        return None
    weights = _weights(linear, constants)
    return None if weights is None else _linear_head(linear, weights, constants)


def _linear_head(node: gs.Node, weights: Floats, constants: Constants) -> LinearHead:
    """Return a linear layer's weights, with how the file stores them."""
    class_axis = 0 if node.op == "Conv" or (node.op in _GEMMS and node.attrs.get("transB", 0)) else 1
    if node.op in _QUANTIZED:
        stored, parameters, axis = node.inputs[3], node.inputs[4:6], class_axis
    else:
        stored, parameters, axis = _behind_dequantization(node.inputs[1])
    scale, zero_point = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    values = [np.asarray(constants.value(tensor), np.float32).ravel() for tensor in parameters]
    along = (-1, 1) if axis == class_axis else (1, -1)  # broadcast to (classes, K)
    if values:
        scale = values[0].reshape(along)
    if len(values) > 1:
        zero_point = values[1].reshape(along)
    alpha = np.float32(node.attrs.get("alpha", 1.0) if node.op in _GEMMS else 1.0)
    return LinearHead(weights, stored.name, class_axis, scale * alpha, zero_point)


def _behind_dequantization(tensor: gs.Tensor) -> tuple[gs.Tensor, list[gs.Tensor], int]:
    """Return the stored tensor, and of integers the scale and zero point and the axis along which they vary."""
    makers = tensor.inputs
    if len(makers) != 1 or makers[0].op != "DequantizeLinear":
        return tensor, [], 0
    return makers[0].inputs[0], list(makers[0].inputs[1:3]), makers[0].attrs.get("axis", 1)


def _accepted_consumer(tensor: gs.Tensor, accepts: Callable[[gs.Node], bool]) -> gs.Node | None:
    node = only_consumer(tensor)
    return node if node is not None and accepts(node) else None


def _pools_globally(node: gs.Node, layer: Layer, constants: Constants) -> bool:
    if node.op in ("GlobalAveragePool", "QLinearGlobalAveragePool"):
        return True
    if node.op == "AveragePool":
        return tuple(node.attrs.get("kernel_shape", ())) == layer.shape[1:] and not any(node.attrs.get("pads", ()))
    if node.op != "ReduceMean":
        return False
    axes = node.attrs.get("axes")
    if axes is None and len(node.inputs) > 1:  # an input since opset 18
        axes = constants.value(node.inputs[1])
    spatial_axes = [1, 2] if layer.layout == "NHWC" else [2, 3]
    return axes is not None and sorted(int(axis) % 4 for axis in np.ravel(axes)) == spatial_axes


def _after_reshapes(tensor: gs.Tensor) -> gs.Tensor:
    *_, last = follow(tensor, lambda node: node.op in RESHAPING)
    return last


def _leads_to(tensor: gs.Tensor, logits: str, constants: Constants) -> bool:
    """Whether only reshapes and the addition of a bias lie between a tensor and the logits."""
    tensors = follow(tensor, lambda node: node.op in RESHAPING or _adds_bias(node, constants))
    return any(tensor.name == logits for tensor in tensors)


def _adds_bias(node: gs.Node, constants: Constants) -> bool:
    return node.op in ("Add", "QLinearAdd") and any(constants.value(tensor) is not None for tensor in node.inputs)


def _weights(node: gs.Node, constants: Constants) -> Floats | None:
    """Return a linear layer's weights, (classes, K); None for a convolution that is more than a linear layer."""
    matrix = _matrix(node, constants)
    if matrix is None:
        return None
    if node.op == "Conv":
        is_linear = matrix.ndim == 4 and matrix.shape[2:] == (1, 1) and node.attrs.get("group", 1) == 1
        return matrix[:, :, 0, 0].astype(np.float32) if is_linear else None
    if matrix.ndim != 2:
        return None
    is_transposed = node.op in _GEMMS and node.attrs.get("transB", 0)
    scale = node.attrs.get("alpha", 1.0) if node.op in _GEMMS else 1.0
    weights = matrix if is_transposed else matrix.T  # (classes, K)
    return weights.astype(np.float32) * np.float32(scale)


def _matrix(node: gs.Node, constants: Constants) -> Floats | None:
    """Return what a linear layer multiplies by, as it is stored; integers as the numbers that they stand for."""
    if node.op in _QUANTIZED:
        return constants.dequantized(node.inputs[3:6], axis=0 if node.attrs.get("transB", 0) else 1)
    return constants.value(node.inputs[1]) if len(node.inputs) > 1 else None
