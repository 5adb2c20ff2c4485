"""Where a preprocessing is found, and in which order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.errors import PreprocessingError
from onnx_cam.files import MAX_SMALL_FILE_BYTES
from onnx_cam.graph.read import read_model
from onnx_cam.image.configurations.choose import METADATA_KEY, choose_preprocessing
from onnx_cam.image.configurations.formats import from_config
from onnx_cam.image.preprocessing import PRESETS, Preprocessing
from tests import tiny

HUGGING_FACE: dict[str, dict[str, Any]] = {  # google/vit-base-patch16-224 and facebook/convnext-tiny-224 look like this
    "stretch": {
        "do_resize": True,
        "size": {"height": 224, "width": 224},
        "resample": 2,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
    "crop": {
        "do_resize": True,
        "size": {"shortest_edge": 256},
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": False,
    },
    "crop_pct": {
        "do_resize": True,
        "size": {"shortest_edge": 224},
        "crop_pct": 0.875,
        "resample": 3,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    },
}
TIMM: dict[str, Any] = {
    "architecture": "resnet50",
    "num_classes": 1000,
    "pretrained_cfg": {
        "input_size": [3, 288, 288],
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
}


def choose(folder: Path, name: str = "auto", metadata: dict[str, str] | None = None) -> Preprocessing:
    return choose_preprocessing(name, read_model(tiny.save(tiny.model(metadata=metadata), folder)))


def test_hugging_face_configurations() -> None:
    stretch = from_config(HUGGING_FACE["stretch"], "x")
    assert (stretch.resize, stretch.size, stretch.interpolation) == ("stretch", (224, 224), "linear")
    assert stretch.mean == (0.5, 0.5, 0.5)
    crop = from_config(HUGGING_FACE["crop"], "x")
    assert (crop.resize, crop.size, crop.crop_pct, crop.interpolation) == ("shorter-side", (224, 224), 0.875, "cubic")
    assert (crop.mean, crop.std) == ((0, 0, 0), (1, 1, 1))
    pct = from_config(HUGGING_FACE["crop_pct"], "x")
    assert (pct.resize, pct.size, pct.crop_pct) == ("shorter-side", (224, 224), 0.875)


def test_hugging_faces_convnext_stretches_from_384_pixels() -> None:
    large = HUGGING_FACE["crop_pct"] | {"size": {"shortest_edge": 384}}
    assert (from_config(large, "x").resize, from_config(large, "x").size) == ("stretch", (384, 384))
    assert from_config(HUGGING_FACE["crop_pct"] | {"crop_pct": None}, "x").crop_pct == 224 / 256


def test_hugging_faces_older_files_give_a_square() -> None:
    preprocessing = from_config({"do_resize": True, "size": 224, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, "x")
    assert (preprocessing.resize, preprocessing.size) == ("stretch", (224, 224))


@pytest.mark.parametrize("config", [TIMM, TIMM["pretrained_cfg"]])
def test_timm_configurations(config: dict[str, Any]) -> None:
    preprocessing = from_config(config, "x")
    assert (preprocessing.resize, preprocessing.size, preprocessing.crop_pct, preprocessing.interpolation) == (
        "shorter-side",
        (288, 288),
        0.95,
        "cubic",
    )
    assert preprocessing.scale == pytest.approx(1 / 255)


def test_ours_reads_back_what_it_describes() -> None:
    for preset in PRESETS.values():
        assert from_config(json.loads(json.dumps(preset.describe())), preset.source) == preset


def test_metadata_comes_before_a_file_and_a_file_before_the_guess(tmp_path: Path) -> None:
    assert choose(tmp_path).source.startswith("a guess")
    (tmp_path / "config.json").write_text(json.dumps(TIMM))
    assert choose(tmp_path).size == (288, 288)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(HUGGING_FACE["stretch"]))
    assert choose(tmp_path).resize == "stretch"
    metadata = {METADATA_KEY: json.dumps(PRESETS["tf"].describe())}
    preprocessing = choose(tmp_path, metadata=metadata)
    assert (preprocessing.name, preprocessing.source) == ("tf", f"the model's metadata, {METADATA_KEY}")
    assert choose(tmp_path, "caffe", metadata) == PRESETS["caffe"]


def test_configurations_are_found_in_the_folder_above_hugging_faces_onnx_folder(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(HUGGING_FACE["stretch"]))
    (tmp_path / "onnx").mkdir()
    assert choose(tmp_path / "onnx").resize == "stretch"


def test_a_config_without_preprocessing_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "resnet", "id2label": {"0": "a"}}')
    assert choose(tmp_path).source.startswith("a guess")


@pytest.mark.parametrize("text", ["// no JSON", '{"mean": "the average"}', '{"pretrained_cfg": {"mean": [0, 0, 0]}}'])
def test_an_unusable_file_beside_the_model_is_ignored_with_a_note(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    model = onnx_cam.load(tiny.save(tiny.model(), tmp_path), device="cpu")
    assert model.preprocessing is not None
    assert model.preprocessing.source.startswith("a guess")
    assert any("config.json" in note for note in model.notes)


@pytest.mark.parametrize(
    ("metadata", "name", "channels"),
    [
        ({"Image.NominalPixelRange": "NominalRange_0_255", "Image.BitmapPixelFormat": "Bgr8"}, "raw", "BGR"),
        ({"Image.NominalPixelRange": "Normalized_1_1"}, "tf", "RGB"),
        ({"author": "Ultralytics", "task": "classify"}, "unit", "RGB"),
    ],
)
def test_metadata_that_others_write(metadata: dict[str, str], name: str, channels: str, tmp_path: Path) -> None:
    preprocessing = choose(tmp_path, metadata=metadata)
    assert (preprocessing.name, preprocessing.channels) == (name, channels)


@pytest.mark.parametrize(
    "config",
    [
        [],
        {},
        {"scale": 1, "colour": "blue"},
        {"scale": "x"},
        {"mean": [1, 2]},
        {"std": [1, 0, 1]},
        {"scale": float("inf")},
        {"mean": [0, 0, 0], "channels": "GBR"},
        {"mean": [0, 0, 0], "crop_pct": 0.01},
        {"mean": [0, 0, 0], "size": [24.0, 24.0]},
        {"scale": 1, "name": float("nan")},
        {"pretrained_cfg": {"mean": [0, 0, 0], "std": [1, 1, 1], "input_size": [3]}},
        {"pretrained_cfg": {"input_size": [3, 224, 224]}},
        {"do_normalize": True},
        {"do_resize": True, "do_rescale": True, "size": {"longest_edge": 3}},
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(config: Any) -> None:
    with pytest.raises(PreprocessingError, match="somewhere"):
        from_config(config, "somewhere")


def test_a_missing_or_damaged_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PreprocessingError, match="cannot read the preprocessing"):
        choose(tmp_path, str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(PreprocessingError, match="is not JSON"):
        choose(tmp_path, str(tmp_path / "bad.json"))
    with pytest.raises(PreprocessingError, match="did you mean 'imagenet'"):
        choose(tmp_path, "imagnet")


def test_a_file_that_is_too_large_is_refused_if_requested_and_ignored_otherwise(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TIMM) + " " * MAX_SMALL_FILE_BYTES)
    with pytest.raises(PreprocessingError, match="the file is larger than 16 MiB"):
        choose(tmp_path, str(tmp_path / "config.json"))
    preprocessing = choose(tmp_path)
    assert preprocessing.name == "imagenet"
    assert "the file is larger than 16 MiB" in preprocessing.source


def test_a_guess_is_noted(tmp_path: Path) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    assert any("a guess" in note for note in onnx_cam.load(path, device="cpu").notes)
    assert not onnx_cam.load(path, device="cpu", preprocess="imagenet").notes


@pytest.mark.parametrize(
    ("kind", "divisor", "largest", "is_noted"),
    [
        (TensorProto.UINT16, 65535, 65535, False),
        (TensorProto.UINT16, 4095, 4095, False),
        (TensorProto.UINT16, 255, 255, False),
        (TensorProto.UINT16, 1, 255, True),
        (TensorProto.INT32, 1, 255, True),
        (TensorProto.UINT8, 1, 255, False),
        (TensorProto.FLOAT, 65535, 65535, False),
    ],
)
def test_wide_numbers_have_the_range_that_the_graph_divides_by(
    kind: int, divisor: float, largest: float, is_noted: bool
) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "c"], ["x"]),
        *tiny.body(),
    ]
    nodes[2].input[0] = "x"
    made = tiny.build(
        nodes,
        tiny.weights() | {"c": np.float32(divisor)},
        image=["N", 3, 20, 20],
        outputs=[tiny.value_info("logits", ["N", 4])],
        image_type=kind,
    )
    model = onnx_cam.load(made, device="cpu")
    white = model.network_input(np.full((20, 20, 3), 255, np.uint8))
    np.testing.assert_allclose(white, largest, rtol=1e-6)
    assert any("if it expects another range" in note for note in model.notes) == is_noted
