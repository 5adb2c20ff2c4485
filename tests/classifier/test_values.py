"""What a value beside the image means: when it is one for each image, and when it is what it is."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.errors import ModelError, SettingError
from tests import tiny
from tests.classifier.test_inputs import explain, network, node, plain_map

MEAN, STD = [123.0, 116.0, 103.0], [58.0, 57.0, 57.0]


def with_input(model: onnx.ModelProto, *infos: onnx.ValueInfoProto) -> onnx.ModelProto:
    model.graph.input.extend(infos)
    return model


@pytest.mark.parametrize("first", [1, "N", "other"])
def test_a_mean_for_each_image_is_seen_as_normalisation(first: int | str) -> None:
    before = [node("Sub", "image mean", "c"), node("Div", "c std", "x")]
    infos = [tiny.value_info(name, [first, 3, 1, 1]) for name in ("mean", "std")]
    model = with_input(network(before, ["N", 3, 20, 20]), *infos)
    shape = (1, 3, 1, 1)
    values = {"mean": np.reshape(MEAN, shape), "std": np.reshape(STD, shape)}
    classifier = onnx_cam.load(model, device="cpu", constants=values)
    assert classifier.preprocessing is not None
    assert "normalises its input itself" in classifier.preprocessing.source
    assert classifier.network_input(np.full((20, 20, 3), 255, np.uint8)).max() == 255


@pytest.mark.parametrize(
    ("image", "info", "value", "before"),
    [
        (
            [3, 20, 20],
            [3, 1, 1],
            [[[1.0]], [[2.0]], [[3.0]]],
            [node("Mul", "image v", "m"), node("Unsqueeze", "m a0", "x")],
        ),
        ([2, 3, 20, 20], [2], [20, 20], [node("ReduceSum", "v", "s"), node("Div", "image s", "x")]),
        ([3, 3, 20, 20], [1, 3, 1, 1], [1, 2, 3], [node("Mul", "image v", "x")]),
        (["N", 3, 20, 20], [None], [20, 20], [node("ReduceSum", "v", "s"), node("Div", "image s", "x")]),
        (["N", 3, 20, 20], None, [[[1.0]], [[2.0]], [[3.0]]], [node("Mul", "image v", "x")]),
    ],
)  # fmt: skip
def test_a_value_that_fits_as_it_is_is_not_one_for_each_image(
    image: list[Any], info: list[Any] | None, value: Any, before: list[onnx.NodeProto]
) -> None:
    constants = {"a0": np.array([0])} if any("a0" in one.input for one in before) else {}
    output = (image[0], 4) if len(image) == 4 else (1, 4)
    shared = np.asarray(value, np.float32)
    model = with_input(network(before, image, output=output, constants=constants), tiny.value_info("v", info))
    baked = network(
        before,
        image,
        output=output,
        constants={**constants, "v": shared.reshape([1, 3, 1, 1]) if info == [1, 3, 1, 1] else shared},
    )
    x = tiny.image()
    np.testing.assert_allclose(explain(model, x, constants={"v": value}).map, explain(baked, x).map, atol=1e-5)


def test_rows_for_several_images_are_refused() -> None:
    model = with_input(network([node("Mul", "image v", "x")], ["N", 3, 20, 20]), tiny.value_info("v", ["N", 3, 1, 1]))
    with pytest.raises(SettingError, match=r"it has the shape \(2, 3, 1, 1\); expected the shape \(3, 1, 1\)"):
        onnx_cam.load(model, constants={"v": np.ones((2, 3, 1, 1))})


def test_a_shape_that_is_given_tells_how_the_image_is_read() -> None:
    model = with_input(
        network([node("Reshape", "image shape", "x")], ["N", 1200]), tiny.value_info("shape", [4], TensorProto.INT64)
    )
    x = tiny.image()
    result = explain(model, x.ravel(), constants={"shape": [-1, 3, 20, 20]})
    np.testing.assert_allclose(result.map, plain_map(x), atol=1e-5)
    axis = with_input(
        network([node("Unsqueeze", "image axis", "x")], [3, 20, 20], output=(1, 4)),
        tiny.value_info("axis", [1], TensorProto.INT64),
    )
    classifier = onnx_cam.load(axis, device="cpu", preprocess="none", constants={"axis": 0})
    assert not any("by its sizes" in note for note in classifier.notes)


def test_an_image_without_a_batch_is_freed_where_the_graph_only_adds_one() -> None:
    for before in (node("Unsqueeze", "image a0", "x"), node("Reshape", "image s", "x")):
        constants = {"a0": np.array([0]), "s": np.array([1, 3, 20, 20])}
        model = network(
            [before], [3, 20, 20], output=(1, 4), constants={k: v for k, v in constants.items() if k in before.input}
        )
        assert onnx_cam.load(model, device="cpu", preprocess="none").fixed_batch is None


@pytest.mark.parametrize("kind", [TensorProto.BFLOAT16, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_values_of_every_floating_point_type_are_taken(kind: int) -> None:
    before = [node("Cast", "v", "f", to=TensorProto.FLOAT), node("Mul", "image f", "x")]
    model = with_input(network(before, ["N", 3, 20, 20]), tiny.value_info("v", ["N", 3, 1, 1], kind))
    x = tiny.image()
    expected = plain_map(x * np.reshape([1, 2, 3], (3, 1, 1)).astype(np.float32))
    for value in ([1, 2, 3], np.array([1, 2, 3]).astype(ml_dtypes.bfloat16)):
        np.testing.assert_allclose(
            explain(model, x, constants={"v": np.reshape(np.asarray(value), (3, 1, 1))}).map, expected, atol=0.02
        )


def text_model() -> onnx.ModelProto:
    model = network([node("Identity", "image", "x")], ["N", 3, 20, 20])
    return with_input(model, tiny.value_info("mode", [], TensorProto.STRING))


@pytest.mark.parametrize("value", [5, True, None, "[5]", "[null]", "\ud800", ["a", "b"], b"a"])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(SettingError, match="expected") as raised:
        onnx_cam.load(text_model(), constants={"mode": value})
    assert "\n" not in str(raised.value)


def test_a_text_keeps_its_commas_and_its_record() -> None:
    classifier = onnx_cam.load(text_model(), device="cpu", preprocess="none", constants={"mode": "a,b"})
    assert onnx_cam.explain(classifier, tiny.image()).record()["constants"] == {"mode": "a,b"}
    many = with_input(network([], ["N", 3, 20, 20], output=("N", 4)), tiny.value_info("t", [100], TensorProto.STRING))
    many.graph.node[0].input[0] = "image"
    digests = {
        onnx_cam.load(many, device="cpu", preprocess="none", constants={"t": [f"t{i}" for i in range(100)]})
        .facts.prepared.digest
        for _ in range(2)
    }  # fmt: skip
    assert len(digests) == 1


@pytest.mark.parametrize("value", ["1e39", "1_0", "0x10", 1e39, "½"])
def test_numbers_beyond_the_type_are_refused(value: object) -> None:
    model = with_input(network([node("Mul", "image v", "x")], ["N", 3, 20, 20]), tiny.value_info("v", []))
    with pytest.raises(SettingError, match="numbers that float32 holds"):
        onnx_cam.load(model, constants={"v": value})


def test_the_image_itself_has_no_value() -> None:
    with pytest.raises(ModelError, match="no input left that takes the image; leave that one out"):
        onnx_cam.load(tiny.model(), constants={"image": 0})


@pytest.mark.parametrize("constants", [{1: 2}, {None: 1}, 5, [("a", 1)]])
def test_constants_are_a_mapping_of_names(constants: Any) -> None:
    with pytest.raises(SettingError, match="expected a mapping of inputs' names to their values"):
        onnx_cam.load(tiny.model(), constants=constants)


@pytest.mark.parametrize("libraries", [5, b"x.so", [5]])
def test_libraries_are_paths(libraries: Any) -> None:
    with pytest.raises(SettingError, match="expected the path of a shared library, or a list of them"):
        onnx_cam.load(tiny.model(), custom_ops=libraries)


def test_an_input_that_is_no_tensor_is_named() -> None:
    model = tiny.model()
    info = helper.make_tensor_sequence_value_info("seq", TensorProto.FLOAT, ["N"])
    with pytest.raises(ModelError, match=r"'seq' \(sequence\), not all of them tensors; export it without"):
        onnx_cam.load(with_input(model, info))
    with pytest.raises(SettingError, match="is not a tensor"):
        onnx_cam.load(model, constants={"seq": [1]})


def test_a_value_is_read_from_files_only(tmp_path: Path) -> None:
    model = with_input(network([node("Mul", "image v", "x")], ["N", 3, 20, 20]), tiny.value_info("v", []))
    os.mkfifo(tmp_path / "pipe.npy")
    for name in ("pipe.npy", "", "missing.npy"):
        with pytest.raises(SettingError, match="cannot read a value from"):
            onnx_cam.load(model, constants={"v": str(tmp_path / name) if name else f"{tmp_path}/.npy"})


def test_a_copy_keeps_the_values_that_were_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = with_input(network([node("Mul", "image v", "x")], ["N", 3, 20, 20]), tiny.value_info("v", ["N", 3, 1, 1]))
    array = np.ones((3, 1, 1), np.float32)
    np.save("v.npy", array)
    for value in (array, "v.npy"):
        classifier = onnx_cam.load(model, device="cpu", preprocess="none", constants={"v": value})
        expected = onnx_cam.explain(classifier, tiny.image()).map
        array *= -1
        np.save("v.npy", array)
        again = pickle.loads(pickle.dumps(classifier))
        np.testing.assert_array_equal(onnx_cam.explain(again, tiny.image()).map, expected)
        array *= -1
        np.save("v.npy", array)


def test_names_that_stand_for_no_file_stay_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("raw", "none", "auto", "imagenet", "tf"):
        (tmp_path / name).mkdir()
        classifier = onnx_cam.load(tiny.model(), device="cpu", preprocess=name)
        assert copy.deepcopy(classifier).preprocessing == classifier.preprocessing


def test_weights_that_changed_beside_a_pickled_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(tiny.model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    dumped = pickle.dumps(onnx_cam.load(path, device="cpu"))
    assert pickle.loads(dumped).classes == 4
    weights = bytearray((tmp_path / "weights.bin").read_bytes())
    weights[40] ^= 1
    (tmp_path / "weights.bin").write_bytes(weights)
    with pytest.raises(ModelError, match="has changed since the classifier was pickled"):
        pickle.loads(dumped)


@pytest.mark.parametrize(
    ("shape", "before", "weight", "words"),
    [
        (["N", 16, 20, 20], [node("Unsqueeze", "image a1", "v")], (4, 1, 3, 3, 3), "takes a volume or a video"),
        ([3, 16, 20, 20], [node("Unsqueeze", "image a0", "v")], (4, 3, 3, 3, 3), "takes a volume or a video"),
        (["N", 1, 6, 128], [node("Squeeze", "image a1", "v")], (4, 6, 3), "takes a signal"),
    ],
)
def test_volumes_and_signals_of_four_dimensions_are_named(
    shape: list[Any], before: list[onnx.NodeProto], weight: tuple[int, ...], words: str
) -> None:
    axes = {name: np.array([int(name[1])]) for name in ("a0", "a1") if name in before[0].input}
    nodes = [*before, node("Conv", "v w", "y")]
    made = tiny.build(
        nodes, {"w": np.ones(weight, np.float32), **axes}, image=shape, outputs=[tiny.value_info("y", None)]
    )
    with pytest.raises(ModelError, match=words):
        onnx_cam.load(made)


@pytest.mark.parametrize("shape", [["N", 50, 3], ["N", 16, 4], ["N", 50, 1]])
def test_rows_of_numbers_are_no_image(shape: list[Any]) -> None:
    nodes = [node("Flatten", "image", "flat"), node("MatMul", "flat w", "y")]
    weights = {"w": np.ones((shape[1] * shape[2], 4), np.float32)}
    made = tiny.build(nodes, weights, image=shape, outputs=[tiny.value_info("y", ["N", 4])])
    with pytest.raises(ModelError, match="is not an image, as far as its graph tells"):
        onnx_cam.load(made)
