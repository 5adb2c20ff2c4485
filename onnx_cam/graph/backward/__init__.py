"""The gradient at a layer as a graph: reverse mode written as nodes of the model's own opset.

===========================  =====================================================================
:mod:`.reverse`              adds the nodes to a model
:mod:`.path`                 the part of a graph between a layer and the logits
:mod:`.cut`                  that part as a model of its own
:mod:`.facts`                what a rule may know of a tensor
:mod:`.step`                 one node of the path, as its rule sees it
:mod:`.emitter`              new nodes, in the form that the opset has
:mod:`.operators`            the table of rules: domain and operator to function
:mod:`.arithmetic`           rules of elementwise arithmetic of several tensors
:mod:`.activation`           rules of activation functions
:mod:`.convolution`          rules of convolutions
:mod:`.windows`              the windows of convolutions and pooling
:mod:`.products`             rules of matrix products
:mod:`.pooling`              rules of pooling
:mod:`.normalisation`        rules of normalisations
:mod:`.shape`                rules that rearrange a tensor
===========================  =====================================================================
"""

from onnx_cam.graph.backward.facts import TensorFacts
from onnx_cam.graph.backward.reverse import GRADIENT, SEED, Border, add_gradient, path_to_layer

__all__ = ["GRADIENT", "SEED", "Border", "TensorFacts", "add_gradient", "path_to_layer"]
