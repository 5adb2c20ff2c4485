"""An ONNX graph as a differentiable torch module.

Importing this package imports torch, and raises `MissingExtraError` where it is not installed; nothing else in
onnx-cam imports torch, and nothing imports this package before a gradient is asked for.

===========================  ============================================================
:mod:`.graph_module`         the graph as a module: runs the nodes that outputs need
:mod:`.derivatives`          the gradient of logits with respect to a layer
:mod:`.build`                a protobuf to nodes with rules and to constants
:mod:`.node`                 an operator, as its rule sees it
:mod:`.dtypes`               ONNX's types as torch's
:mod:`.operators`            the table: domain and operator to rule
:mod:`.arithmetic`           rules by kind: numbers, logic, types
:mod:`.activation`           activations
:mod:`.convolution`          convolutions and products of matrices
:mod:`.pooling`              pooling
:mod:`.normalisation`        normalisations
:mod:`.reduction`            reductions, and orders along an axis
:mod:`.shape`                shapes
:mod:`.indexing`             parts of a tensor
:mod:`.creation`             tensors made of shapes and numbers
:mod:`.resize`               Resize and Upsample
:mod:`.quantization`         quantization, with a straight-through gradient
:mod:`.integer_operators`    operators on quantized tensors
:mod:`.attention`            attention as one operator
===========================  ============================================================
"""

from onnx_cam.gradients.import_torch import import_torch

import_torch()

from onnx_cam.gradients.derivatives import layer_gradients  # noqa: E402 (they need torch)
from onnx_cam.gradients.graph_module import GraphModule  # noqa: E402

__all__ = ["GraphModule", "layer_gradients"]
