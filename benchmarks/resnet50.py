"""A ResNet-50 with random weights as an ONNX model, to measure speed without a model file of that size."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["resnet50"]

STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))


class _Builder:
    def __init__(self, half: bool) -> None:
        self.dtype = np.float16 if half else np.float32
        self.generator = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) or 1
        values = self.generator.standard_normal(shape) * np.sqrt(1 / fan_in)
        self.weights.append(numpy_helper.from_array(values.astype(self.dtype), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x: str, inner: int, outer: int, kernel: int, stride: int) -> str:
        pad = kernel // 2
        weight = self.weight(outer, inner, kernel, kernel)
        return self.add("Conv", x, weight, strides=[stride] * 2, pads=[pad] * 4, kernel_shape=[kernel] * 2)

    def block(self, x: str, inner: int, width: int, stride: int) -> str:
        y = self.add("Relu", self.conv(x, inner, width, 1, 1))
        y = self.add("Relu", self.conv(y, width, width, 3, stride))
        y = self.conv(y, width, 4 * width, 1, 1)
        shortcut = x if stride == 1 and inner == 4 * width else self.conv(x, inner, 4 * width, 1, stride)
        return self.add("Relu", self.add("Add", y, shortcut))


def resnet50(half: bool = False) -> onnx.ModelProto:
    """Return the model: images (batch, 3, 224, 224) to logits (batch, 1000), float32 or float16.

    References
    ----------
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, table 1; batch normalisation is folded into the
    convolutions.
    """
    builder = _Builder(half)
    x = builder.add("Relu", builder.conv("image", 3, 64, 7, 2))
    x = builder.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inner = 64
    for repeats, width, stride in STAGES:
        for i in range(repeats):
            x = builder.block(x, inner, width, stride if i == 0 else 1)
            inner = 4 * width
    flat = builder.add("Flatten", builder.add("GlobalAveragePool", x))
    builder.nodes.append(
        helper.make_node("Gemm", [flat, builder.weight(1000, 2048)], ["logits"], name="Gemm", transB=1)
    )
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    graph = helper.make_graph(
        builder.nodes,
        "resnet50",
        [helper.make_tensor_value_info("image", kind, ["batch", 3, 224, 224])],
        [helper.make_tensor_value_info("logits", kind, ["batch", 1000])],
        builder.weights,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
