"""The gradient as a graph: reverse mode written in the operators of the model's own opset."""

from onnx_cam.graph.backward.facts import TensorFacts
from onnx_cam.graph.backward.reverse import (
    GRADIENT,
    SEED,
    Border,
    add_gradient,
    path_to_layer,
)

__all__ = ["GRADIENT", "SEED", "Border", "TensorFacts", "add_gradient", "path_to_layer"]
