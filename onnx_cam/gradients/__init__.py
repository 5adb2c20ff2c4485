"""An ONNX graph as a differentiable torch module.

Importing this package imports torch, and raises `MissingExtraError` where it is not installed; nothing else in
onnx-cam imports torch, and nothing imports this package before a gradient is asked for.
"""

from onnx_cam.gradients.import_torch import import_torch

import_torch()

from onnx_cam.gradients.derivatives import layer_gradients  # noqa: E402 (they need torch)
from onnx_cam.gradients.graph_module import GraphModule  # noqa: E402

__all__ = ["GraphModule", "layer_gradients"]
