"""A heatmap as a graph: the nodes that compute it from a model's own tensors, at the model's own opset.

====================  ============================================================
:mod:`.add`           all of it: new nodes and outputs behind a model
:mod:`.target`        the class that each image is explained for
:mod:`.maps`          the layer's tensor as activation maps
:mod:`.formulas`      the methods: from maps and gradients to L
:mod:`.class_rows`    the rows of a linear layer's weights that belong to classes
:mod:`.normalise`     ``s(L)`` and ``s(U(L))``
:mod:`.own_weights`   constants that the gradient does not share with the model
====================  ============================================================
"""

from onnx_cam.graph.heatmap.add import CLASS, HEATMAP, TARGET, HeatmapPlan, add_heatmap
from onnx_cam.graph.heatmap.normalise import Upsampling

__all__ = ["CLASS", "HEATMAP", "TARGET", "HeatmapPlan", "Upsampling", "add_heatmap"]
