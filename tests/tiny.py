"""Tiny classifiers, built in code: the least graph that shows what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

CLASSES = 4
CHANNELS = 6
SIZE = 20
DEAD = (2, 4)  # channels that are constant: one at 0, the other at 0.7 unless said otherwise

Batch = int | str | None


def weights(seed: int = 0, constant: float = 0.7) -> dict[str, Floats]:
    """Return the tiny network's weights: conv 3→6, relu, conv 6→6, relu, global average, linear 6→4."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> Floats:
        return generator.standard_normal(shape, np.float32)

    second = normal(CHANNELS, CHANNELS, 3, 3) / 4
    bias = normal(CHANNELS) / 4
    for channel, value in zip(DEAD, (-1.0, constant), strict=True):
        second[channel], bias[channel] = 0, value
    made: dict[str, NDArray[Any]] = {
        "w1": normal(CHANNELS, 3, 3, 3) / 3,
        "b1": normal(CHANNELS) / 4,
        "w2": second,
        "b2": bias,
        "w3": normal(CLASSES, CHANNELS) * 3,
        "b3": normal(CLASSES),
    }
    return {name: np.asarray(value, np.float32) for name, value in made.items()}


def body() -> list[onnx.NodeProto]:
    """Return the nodes of the tiny network; its layer of interest is ``relu2``, its logits are ``logits``."""
    return [
        helper.make_node("Conv", ["image", "w1", "b1"], ["conv1"], name="Conv_1", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv1"], ["relu1"], name="Relu_1"),
        helper.make_node("Conv", ["relu1", "w2", "b2"], ["conv2"], name="Conv_2", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv2"], ["relu2"], name="Relu_2"),
        helper.make_node("GlobalAveragePool", ["relu2"], ["pooled"], name="Pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="Flatten"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"], name="Gemm", transB=1),
    ]


def model(
    *,
    batch: Batch = "batch",
    size: int | str = SIZE,
    tail: Sequence[onnx.NodeProto] = (),
    output: str = "logits",
    classes: int | None = CLASSES,
    seed: int = 0,
    constant: float = 0.7,
    opset: int = 13,
    metadata: dict[str, str] | None = None,
    extra_outputs: Sequence[onnx.ValueInfoProto] = (),
) -> onnx.ModelProto:
    """Return the tiny network; `tail` nodes come behind ``logits``."""
    return build(
        [*body(), *tail],
        weights(seed, constant),
        image=[batch, 3, size, size],
        outputs=[value_info(output, [batch, classes]), *extra_outputs],
        opset=opset,
        metadata=metadata,
    )


def softmax_model(**settings: Any) -> onnx.ModelProto:
    """Return the tiny network with a Softmax in the graph."""
    tail = [helper.make_node("Softmax", ["logits"], ["probabilities"], name="Softmax", axis=1)]
    return model(tail=tail, output="probabilities", **settings)


def build(
    nodes: Sequence[onnx.NodeProto],
    initializers: dict[str, Any],
    *,
    image: Sequence[Batch],
    outputs: Sequence[onnx.ValueInfoProto],
    opset: int = 13,
    ir_version: int = 8,
    metadata: dict[str, str] | None = None,
    image_type: int = TensorProto.FLOAT,
    **extra: Any,
) -> onnx.ModelProto:
    """Return a model of nodes and weights, its input called ``image``."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [value_info("image", image, image_type)],
        list(outputs),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in initializers.items()],
    )
    made = helper.make_model(graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", opset)], **extra)
    if metadata:
        helper.set_model_props(made, metadata)
    return made


def one_at_a_time() -> onnx.ModelProto:
    """A Reshape to (1, 6) that the file's free batch does not show."""
    nodes = [node for node in body() if node.op_type != "Flatten"]
    return build(
        [*nodes[:-1], helper.make_node("Reshape", ["pooled", "shape"], ["flat"]), nodes[-1]],
        {**weights(), "shape": np.array([1, CHANNELS])},
        image=["batch", 3, SIZE, SIZE],
        outputs=[value_info("logits", ["batch", CLASSES])],
    )


def value_info(name: str, shape: Sequence[Batch] | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def save(made: onnx.ModelProto, folder: Path, name: str = "tiny.onnx") -> Path:
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def image(seed: int = 0, size: int = SIZE, channels: int = 3) -> Floats:
    """Return a network input (C, H, W): smooth noise, so that neighbouring pixels have something in common."""
    coarse = np.random.default_rng(seed).standard_normal((channels, 5, 5), np.float32)
    return np.kron(coarse, np.ones((size // 5, size // 5), np.float32)).astype(np.float32)
