"""The other tools' formats, each against its own steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ImageOps

from onnx_cam.image.configurations.formats import from_config
from tests.image.configurations.reference import (
    BICUBIC,
    BILINEAR,
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    LANCZOS,
    centre,
    check,
    load,
    normalised,
    photo,
    planes,
    shorter_side,
)

TIMM = {
    "input_size": [3, 32, 32],
    "interpolation": "bicubic",
    "crop_pct": 0.95,
    "mean": list(IMAGENET_MEAN),
    "std": list(IMAGENET_STD),
}


def imagenet(image: Any) -> Any:
    return normalised(planes(image) / 255, IMAGENET_MEAN, IMAGENET_STD)


def test_timm_rounds_the_resized_side_down(tmp_path: Path) -> None:
    model = load(tmp_path, config_json={"architecture": "resnet10t", "pretrained_cfg": TIMM})
    check(model, imagenet(centre(shorter_side(photo(), 33, BICUBIC), 32)))
    assert not model.notes


def test_timm_squashes(tmp_path: Path) -> None:
    model = load(tmp_path, config_json={"pretrained_cfg": TIMM | {"crop_mode": "squash", "crop_pct": 0.8}})
    check(model, imagenet(centre(photo().resize((40, 40), BICUBIC), 32)))


def test_timm_pads_with_its_mean(tmp_path: Path) -> None:
    model = load(tmp_path, config_json={"pretrained_cfg": TIMM | {"crop_mode": "border", "crop_pct": 1.0}})
    fill = tuple(round(255 * value) for value in IMAGENET_MEAN)
    fitted = photo().resize((32, round(61 * 32 / 83)), BICUBIC)
    padded = ImageOps.expand(fitted, (0, 4, 0, 4), fill)
    check(model, imagenet(padded))
    geometry = model.open_picture(photo(), model.preprocessing).geometry
    assert geometry.crop == (0, 0, 83, 61)
    assert geometry.cells.rows == (4 / 32, 28 / 32)


def test_timm_at_the_size_for_tests_crops_as_for_tests() -> None:
    cfg = {"pretrained_cfg": TIMM | {"test_input_size": [3, 40, 40], "test_crop_pct": 1.0}}
    assert from_config(cfg, "x", (40, 40)).crop_pct == 1
    assert from_config(cfg, "x", (None, None)).size == (32, 32)


@pytest.mark.parametrize("key", ["crop_border_pixels", "patch_size"])
def test_a_setting_of_timm_that_is_not_applied_is_named(key: str, tmp_path: Path) -> None:
    model = load(tmp_path, config_json={"pretrained_cfg": TIMM | {key: 4}})
    assert any(f"'{key}' is not applied" in note for note in model.notes)


@pytest.mark.parametrize("imgsz", ["[48, 48]", "48", "(48, 48)"])
def test_ultralytics_states_the_size_of_a_free_input(imgsz: str, tmp_path: Path) -> None:
    model = load(tmp_path, "side", {"author": "Ultralytics", "task": "classify", "imgsz": imgsz, "stride": "1"})
    check(model, planes(centre(shorter_side(photo(), 48, BILINEAR), 48)) / 255)
    assert not model.notes


def test_imgsz_settles_the_size_under_any_preset(tmp_path: Path) -> None:
    model = load(tmp_path, "side", {"imgsz": "[40, 48]"})
    assert model.size == (40, 48)


def test_ultralytics_yaml(tmp_path: Path) -> None:
    text = "author: Ultralytics\ntask: classify\nimgsz:\n- 48\n- 48\nnames:\n  0: cat\n  1: dog\n  2: cow\n  3: hen\n"
    assert load(tmp_path, "side", metadata_yaml=text).size == (48, 48)


CUSTOM_VISION = {
    "CustomVision.Metadata.Version": "1.2",
    "CustomVision.Preprocess.CropHeight": "32",
    "CustomVision.Preprocess.CropMethod": "OneCropCenter",
    "CustomVision.Preprocess.CropWidth": "32",
    "CustomVision.Preprocess.MaxDimension": "0",
    "CustomVision.Preprocess.MaxScale": "0.0",
    "CustomVision.Preprocess.NormalizeMean": "[0.0, 0.0, 0.0]",
    "CustomVision.Preprocess.NormalizeStd": "[1.0, 1.0, 1.0]",
    "CustomVision.Preprocess.ResizeMethod": "ByShorterSide",
    "CustomVision.Preprocess.TargetHeight": "40",
    "CustomVision.Preprocess.TargetWidth": "40",
    "Image.BitmapPixelFormat": "Bgr8",
    "Image.ColorSpaceGamma": "SRGB",
    "Image.NominalPixelRange": "NominalRange_0_255",
}


@pytest.mark.parametrize("is_in_metadata", [True, False])
def test_custom_vision(is_in_metadata: bool, tmp_path: Path) -> None:
    if is_in_metadata:
        model = load(tmp_path, metadata=CUSTOM_VISION)
    else:
        model = load(tmp_path, metadata_properties_json=CUSTOM_VISION)
    check(model, planes(centre(shorter_side(photo(), 40, BICUBIC), 32))[::-1])
    assert not model.notes


def test_custom_vision_stretches_and_normalises(tmp_path: Path) -> None:
    config = CUSTOM_VISION | {
        "CustomVision.Preprocess.CropMethod": "NoCrop",
        "CustomVision.Preprocess.ResizeMethod": "Stretch",
        "CustomVision.Preprocess.TargetHeight": "32",
        "CustomVision.Preprocess.TargetWidth": "32",
        "CustomVision.Preprocess.NormalizeMean": "[123.675, 116.28, 103.53]",
        "CustomVision.Preprocess.NormalizeStd": "[58.395, 57.12, 57.375]",
        "Image.BitmapPixelFormat": "Rgb8",
        "Image.NominalPixelRange": "Normalized_0_1",
    }
    check(load(tmp_path, metadata=config), imagenet(photo().resize((32, 32), BICUBIC)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CustomVision.Preprocess.MaxDimension", "1600"),
        ("CustomVision.Preprocess.ResizeMethod", "ByShorterSideAlign32"),
        ("CustomVision.Preprocess.CropMethod", "TenCrop"),
        ("Image.ColorSpaceGamma", "Linear"),
    ],
)
def test_what_custom_vision_asks_for_in_vain_is_named(key: str, value: str, tmp_path: Path) -> None:
    assert any(
        f"'{key}' is not applied" in note for note in load(tmp_path, metadata=CUSTOM_VISION | {key: value}).notes
    )


def test_a_pixel_range_that_is_not_supported_is_said(tmp_path: Path) -> None:
    model = load(tmp_path, metadata={"Image.NominalPixelRange": "NominalRange_16_235"})
    assert any("NominalRange_16_235" in note for note in model.notes)


def test_lobe(tmp_path: Path) -> None:
    image = {"dtype": "float32", "shape": [None, 32, 32, 3], "name": "image"}
    model = load(tmp_path, signature_json={"doc_id": "1", "format": "onnx", "inputs": {"Image": image}})
    covering = photo().resize((round(83 * 32 / 61), 32))
    check(model, planes(centre(covering, 32)) / 255)


def test_teachable_machine(tmp_path: Path) -> None:
    metadata = {"tmVersion": "2.4.5", "labels": list("abcd"), "imageSize": 32, "packageName": "@teachablemachine/image"}
    model = load(tmp_path, metadata_json=metadata)
    check(model, planes(ImageOps.fit(photo(), (32, 32), LANCZOS)) / 127.5 - 1, within=0.05)
    assert model.labels.names == ("a", "b", "c", "d")


def test_grayscale_of_teachable_machine_is_named(tmp_path: Path) -> None:
    model = load(tmp_path, metadata_json={"tmVersion": "2.4.5", "labels": list("abcd"), "grayscale": True})
    assert any("'grayscale' is not applied" in note for note in model.notes)


PADDLE = """
Global:
  model_name: PP-LCNet_x1_0
