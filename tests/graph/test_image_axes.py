"""Where the axes of tensors lie in the network's input, as the operators say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from onnx import helper, numpy_helper

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.image_axes.follow import follow_image
from onnx_cam.graph.image_axes.rules import Facts
from onnx_cam.graph.image_axes.spans import Span, TokenSpan, Unsettled, View
from onnx_cam.graph.read import import_graph, read_model
from tests import tiny

Node = onnx.NodeProto


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> Node:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def follow(
    nodes: Sequence[Node],
    constants: dict[str, np.ndarray],
    tmp_path: Path,
    *,
    shape: Sequence[int] = (1, 3, 32, 32),
    axes: tuple[int, int] = (2, 3),
    output: str = "y",
) -> View | Unsettled:
    """Return what a tensor covers, with the shapes that onnx infers."""
    graph = helper.make_graph(
        list(nodes),
        "main",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name=output)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 16)])
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    infos = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    shapes = {info.name: tuple(d.dim_value for d in info.type.tensor_type.shape.dim) for info in infos}
    facts = Facts(Constants(proto), shapes)
    views = follow_image(import_graph(read_model(tiny.save(proto, tmp_path))), "image", axes, facts)
    assert not facts.missing
    return views[output]


WHOLE = {2: Span("height"), 3: Span("width")}
ENDS = {"s": np.array([8, 16]), "e": np.array([24, 32]), "a": np.array([2, 3])}


def test_convolutions_pooling_and_arithmetic_keep_the_frame(tmp_path: Path) -> None:
    weight = np.zeros((4, 3, 3, 3), np.float32)
    nodes = [
        node("Conv", "image w", "c", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Mul", "p two", "y"),
    ]
    assert follow(nodes, {"w": weight, "two": np.array(2, np.float32)}, tmp_path) == WHOLE


def test_a_slice_is_a_frame(tmp_path: Path) -> None:
    view = follow([node("Slice", "image s e a", "y")], ENDS, tmp_path)
    assert view == {2: Span("height", 0.25, 0.75), 3: Span("width", 0.5, 1.0)}


def test_a_slice_of_a_slice_is_a_frame_within_a_frame(tmp_path: Path) -> None:
    inner = {"s2": np.array([4]), "e2": np.array([12]), "a2": np.array([-2])}
    view = follow([node("Slice", "image s e a", "x"), node("Slice", "x s2 e2 a2", "y")], ENDS | inner, tmp_path)
    assert view == {2: Span("height", 0.375, 0.625), 3: Span("width", 0.5, 1.0)}


@pytest.mark.parametrize(("axis", "name"), [(2, "height"), (3, "width")])
def test_a_slice_backwards_is_a_flip(axis: int, name: str, tmp_path: Path) -> None:
    constants = {"s": np.array([-1]), "e": np.array([-(2**31)]), "a": np.array([axis]), "t": np.array([-1])}
    view = follow([node("Slice", "image s e a t", "y")], constants, tmp_path)
    assert not isinstance(view, Unsettled)
    assert view[axis] == Span(name, 1.0, 0.0)  # type: ignore[arg-type]
    assert view[5 - axis] == WHOLE[5 - axis]


def test_every_second_pixel_covers_the_whole_whichever_comes_first(tmp_path: Path) -> None:
    """As YOLO's Focus takes the image apart."""
    constants = {"s0": np.array([0, 0]), "s1": np.array([1, 1]), "e": np.array([32, 32]), "a": np.array([2, 3])}
    nodes = [
        node("Slice", "image s0 e a two", "even"),
        node("Slice", "image s1 e a two", "odd"),
        node("Concat", "even odd", "y", axis=1),
    ]
    assert follow(nodes, constants | {"two": np.array([2, 2])}, tmp_path) == WHOLE


def test_a_transposition_swaps_the_axes(tmp_path: Path) -> None:
    view = follow([node("Transpose", "image", "y", perm=[0, 1, 3, 2])], {}, tmp_path)
    assert view == {2: Span("width"), 3: Span("height")}


