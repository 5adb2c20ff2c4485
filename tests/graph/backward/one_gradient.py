"""The gradient of a model of one node, by the graph and by torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from onnx_cam.graph.backward import SEED, Border, TensorFacts, find_gradient, path_to_layer
from onnx_cam.graph.backward.path import Path
from tests.gradients.one_node import Case

Array = NDArray[Any]

LAYER, LOGITS = "input0", "output0"


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def facts_of(model: onnx.ModelProto, path: Path, images: list[Array]) -> dict[str, TensorFacts]:
    """Return the facts of all tensors that the path touches: with two images, sizes that differ depend on the batch."""
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    facts = {name: TensorFacts.of(stored[name]) for name in path.touched if name in stored}
    computed = [name for name in path.touched if name not in stored]
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    known = {output.name for output in tapped.graph.output}
    tapped.graph.output.extend(onnx.ValueInfoProto(name=n) for n in computed if n not in known and n != LAYER)
    session = session_of(tapped)
    fetched = [name for name in computed if name != LAYER]
    runs = [dict(zip(fetched, session.run(fetched, {LAYER: x}), strict=True)) | {LAYER: x} for x in images]
    for name in computed:
        shapes = [np.shape(run[name]) for run in runs]
        shape = tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True))
        value = runs[0][name] if name in path.parameters else None
        facts[name] = TensorFacts(shape, np.asarray(runs[0][name]).dtype.name, value)
    return facts


def free_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the first size of its input left open."""
    free = onnx.ModelProto()
    free.CopyFrom(model)
    free.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    return free


def add_gradient_and_seed(
    model: onnx.ModelProto, layer: Border, logits: Border, facts: dict[str, TensorFacts], name: str = "one.onnx"
) -> str:
    """Add the gradient to a model, and an input for the seed; return the tensor that holds the gradient."""
    gradient = find_gradient(model, layer, logits, facts, name)
    model.graph.node.extend(gradient.nodes)
    kind = onnx.TensorProto.FLOAT
    model.graph.input.append(onnx.helper.make_tensor_value_info(SEED, kind, ["rows", gradient.classes]))
    model.graph.output.append(onnx.helper.make_tensor_value_info(gradient.output, kind, None))
    return gradient.output


def gradient_graph(case: Case, *, free: bool) -> onnx.ModelProto:
    """Return the model of a case with the gradient as its last output."""
    model, image = case.model(), case.image()
    images = [image]
    if free:
        model, images = free_batch(model), [image, np.concatenate([image, image])]
    path = path_to_layer(model, LAYER, LOGITS, "one.onnx")
    facts = facts_of(model, path, images)
    add_gradient_and_seed(model, LAYER, LOGITS, facts)
    return model


def graph_gradient(case: Case, image: Array, seed: Array, *, free: bool = False) -> Array:
    """Return ``∂(Σ seed · output)/∂image`` by the graph that the rules emit."""
    model = gradient_graph(case, free=free)
    rows = seed.reshape(seed.shape[0] if seed.ndim else 1, -1)
    return np.asarray(session_of(model).run([model.graph.output[-1].name], {LAYER: image, SEED: rows})[0])


def torch_gradient(case: Case, image: Array, seed: Array) -> Array:
    """Return the same by the torch path."""
    leaf = torch.as_tensor(np.asarray(image, np.float32)).requires_grad_()
    output = case.module()(leaf, [LOGITS])[0]
    (gradient,) = torch.autograd.grad(output, leaf, torch.as_tensor(seed).to(output.dtype).reshape(output.shape))
    return gradient.numpy()


def seed_for(case: Case) -> Array:
    """Return random coefficients of the output's shape."""
    shape = case.expected()[0].shape
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def at_opset(case: Case, opset: int) -> Case:
    return replace(case, opset=opset)
