"""An ONNX graph as a differentiable torch module: the gradients behind Grad-CAM and its relatives.

Importing this package imports torch, and raises `MissingExtraError` if torch is not installed. No other package of
onnx-cam imports torch, and this one is imported only when a gradient is needed.

===========================  =====================================================================
:mod:`.graph_module`         the graph as a torch module, which runs the nodes that its outputs need
:mod:`.derivatives`          the gradients of logits with respect to a layer
:mod:`.build`                from a protobuf to nodes with rules, and to constants
:mod:`.node`                 one operator of a graph, as its rule sees it
:mod:`.dtypes`               ONNX's data types as torch's
:mod:`.operators`            the table of rules: domain and operator to function
:mod:`.arithmetic`           rules of arithmetic, comparisons, logic and casts
:mod:`.activation`           rules of activation functions
:mod:`.convolution`          rules of convolutions and matrix products
:mod:`.pooling`              rules of pooling
:mod:`.normalisation`        rules of normalisation layers
:mod:`.reduction`            rules of reductions and of sorting along an axis
:mod:`.shape`                rules that rearrange a tensor
:mod:`.indexing`             rules that read or write a part of a tensor
:mod:`.creation`             rules that create a tensor
:mod:`.resize`               rules of Resize and Upsample
:mod:`.quantization`         rules of quantization, with a straight-through gradient
:mod:`.integer_operators`    rules of operators on quantized tensors
:mod:`.attention`            rules of attention as a single operator
===========================  =====================================================================
"""

from onnx_cam.gradients.import_torch import import_torch

import_torch()

from onnx_cam.gradients.derivatives import layer_gradients  # noqa: E402 (needs torch)
from onnx_cam.gradients.graph_module import GraphModule  # noqa: E402

__all__ = ["GraphModule", "layer_gradients"]
