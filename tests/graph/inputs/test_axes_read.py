"""The layout of an input: what the first convolution reads as channels, whatever the sizes suggest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.inputs.axes_read import find_layer_axes
from onnx_cam.graph.inputs.image_input import describe_image_input
from onnx_cam.graph.inputs.prepare import prepare_inputs
from onnx_cam.graph.read import ModelFile
from tests import tiny


def layout(nodes: Sequence[onnx.NodeProto], shape: Sequence[Any]) -> str:
    graph = helper.make_graph(list(nodes), "main", [tiny.value_info("image", shape)], [])
    found = describe_image_input(prepare_inputs(ModelFile(Path("m.onnx"), "", helper.make_model(graph), folder=None)))
    return f"{found.layout} {found.channels}"


def node(operator: str, inputs: str, outputs: str, domain: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), domain=domain, **attributes)


CONVOLUTION = node("Conv", "image w", "y")
CHANNELS_LAST = [node("Transpose", "image", "x", perm=[0, 3, 1, 2]), node("Conv", "x w", "y")]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["N", 3, 64, 64], "NCHW 3"),
        (["N", 11, 60, 1], "NCHW 11"),
        (["N", 9, 128, 3], "NCHW 9"),
        (["N", 2, 64, 4], "NCHW 2"),
        (["N", 64, 64, 3], "NCHW 64"),
        (["N", 3, None, 3], "NCHW 3"),
        (["N", 1, 1, 1], "NCHW 1"),
    ],
)
def test_a_convolution_of_the_input_itself_is_channels_first(shape: list[Any], expected: str) -> None:
    assert layout([CONVOLUTION], shape) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["N", 64, 64, 3], "NHWC 3"),
        (["N", 3, 64, 3], "NHWC 3"),
        (["N", 1, 60, 11], "NHWC 11"),
        (["N", 3, 128, 9], "NHWC 9"),
        (["N", None, None, 3], "NHWC 3"),
    ],
)
def test_a_convolution_after_a_transposition_is_channels_last(shape: list[Any], expected: str) -> None:
    assert layout(CHANNELS_LAST, shape) == expected


@pytest.mark.parametrize(
    "before",
    [
        [node("Cast", "image", "a", to=1), node("Sub", "a m", "b"), node("Div", "b s", "x")],
        [node("Sub", "m image", "x")],
        [node("QuantizeLinear", "image s z", "q"), node("DequantizeLinear", "q s z", "x")],
        [node("Split", "image", "r g b", axis=1), node("Concat", "b g r", "x", axis=1)],
        [node("Resize", "image r r t", "p"), node("Slice", "p a b c", "q"), node("Pad", "q d", "x")],
        [node("Shape", "image", "s"), node("Identity", "image", "x")],
    ],
)
def test_what_comes_before_does_not_matter(before: list[onnx.NodeProto]) -> None:
    assert layout([*before, node("Conv", "x w", "y")], ["N", 9, 128, 3]) == "NCHW 9"
    moved = node("Transpose", "x", "t", perm=[0, 3, 1, 2])
    assert layout([*before, moved, node("Conv", "t w", "y")], ["N", 3, 128, 9]) == "NHWC 9"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (node("MaxPool", "image", "y", kernel_shape=[2, 2]), 1),
        (node("QLinearConv", "image s z w a b c d", "y"), 1),
        (node("NhwcConv", "image w", "y", domain="com.microsoft"), 3),
        (node("QLinearConv", "image s z w a b c d", "y", domain="com.microsoft", channels_last=1), 3),
        (node("ReorderInput", "image", "y", domain="com.microsoft.nchwc"), 1),
        (node("ReorderInput", "image", "y", domain="com.microsoft.nchwc", channels_last=1), 3),
        (node("Reshape", "image s", "y"), None),
        (node("MatMul", "image w", "y"), None),
    ],
)
def test_other_first_layers(first: onnx.NodeProto, expected: int | None) -> None:
    graph = helper.make_graph([first, node("Conv", "y w2", "z")], "main", [], [])
    layer = find_layer_axes(graph, "image", [None, 8, 8, 8], Constants(helper.make_model(graph)))
    assert (None if layer is None else layer.channels.source) == expected


def test_without_a_convolution_the_sizes_tell() -> None:
    reshape = node("Reshape", "image s", "y")
    assert layout([reshape], ["N", 64, 64, 1]) == "NHWC 1"
    assert layout([reshape], ["N", 1, 28, 28]) == "NCHW 1"


def test_a_sensors_model_runs(tmp_path: Path) -> None:
    import onnx_cam

    weights = {"v": np.random.default_rng(0).standard_normal((6, 11, 3, 1)).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["image", "v"], ["conv"], pads=[1, 0, 1, 0]),
        helper.make_node("Relu", ["conv"], ["relu2"]),
        *tiny.body()[4:],
    ]
    made = tiny.build(
        nodes,
        {key: value for key, value in tiny.weights().items() if key in ("w3", "b3")} | weights,
        image=["N", 11, 60, 1],
        outputs=[tiny.value_info("logits", ["N", tiny.CLASSES])],
    )
    model = onnx_cam.load(tiny.save(made, tmp_path), device="cpu", preprocess="none")
    assert (model.input.layout, model.input.channels, model.size) == ("NCHW", 11, (60, 1))