def test_channels_last_go_where_the_permutation_says(tmp_path: Path) -> None:
    nodes = [node("Transpose", "image", "y", perm=[0, 3, 1, 2])]
    assert follow(nodes, {}, tmp_path, shape=(1, 32, 32, 3), axes=(1, 2)) == WHOLE


def test_wide_padding_moves_the_frame(tmp_path: Path) -> None:
    pads = np.array([0, 0, 16, 8, 0, 0, 16, 8])
    view = follow([node("Pad", "image p", "x"), node("Relu", "x", "y")], {"p": pads}, tmp_path)
    assert view == {2: Span("height", -0.5, 1.5), 3: Span("width", -0.25, 1.25)}


@pytest.mark.parametrize("kernel", [3, 7])
def test_the_same_padding_of_a_convolution_does_not(kernel: int, tmp_path: Path) -> None:
    """As TensorFlow's exporters write it: in front of a convolution without padding, on one side only."""
    pads = np.array([0, 0, 0, 0, 0, 0, kernel - 2, kernel - 2])
    weight = np.zeros((4, 3, kernel, kernel), np.float32)
    nodes = [node("Pad", "image p", "x"), node("Conv", "x w", "y", strides=[2, 2])]
    assert follow(nodes, {"p": pads, "w": weight}, tmp_path) == WHOLE


def test_padding_beyond_a_kernels_reach_moves_the_frame(tmp_path: Path) -> None:
    weight = np.zeros((4, 3, 3, 3), np.float32)
    view = follow([node("Conv", "image w", "y", pads=[10, 2, 10, 2])], {"w": weight}, tmp_path)
    assert view == {2: Span("height", -0.25, 1.25), 3: Span("width")}


def test_a_split_along_the_height_gives_each_part_its_frame(tmp_path: Path) -> None:
    nodes = [node("Split", "image sizes", "top y", axis=2)]
    view = follow(nodes, {"sizes": np.array([8, 24])}, tmp_path)
    assert view == {2: Span("height", 0.25, 1.0), 3: Span("width")}


def test_patches_become_tokens_and_a_class_token_comes_before_or_after(tmp_path: Path) -> None:
    constants = {
        "w": np.zeros((5, 3, 8, 8), np.float32),
        "rows": np.array([0, 5, -1]),
        "class": np.zeros((1, 1, 5), np.float32),
    }
    nodes = [
        node("Conv", "image w", "patches", strides=[8, 8]),
        node("Reshape", "patches rows", "flat"),
        node("Transpose", "flat", "tokens", perm=[0, 2, 1]),
    ]
    for names, before, after in (("class tokens", 1, 0), ("tokens class", 0, 1)):
        view = follow([*nodes, node("Concat", names, "y", axis=1)], constants, tmp_path)
        assert view == {1: TokenSpan(Span("height"), Span("width"), 4, 4, before, after)}


def test_tokens_that_are_put_back_on_their_grid_are_a_map(tmp_path: Path) -> None:
    constants = {"rows": np.array([0, 3, -1]), "grid": np.array([0, 3, 32, 32])}
    nodes = [node("Reshape", "image rows", "flat"), node("Reshape", "flat grid", "y")]
    assert follow(nodes, constants, tmp_path) == WHOLE


def test_a_gate_without_a_place_does_not_unsettle_a_product(tmp_path: Path) -> None:
    nodes = [node("GlobalAveragePool", "image", "g"), node("Sigmoid", "g", "s"), node("Mul", "image s", "y")]
    assert follow(nodes, {}, tmp_path) == WHOLE


UNSETTLED = {
    "a sum of the image and its mirror image": (
        [node("Slice", "image s e a t", "m"), node("Add", "image m", "y")],
        {"s": np.array([-1]), "e": np.array([-(2**31)]), "a": np.array([3]), "t": np.array([-1])},
    ),
    "crops side by side": ([node("Slice", "image s e a", "c"), node("Concat", "c c", "y", axis=3)], ENDS),
    "crops in the batch": ([node("Slice", "image s e a", "c"), node("Concat", "c c", "y", axis=0)], ENDS),
    "windows": ([node("Reshape", "image six", "y")], {"six": np.array([1, 3, 4, 8, 4, 8])}),
    "shuffled rows": ([node("Gather", "image i", "y", axis=2)], {"i": np.array([3, 1, 2, 0])}),
    "a grid that is sampled": ([node("GridSample", "image g", "y")], {"g": np.zeros((1, 32, 32, 2), np.float32)}),
}


