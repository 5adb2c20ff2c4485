"""Hugging Face's image processors, old and new, each against its own steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnx_cam.image.configurations.hugging_face import HuggingFace
from tests.image.configurations.reference import (
    BICUBIC,
    BILINEAR,
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Floats,
    centre,
    check,
    load,
    normalised,
    photo,
    planes,
    shorter_side,
)

NORMALISED = {"do_normalize": True, "image_mean": list(IMAGENET_MEAN), "image_std": list(IMAGENET_STD)}


def imagenet(image: Any) -> Floats:
    return normalised(planes(image) / 255, IMAGENET_MEAN, IMAGENET_STD)


CASES: dict[str, tuple[dict[str, Any], NDArray[Any]]] = {
    "ViT stretches": (
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}},
        normalised(planes(photo().resize((32, 32), BILINEAR)) / 255, HALF, HALF),
    ),
    "an old ViT's size is a square's": (
        {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 3, **NORMALISED},
        imagenet(photo().resize((32, 32), BICUBIC)),
    ),
    "CLIP resizes the shorter side and crops": (
        {"image_processor_type": "CLIPImageProcessor", "size": 40, "crop_size": 32, **NORMALISED},
        imagenet(centre(shorter_side(photo(), 40, BICUBIC), 32)),
    ),
    "DeiT stretches, then crops": (
        {
            "image_processor_type": "DeiTImageProcessor",
            "size": {"height": 40, "width": 40},
            "crop_size": {"height": 32, "width": 32},
            **NORMALISED,
        },
        imagenet(centre(photo().resize((40, 40), BICUBIC), 32)),
    ),
    "ConvNeXt enlarges by crop_pct and rounds down": (
        {"image_processor_type": "ConvNextFeatureExtractor", "size": 32, "crop_pct": 0.9, "resample": 3, **NORMALISED},
        imagenet(centre(shorter_side(photo(), 35, BICUBIC), 32)),
    ),
    "ConvNeXt's own crop_pct": (
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 32}, **NORMALISED},
        imagenet(centre(shorter_side(photo(), 36, BICUBIC), 32)),
    ),
    "PoolFormer enlarges, then crops to crop_size": (
        {
            "image_processor_type": "PoolFormerImageProcessor",
            "size": {"shortest_edge": 32},
            "crop_size": {"height": 32, "width": 32},
            "crop_pct": 0.9,
            **NORMALISED,
        },
        imagenet(centre(shorter_side(photo(), 35, BICUBIC), 32)),
    ),
    "LeViT enlarges by 256 / 224": (
        {
            "image_processor_type": "LevitImageProcessor",
            "size": {"shortest_edge": 32},
            "crop_size": {"height": 32, "width": 32},
        },
        imagenet(centre(shorter_side(photo(), 36, BICUBIC), 32)),
    ),
    "Perceiver crops before it resizes": (
        {
            "image_processor_type": "PerceiverImageProcessor",
            "size": {"height": 32, "width": 32},
            "crop_size": {"height": 40, "width": 40},
        },
        imagenet(centre(photo(), 48).resize((32, 32), BICUBIC)),  # 61 · 32 / 40
    ),
    "EfficientNet divides by the deviation twice, by default": (
        {"image_processor_type": "EfficientNetImageProcessor", "size": {"height": 32, "width": 32}, **NORMALISED},
        normalised(imagenet(photo().resize((32, 32), BICUBIC)), (0, 0, 0), IMAGENET_STD),
    ),
    "a rescaling with an offset": (
        {
            "image_processor_type": "EfficientNetImageProcessor",
            "size": {"height": 32, "width": 32},
            "rescale_factor": 1 / 127.5,
            "rescale_offset": True,
            "include_top": False,
            "do_normalize": False,
        },
        planes(photo().resize((32, 32), BICUBIC)) / 127.5 - 1,
    ),
    "MobileViT pads what is smaller than its crop, and puts blue first": (
        {
            "image_processor_type": "MobileViTImageProcessor",
            "size": {"shortest_edge": 24},
            "crop_size": {"height": 32, "width": 32},
            "resample": 2,
        },
        planes(centre(shorter_side(photo(), 24, BILINEAR), 32))[::-1] / 255,
    ),
    "channels are flipped after they are normalised": (
        {"size": {"height": 32, "width": 32}, "do_flip_channel_order": True, **NORMALISED},
        imagenet(photo().resize((32, 32), BILINEAR))[::-1],
    ),
    "no rescaling": (
        {"size": {"height": 32, "width": 32}, "do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3},
        planes(photo().resize((32, 32), BILINEAR)) / 127.5 - 1,
    ),
    "no resizing: the centre of the image itself": (
        {"do_resize": False, "do_center_crop": True, "crop_size": 32, **NORMALISED},
        imagenet(centre(photo(), 32)),
    ),
    "PP-LCNet": (
        {
            "image_processor_type": "PPLCNetImageProcessor",
            "size": {"height": 40, "width": 40},
            "resize_short": 40,
            "size_divisor": 1,
            "crop_size": {"height": 32, "width": 32},
            "image_mean": [0.406, 0.456, 0.485],
            "image_std": [0.225, 0.224, 0.229],
        },
        normalised(
            planes(centre(shorter_side(photo(), 40, BILINEAR), 32)) / 255, IMAGENET_MEAN[::-1], IMAGENET_STD[::-1]
        )[::-1],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_processor_does_what_its_own_code_does(name: str, tmp_path: Path) -> None:
    config, expected = CASES[name]
    model = load(tmp_path, preprocessor_config_json=config)
    check(model, np.ascontiguousarray(expected))
    assert not model.notes


def test_one_of_several_processors_in_a_file(tmp_path: Path) -> None:
    config, expected = CASES["ViT stretches"]
    model = load(tmp_path, processor_config_json={"image_processor": config, "processor_class": "AnyProcessor"})
    check(model, expected)


def test_null_is_what_the_processor_does_by_itself(tmp_path: Path) -> None:
    nulls = dict.fromkeys(("crop_size", "do_center_crop", "do_pad", "pad_size", "resample", "rescale_factor"))
    config, expected = CASES["ViT stretches"]
    check(load(tmp_path, preprocessor_config_json=config | nulls), expected)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("do_pad", True),
        ("do_color_quantize", True),
        ("clusters", [[1, 2, 3]]),
        ("size_divisor", 32),
        ("do_thumbnail", True),
        ("antialias", False),
        ("a_setting_of_tomorrow", 0.5),
    ],
)
def test_a_setting_that_is_not_applied_is_named(setting: str, value: Any, tmp_path: Path) -> None:
    config = CASES["ViT stretches"][0] | {setting: value}
    model = load(tmp_path, preprocessor_config_json=config)
    assert any(f"'{setting}' is not applied" in note for note in model.notes)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("do_pad", False),
        ("do_convert_rgb", None),
        ("do_reduce_labels", False),
        ("model_input_names", ["pixel_values"]),
        ("data_format", "channels_first"),
    ],
)
def test_a_setting_without_effect_is_not_named(setting: str, value: Any, tmp_path: Path) -> None:
    assert not load(tmp_path, preprocessor_config_json=CASES["ViT stretches"][0] | {setting: value}).notes


def test_an_unknown_type_is_named(tmp_path: Path) -> None:
    config = CASES["ViT stretches"][0] | {"image_processor_type": "NewImageProcessor", **NORMALISED}
    assert any(
        "'NewImageProcessor' is not known" in note for note in load(tmp_path, preprocessor_config_json=config).notes
    )


def test_a_size_by_its_longest_edge_is_said(tmp_path: Path) -> None:
    model = load(tmp_path, preprocessor_config_json={"size": {"longest_edge": 32}, **NORMALISED})
    assert any("longest_edge" in note for note in model.notes)


def test_an_aspect_ratio_that_is_kept_is_said(tmp_path: Path) -> None:
    model = load(tmp_path, preprocessor_config_json={"size": {"shortest_edge": 32}, **NORMALISED})
    check(model, imagenet(centre(shorter_side(photo(), 32, BILINEAR), 32)))
    assert any("keeps the aspect ratio" in note for note in model.notes)


def test_old_sizes_are_taken_as_their_type_takes_them() -> None:
    size = {"size": 40, "crop_size": 32, "image_mean": [0], "image_std": [1]}
    for name, resize in (("ViTFeatureExtractor", "stretch"), ("MobileNetV1FeatureExtractor", "shorter-side")):
        assert HuggingFace().read(size | {"feature_extractor_type": name}, (None, None)).resize == resize
    assert HuggingFace().read(size | {"do_center_crop": True}, (None, None)).resize == "shorter-side"
    assert HuggingFace().read(size | {"default_to_square": False}, (None, None)).resize == "shorter-side"


def test_the_size_in_a_models_configuration_settles_a_free_one(tmp_path: Path) -> None:
    model = load(tmp_path, "side", config_json={"model_type": "vit", "image_size": 48, "num_channels": 3})
    assert model.size == (48, 48)
    assert not any("input size" in note for note in model.notes)
