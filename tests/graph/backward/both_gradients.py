"""The gradient of models of a few nodes, by the graph and by torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.gradients import GraphModule
from onnx_cam.graph.backward import SEED, add_gradient, path_to_layer
from tests.graph.backward.one_gradient import LAYER, LOGITS, facts_of, session_of

Array = NDArray[Any]


def model_of(nodes: list[onnx.NodeProto], weights: dict[str, Array], image: Array, opset: int = 17) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "types",
        [helper.make_tensor_value_info(LAYER, TensorProto.FLOAT, image.shape)],
        [helper.make_empty_tensor_value_info(LOGITS)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets)


def gradients(model: onnx.ModelProto, image: Array) -> tuple[Array, Array]:
    """Return the gradient of a random combination of the logits, by the graph and by torch."""
    leaf = torch.as_tensor(image).requires_grad_()
    output = GraphModule(model, name="types.onnx")(leaf, [LOGITS])[0]
    seed = np.random.default_rng(1).standard_normal(output.shape).astype(np.float32)
    (expected,) = torch.autograd.grad(output, leaf, torch.as_tensor(seed))
    path = path_to_layer(model, LAYER, LOGITS, "types.onnx")
    name = add_gradient(model, LAYER, LOGITS, facts_of(model, path, [image]), "types.onnx")
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    feed = {LAYER: image, SEED: seed.reshape(len(seed), -1)}
    return np.asarray(session_of(model).run([name], feed)[0]), expected.numpy()