PreProcess:
  transform_ops:
  - ResizeImage:
      resize_short: 40
  - CropImage:
      size: 32
  - NormalizeImage:
      channel_num: 3
      mean:
      - 0.485
      - 0.456
      - 0.406
      order: ''
      scale: 1.0/255.0
      std: [0.229, 0.224, 0.225]
  - ToCHWImage: null
PostProcess:
  Topk:
    topk: 5
"""


def opencv_crop() -> Any:
    """Return the centre of the photo whose shorter side OpenCV resized to 40 pixels."""
    resized = cv2.resize(np.asarray(photo()), (round(83 * 40 / 61), 40))
    return resized[4:36, (resized.shape[1] - 32) // 2 :][:, :32]


def test_paddle(tmp_path: Path) -> None:
    model = load(tmp_path, inference_yml=PADDLE)
    check(model, imagenet(opencv_crop()))
    assert not model.notes


def test_paddle_with_pillow_and_an_unknown_step(tmp_path: Path) -> None:
    steps = [
        {"ResizeImage": {"size": [32, 32], "backend": "pil", "interpolation": "bicubic"}},
        {"NormalizeImage": {"scale": 0.00392157, "mean": [0.5] * 3, "std": [0.5] * 3, "order": "hwc"}},
        {"ToneMap": {"gamma": 2}},
    ]
    model = load(tmp_path, inference_json={"PreProcess": {"transform_ops": steps}})
    check(model, normalised(planes(photo().resize((32, 32), BICUBIC)) / 255, HALF, HALF))
    assert any("'ToneMap' is not applied" in note for note in model.notes)


def test_an_older_paddlex(tmp_path: Path) -> None:
    steps = [
        {"ResizeByShort": {"short_size": 40, "max_size": -1}},
        {"CenterCrop": {"crop_size": 32}},
        {"Normalize": {"mean": [0.5] * 3, "std": [0.5] * 3, "min_val": [0, 0, 0], "max_val": [255] * 3}},
    ]
    assert from_config({"Transforms": steps}, "x").scale == pytest.approx(1 / 255)
    model = load(tmp_path, model_yml=json.dumps({"Transforms": steps}))
    check(model, normalised(planes(opencv_crop()) / 255, HALF, HALF))


def mmdeploy(*transforms: dict[str, Any]) -> dict[str, Any]:
    load_and_pack = {"type": "LoadImageFromFile"}, {"type": "Collect", "keys": ["img"], "meta_keys": ["ori_shape"]}
    task = {"type": "Task", "module": "Transform", "transforms": [load_and_pack[0], *transforms, load_and_pack[1]]}
    return {"pipeline": {"input": ["img"], "tasks": [task, {"type": "Task", "module": "Net"}]}}


NORMALIZE = {
    "type": "Normalize",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "to_rgb": True,
}


def test_mmdeploy(tmp_path: Path) -> None:
    resize, crop = {"type": "Resize", "keep_ratio": True, "size": [40, -1]}, {"type": "CenterCrop", "crop_size": 32}
    model = load(tmp_path, pipeline_json=mmdeploy(resize, crop, NORMALIZE))
    check(model, imagenet(opencv_crop()))
    assert not model.notes


def test_mmdeploy_without_to_rgb_is_bgr(tmp_path: Path) -> None:
    resize = {"type": "Resize", "size": [32, 32], "backend": "pillow", "interpolation": "bicubic"}
    normalize = {"type": "Normalize", "mean": [0, 0, 0], "std": [255, 255, 255], "to_rgb": False}
    model = load(tmp_path, pipeline_json=mmdeploy(resize, normalize))
    check(model, planes(photo().resize((32, 32), BICUBIC))[::-1] / 255)


def test_mmdeploys_crop_in_efficientnets_style(tmp_path: Path) -> None:
    crop = {"type": "CenterCrop", "crop_size": 32, "efficientnet_style": True, "crop_padding": 8, "backend": "pillow"}
    model = load(tmp_path, pipeline_json=mmdeploy(crop, NORMALIZE))
    check(model, imagenet(centre(photo(), 48).resize((32, 32), BICUBIC)))  # 61 · 32 / (32 + 8)


@pytest.mark.parametrize(
    ("transform", "named"),
    [
        ({"type": "Pad", "size_divisor": 32}, "'Pad'"),
        ({"type": "Posterize", "bits": 4}, "'Posterize'"),
        ({"type": "ResizeEdge", "scale": 32, "edge": "long"}, "'ResizeEdge.edge'"),
    ],
)
def test_what_mmdeploy_asks_for_in_vain_is_named(transform: dict[str, Any], named: str, tmp_path: Path) -> None:
    assert any(named in note for note in load(tmp_path, pipeline_json=mmdeploy(transform, NORMALIZE)).notes)


def test_mmdeploys_details_state_a_size(tmp_path: Path) -> None:
    details = {"codebase": {"codebase": "mmpretrain"}, "onnx_config": {"input_shape": [48, 40]}}
    assert load(tmp_path, "side", detail_json=details).size == (40, 48)
