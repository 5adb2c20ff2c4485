"""What a graph does to its input itself: found in any form, stated as it is, and not repeated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.graph.built_in import BuiltIn, find_built_in
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.read import import_graph, read_model
from onnx_cam.image.preprocessing import PRESETS
from tests import tiny

CAFFE = np.array([103.939, 116.779, 123.68], np.float32)
MEAN, STD = (np.array(values, np.float32) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))

Step = onnx.NodeProto
Constant = dict[str, Any]


def step(operator: str, inputs: str, outputs: str, **attributes: Any) -> Step:
    return helper.make_node(operator, inputs.split(), outputs.split(), name=outputs.split(maxsplit=1)[0], **attributes)


def planes(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(1, 3, 1, 1)


def model(
    steps: Sequence[Step],
    constants: Constant,
    *,
    layout: str = "NCHW",
    image_type: int = TensorProto.FLOAT,
    size: Any = 20,
) -> onnx.ModelProto:
    """Return the tiny network behind steps that end in the tensor ``ready``."""
    body = tiny.body()
    body[0].input[0] = "ready"
    sizes = ["batch", 3, size, size] if layout == "NCHW" else ["batch", size, size, 3]
    return tiny.build(
        [*steps, *body],
        tiny.weights() | constants,
        image=sizes,
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
        image_type=image_type,
    )


def find(made: onnx.ModelProto, folder: Path) -> BuiltIn | None:
    file = read_model(tiny.save(made, folder))
    return find_built_in(import_graph(file), Constants(file), "image")


SWAP = np.zeros((3, 3, 1, 1), np.float32)
SWAP[[0, 1, 2], [2, 1, 0]] = 1
INDICES = {f"i{i}": np.array(i) for i in range(3)} | {"axes": np.array([1])}

BGR_FROM_RGB: dict[str, tuple[list[Step], Constant]] = {
    "Gather": ([step("Gather", "image order", "bgr", axis=1)], {"order": np.array([2, 1, 0])}),
    "a negative axis and negative indices": (
        [step("Gather", "image order", "bgr", axis=-3)],
        {"order": np.array([-1, -2, -3])},
    ),
    "Slice backwards": (
        [step("Slice", "image start end axes step", "bgr")],
        {"start": np.array([-1]), "end": np.array([-(2**62)]), "axes": np.array([1]), "step": np.array([-1])},
    ),
    "Split and Concat": (
        [step("Split", "image", "r g b", axis=1), step("Concat", "b g r", "bgr", axis=1)],
        {},
    ),
    "one channel at a time": (
        [
            *(step("Gather", f"image i{i}", f"g{i}", axis=1) for i in range(3)),
            *(step("Unsqueeze", f"g{i} axes", f"u{i}") for i in range(3)),
            step("Concat", "u2 u1 u0", "bgr", axis=1),
        ],
        INDICES,
    ),
    "a 1×1 convolution": ([step("Conv", "image swap", "bgr")], {"swap": SWAP}),
    "ReverseSequence": (
        [
            step("Transpose", "image", "cnhw", perm=[1, 0, 2, 3]),
            step("ReverseSequence", "cnhw three", "reversed", time_axis=0, batch_axis=1),
            step("Transpose", "reversed", "bgr", perm=[1, 0, 2, 3]),
        ],
        {"three": np.array([3])},
    ),
}


@pytest.mark.parametrize("name", BGR_FROM_RGB)
def test_a_swap_of_colours_before_caffes_means_takes_rgb_pixels(name: str, tmp_path: Path) -> None:
    steps, constants = BGR_FROM_RGB[name]
    made = model([*steps, step("Sub", "bgr means", "ready")], constants | {"means": planes(CAFFE)})
    built_in = find(made, tmp_path)
    assert built_in is not None
    assert built_in.swaps
    np.testing.assert_allclose(built_in.mean, CAFFE[::-1], rtol=1e-5)  # in the order of the input
    if name != "ReverseSequence":  # which is run for a batch of 1
        classifier = onnx_cam.load(tmp_path / "tiny.onnx", device="cpu")
        assert classifier.preprocessing is not None
        assert (classifier.preprocessing.name, classifier.preprocessing.channels) == ("raw", "RGB")
        assert not classifier.notes


def test_colours_swapped_in_a_channels_last_input(tmp_path: Path) -> None:
    steps = [
        step("Slice", "image start end axes step", "bgr"),
        step("Sub", "bgr means", "centred"),
        step("Transpose", "centred", "ready", perm=[0, 3, 1, 2]),
    ]
    constants = {"start": np.array([-1]), "end": np.array([-4]), "axes": np.array([-1]), "step": np.array([-1])}
    built_in = find(model(steps, constants | {"means": CAFFE}, layout="NHWC"), tmp_path)
    assert built_in is not None
    assert (built_in.swaps, built_in.channels) == (True, "RGB")


NORMALISATIONS: dict[str, tuple[list[Step], Constant]] = {
    "Sub, Div": (
        [step("Sub", "image m", "x"), step("Div", "x s", "ready")],
        {"m": planes(255 * MEAN), "s": planes(255 * STD)},
    ),
    "Div, Sub, Div": (
        [step("Div", "image full", "x"), step("Sub", "x m", "y"), step("Div", "y s", "ready")],
        {"full": np.float32(255), "m": planes(MEAN), "s": planes(STD)},
    ),
    "Mul, Add": (
        [step("Mul", "image f", "x"), step("Add", "x o", "ready")],
        {"f": planes(1 / (255 * STD)), "o": planes(-MEAN / STD)},
    ),
    "subtracted from, and negated": (
        [step("Sub", "m image", "x"), step("Neg", "x", "y"), step("Div", "y s", "ready")],
        {"m": planes(255 * MEAN), "s": planes(255 * STD)},
    ),
    "BatchNormalization": (
        [step("BatchNormalization", "image g b m v", "ready", epsilon=0.0)],
        {"g": np.ones(3), "b": np.zeros(3), "m": 255 * MEAN, "v": (255 * STD) ** 2},
    ),
    "a depthwise convolution": (
        [step("Conv", "image w b", "ready", group=3)],
        {"w": (1 / (255 * STD)).reshape(3, 1, 1, 1), "b": -MEAN / STD},
    ),
    "channel by channel": (
        [
            step("Split", "image", "r g b", axis=1),
            *(step("Sub", f"{c} m{c}", f"c{c}") for c in "rgb"),
            *(step("Div", f"c{c} s{c}", f"d{c}") for c in "rgb"),
            step("Concat", "dr dg db", "ready", axis=1),
        ],
        {f"m{c}": np.float32(255 * MEAN[i]) for i, c in enumerate("rgb")}
        | {f"s{c}": np.float32(255 * STD[i]) for i, c in enumerate("rgb")},
    ),
    "with a Clip of pixels": (
        [step("Clip", "image low high", "c"), step("Sub", "c m", "x"), step("Div", "x s", "ready")],
        {"low": np.float32(0), "high": np.float32(255), "m": planes(255 * MEAN), "s": planes(255 * STD)},
    ),
}


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_normalisation_in_any_form_takes_pixels(name: str, tmp_path: Path) -> None:
    steps, constants = NORMALISATIONS[name]
    made = model(steps, {key: np.asarray(value, np.float32) for key, value in constants.items()})
    built_in = find(made, tmp_path)
    assert built_in is not None
    assert built_in.takes_pixels
    np.testing.assert_allclose(built_in.mean, 255 * MEAN, rtol=1e-4)
    np.testing.assert_allclose(built_in.std, 255 * STD, rtol=1e-4)
    assert not built_in.swaps


def test_what_is_stated_is_what_the_graph_computes(tmp_path: Path) -> None:
    steps, constants = BGR_FROM_RGB["Gather"]
    made = model(
        [*steps, step("Sub", "bgr means", "x"), step("Div", "x scale", "ready")],
        constants | {"means": planes(CAFFE), "scale": np.float32(58.8)},
    )
    made.graph.output.append(onnx.ValueInfoProto(name="ready"))
    built_in = find(made, tmp_path)
    assert built_in is not None
    image = tiny.image()[None] * 40 + 100
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    computed = session.run(["ready"], {"image": image})[0]
    stated = (image - planes(np.array(built_in.mean))) / planes(np.broadcast_to(built_in.std, 3))
    np.testing.assert_allclose(computed, stated[:, ::-1] if built_in.swaps else stated, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("mean", "channels"), [(CAFFE, "BGR"), (CAFFE[::-1], "RGB"), (255 * MEAN, "RGB"), (255 * MEAN[::-1], "BGR")]
)
def test_known_means_tell_the_order_of_the_colours(mean: NDArray[Any], channels: str, tmp_path: Path) -> None:
    path = tiny.save(model([step("Sub", "image m", "ready")], {"m": planes(mean)}), tmp_path)
    classifier = onnx_cam.load(path, device="cpu")
    assert classifier.preprocessing is not None
    assert classifier.preprocessing.channels == channels
    assert not classifier.notes
    other = onnx_cam.load(path, device="cpu", preprocess="raw")
    assert any("in the order BGR" in note for note in other.notes) == (channels == "BGR")


def test_a_swap_without_known_means_is_said(tmp_path: Path) -> None:
    steps, constants = BGR_FROM_RGB["Gather"]
    made = model(
        [*steps, step("Div", "bgr half", "x"), step("Sub", "x one", "ready")],
        constants | {"half": np.float32(127.5), "one": np.float32(1)},
    )
    classifier = onnx_cam.load(tiny.save(made, tmp_path), device="cpu")
    assert any("reverses the order of the colours" in note for note in classifier.notes)
    (tmp_path / "tiny.json").write_text(json.dumps(PRESETS["raw"].describe() | {"channels": "BGR"}))
    settled = onnx_cam.load(tmp_path / "tiny.onnx", device="cpu")
    assert settled.preprocessing is not None
    assert settled.preprocessing.channels == "BGR"
    assert not settled.notes


LAYERS: dict[str, tuple[list[Step], Constant]] = {
    "a gate of learned constants": ([step("Mul", "image g", "ready")], {"g": planes(np.array([1.7, 0.9, 1.2]))}),
    "batch statistics of a normalised input": (
        [step("BatchNormalization", "image g b m v", "ready")],
        {"g": np.ones(3), "b": np.zeros(3), "m": np.full(3, 0.02), "v": np.ones(3)},
    ),
    "another normalisation of a normalised input": (
        [step("Mul", "image f", "x"), step("Add", "x o", "ready")],
        {"f": planes(STD / 0.5), "o": planes((MEAN - 0.5) / 0.5)},
    ),
    "every other pixel": (
        [step("Slice", "image start end axes step", "ready")],
        {"start": np.array([0]), "end": np.array([2**62]), "axes": np.array([2]), "step": np.array([2])},
    ),
    "a mix of colours": (
        [step("Conv", "image w", "ready")],
        {"w": np.random.default_rng(0).random((3, 3, 1, 1))},
    ),
    "a channel that counts twice": ([step("Gather", "image order", "ready", axis=1)], {"order": np.array([0, 0, 1])}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_no_preprocessing(name: str, tmp_path: Path) -> None:
    steps, constants = LAYERS[name]
    typed = {
        key: value if value.dtype.kind == "i" else np.asarray(value, np.float32) for key, value in constants.items()
    }
    assert find(model(steps, typed), tmp_path) is None


def test_branches_that_normalise_otherwise_tell_nothing(tmp_path: Path) -> None:
    steps = [
        step("Div", "image a", "x"),
        step("Div", "image b", "y"),
        step("Relu", "y", "z"),
        step("Add", "x z", "ready"),
    ]
    assert find(model(steps, {"a": np.float32(255), "b": np.float32(128)}), tmp_path) is None


def test_a_graph_that_resizes_images_of_any_size_gets_the_whole_image(tmp_path: Path) -> None:
    resize = helper.make_node("Resize", ["image", "", "", "sizes"], ["resized"], mode="linear")
    steps = [resize, step("Div", "resized full", "ready")]
    made = model(steps, {"sizes": np.array([1, 3, 20, 20]), "full": np.float32(255)}, size="side")
    classifier = onnx_cam.load(tiny.save(made, tmp_path), device="cpu", size=(40, 60))
    assert classifier.preprocessing is not None
    assert (classifier.preprocessing.name, classifier.preprocessing.resize) == ("raw", "stretch")


def test_a_crop_in_the_graph_is_not_repeated(tmp_path: Path) -> None:
    steps = [step("Slice", "image start end axes", "cut"), step("Div", "cut full", "ready")]
    constants = {"start": np.array([4, 4]), "end": np.array([24, 24]), "axes": np.array([2, 3])}
    made = model(steps, constants | {"full": np.float32(255)}, size=28)
    classifier = onnx_cam.load(tiny.save(made, tmp_path), device="cpu")
    assert classifier.preprocessing is not None
    assert (classifier.preprocessing.name, classifier.preprocessing.crop_pct) == ("raw", 1.0)
    assert "the graph crops the image itself" in classifier.preprocessing.source


@pytest.mark.parametrize(("means", "channels"), [(CAFFE, "BGR"), (CAFFE[::-1], "RGB")])
def test_eight_bit_pixels_are_ordered_as_the_graphs_means(means: NDArray[Any], channels: str, tmp_path: Path) -> None:
    steps = [step("Cast", "image", "pixels", to=TensorProto.FLOAT), step("Sub", "pixels m", "ready")]
    made = model(steps, {"m": planes(means)}, image_type=TensorProto.UINT8)
    classifier = onnx_cam.load(tiny.save(made, tmp_path), device="cpu")
    assert classifier.preprocessing is not None
    assert (classifier.preprocessing.normalises, classifier.preprocessing.channels) == (False, channels)


def with_configuration(folder: Path, config: dict[str, Any]) -> onnx_cam.Classifier:
    steps, constants = NORMALISATIONS["Sub, Div"]
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    return onnx_cam.load(tiny.save(model(steps, constants), folder), device="cpu")


def test_a_configuration_that_normalises_again_is_left_to_the_graph(tmp_path: Path) -> None:
    config = {"size": {"height": 20, "width": 20}, "image_mean": MEAN.tolist(), "image_std": STD.tolist()}
    classifier = with_configuration(tmp_path, config)
    assert classifier.preprocessing is not None
    assert not classifier.preprocessing.normalises
    assert classifier.preprocessing.resize == "stretch"  # which the graph does not do
    assert any("and so does the graph itself" in note for note in classifier.notes)


def test_a_configuration_that_agrees_with_the_graph_is_not_noted(tmp_path: Path) -> None:
    config = {"size": {"height": 20, "width": 20}, "do_rescale": False, "do_normalize": False}
    assert not with_configuration(tmp_path, config).notes


def test_a_configuration_for_another_size_is_noted(tmp_path: Path) -> None:
    config = {"size": {"height": 384, "width": 384}, "do_rescale": False, "do_normalize": False}
    classifier = with_configuration(tmp_path, config)
    assert classifier.size == (20, 20)
    assert any("is for 384×384 pixels, and the model takes 20×20" in note for note in classifier.notes)


def test_a_configuration_that_puts_blue_first_before_means_for_red_first_is_noted(tmp_path: Path) -> None:
    config = {"size": {"height": 20, "width": 20}, "do_rescale": False, "do_flip_channel_order": True}
    classifier = with_configuration(tmp_path, config)
    assert classifier.preprocessing is not None
    assert classifier.preprocessing.channels == "RGB"
    assert any("left to the graph" in note for note in classifier.notes)


DAMAGED: dict[str, tuple[Step, Constant]] = {
    "a step of 0": (
        step("Slice", "image start end axes step", "ready"),
        {"start": np.array([0]), "end": np.array([3]), "axes": np.array([1]), "step": np.array([0])},
    ),
    "axes without ends": (
        step("Slice", "image start end axes", "ready"),
        {"start": np.array([0, 1]), "end": np.array([3]), "axes": np.array([1, 99])},
    ),
    "a permutation of other axes": (step("Transpose", "image", "ready", perm=[9, 8, 7, 6]), {}),
    "a weight without numbers": (step("Conv", "image w", "ready"), {"w": np.zeros((0, 3, 1, 1), np.float32)}),
    "infinite constants": (step("Mul", "image f", "ready"), {"f": np.float32(np.inf)}),
    "not a number": (step("Sub", "image f", "ready"), {"f": planes(np.full(3, np.nan))}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_node_tells_nothing(name: str, tmp_path: Path) -> None:
    damaged, constants = DAMAGED[name]
    built_in = find(model([damaged], constants), tmp_path)
    assert built_in is None or not built_in.normalises