@pytest.mark.parametrize("case", UNSETTLED)
def test_what_the_operators_do_not_say_is_unsettled_and_named(case: str, tmp_path: Path) -> None:
    nodes, constants = UNSETTLED[case]
    view = follow(nodes, constants, tmp_path)
    assert isinstance(view, Unsettled)
    assert view.reason.split()[0] in {one.op_type for one in nodes}


PIECES = {"s0": np.array([0]), "e0": np.array([6]), "e9": np.array([10**6]), "a2": np.array([2])}


def test_pieces_put_side_by_side_again_cover_what_they_were_cut_from(tmp_path: Path) -> None:
    cut = [node("Slice", "image s0 e0 a2", "top"), node("Slice", "image e0 e9 a2", "bottom")]
    assert follow([*cut, node("Concat", "top bottom", "y", axis=2)], PIECES, tmp_path) == WHOLE


def test_a_cyclic_shift_is_not_followed(tmp_path: Path) -> None:
    """As in Swin transformers: https://github.com/jacobgil/pytorch-grad-cam/issues/124."""
    cut = [node("Slice", "image s0 e0 a2", "top"), node("Slice", "image e0 e9 a2", "bottom")]
    view = follow([*cut, node("Concat", "bottom top", "y", axis=2)], PIECES, tmp_path)
    assert view == Unsettled("Concat 'y'")


def test_pieces_along_different_axes_of_the_image_are_not_joined(tmp_path: Path) -> None:
    nodes = [
        node("Slice", "image s0 e0 a2", "top"),
        node("Transpose", "image", "turned", perm=[0, 1, 3, 2]),
        node("Slice", "turned e0 e9 a2", "right"),
        node("Concat", "top right", "y", axis=2),
    ]
    assert isinstance(follow(nodes, PIECES, tmp_path), Unsettled)


def test_a_class_token_put_between_the_patches_leaves_their_order_open(tmp_path: Path) -> None:
    """As in Vision Mamba: https://github.com/AtlasAnalyticsLab/Vim4Path/issues/4."""
    nodes = [
        node("Conv", "image w", "patches", strides=[8, 8]),
        node("Reshape", "patches shape", "rows"),
        node("Transpose", "rows", "tokens", perm=[0, 2, 1]),
        node("Slice", "tokens s0 e0 a1", "front"),
        node("Slice", "tokens e0 e9 a1", "back"),
        node("Concat", "front class back", "y", axis=1),
    ]
    constants = PIECES | {
        "w": np.zeros((4, 3, 8, 8), np.float32),
        "shape": np.array([1, 4, 16]),
        "a1": np.array([1]),
        "class": np.zeros((1, 1, 4), np.float32),
    }
    view = follow(nodes, constants, tmp_path)
    assert isinstance(view, Unsettled)
    assert view.reorders_tokens


@pytest.mark.parametrize("attributes", [{"pads": 3}, {"pads": ["a"] * 4}, {"pads": [9] * 4, "dilations": [1]}])
def test_attributes_of_a_damaged_node_settle_nothing(attributes: dict[str, Any]) -> None:
    """ONNX does not say which attributes an operator of another domain has."""
    weight = np.zeros((4, 3, 3, 3), np.float32)
    conv = gs.Node("FusedConv", attrs=attributes, inputs=[gs.Variable("image"), gs.Variable("w")])
    conv.outputs.append(gs.Variable("y"))
    graph = helper.make_graph([], "main", [], [], [numpy_helper.from_array(weight, "w")])
    facts = Facts(Constants(helper.make_model(graph)), {"image": (1, 3, 32, 32)})
    assert isinstance(follow_image(gs.Graph([conv]), "image", (2, 3), facts)["y"], Unsettled)
