"""Configurations that are damaged, huge, deep or nonsense: a note, never a traceback, and the model still loads."""

from __future__ import annotations

import contextlib
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_cam.errors import ImageError, PreprocessingError
from onnx_cam.image.configurations.formats import FORMATS, from_config
from tests.image.configurations.reference import load, photo
from tests.image.configurations.test_hugging_face import CASES
from tests.image.configurations.test_tools import CUSTOM_VISION, TIMM

GOOD = {"image_mean": [0.5], "image_std": [0.5], "size": 32}
NAMES = ("preprocessor_config_json", "config_json", "inference_yml", "metadata_yaml", "signature_json", "tiny_json")
DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "cut off": json.dumps(GOOD).encode()[:30],
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "binary": bytes(range(256)),
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a list": b"[1, 2]",
    "null": b"null",
    "a number of 5,000 digits": b'{"image_mean": [0.5], "image_std": [0.5], "size": ' + b"9" * 5000 + b"}",
    "not a number": b'{"image_mean": [NaN], "image_std": [1]}',
    "something else": b'{"foo": {"bar": 1}}',
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_and_the_model_loads(name: str, damage: str, tmp_path: Path) -> None:
    stem, _, suffix = name.rpartition("_")
    (tmp_path / f"{stem}.{suffix}").write_bytes(DAMAGED[damage])
    model = load(tmp_path)
    assert model.preprocessing is not None
    assert model.preprocessing.source.startswith("a guess")
    assert any(f"{stem}.{suffix}" in note and "preprocessing" in note for note in model.notes)
    assert all(len(note) < 1000 and "\n" not in note for note in model.notes)


def test_other_encodings_of_json_are_read(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        (tmp_path / "preprocessor_config.json").write_bytes(json.dumps(GOOD).encode(encoding))
        assert not load(tmp_path).notes


@pytest.mark.parametrize("link", ["preprocessor_config.json", "nowhere"])
def test_a_link_that_leads_nowhere_is_named(link: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").symlink_to(link)
    assert any("cannot read the preprocessing" in note for note in load(tmp_path).notes)


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "config.json")
    assert load(tmp_path).preprocessing is not None


def test_a_size_that_no_image_has_is_no_size(tmp_path: Path) -> None:
    model = load(tmp_path, "side", preprocessor_config_json=GOOD | {"size": 10**12})
    assert model.size == (224, 224)
    assert any("preprocessor_config.json" in note for note in model.notes)


@pytest.mark.parametrize("value", ["[1e9, 1e9]", "[0, 0]", "-3", "(((", "a" * 100_000, "[" * 1000])
def test_a_size_in_the_metadata_that_no_image_has(value: str, tmp_path: Path) -> None:
    assert load(tmp_path, "side", {"imgsz": value}).size == (224, 224)
    ultralytics = {"author": "Ultralytics", "task": "classify", "imgsz": value}
    assert any("metadata" in note for note in load(tmp_path, "side", ultralytics).notes)


def test_a_good_file_after_a_bad_one_is_used_and_the_bad_one_named(tmp_path: Path) -> None:
    model = load(tmp_path, preprocessor_config_json="{", config_json={"pretrained_cfg": TIMM})
    assert model.preprocessing is not None
    assert model.preprocessing.source.endswith("config.json")
    assert any("preprocessor_config.json' is not JSON" in note for note in model.notes)


def test_files_that_sound_like_a_preprocessing_and_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("my_transforms.yaml", "tokenizer_config.json", "notes.txt", "model_config.toml"):
        (tmp_path / name).write_text("{}")
    notes = " ".join(load(tmp_path).notes)
    assert "'model_config.toml', 'my_transforms.yaml' beside the model: not read" in notes
    assert "tokenizer" not in notes


@pytest.mark.parametrize(
    "key", ["mean_values", "model_info reverse_input_channels", "input_mean", "Image.BitmapPixelFormat"]
)
def test_metadata_that_sound_like_a_preprocessing_and_are_not_read_are_named(key: str, tmp_path: Path) -> None:
    assert any(f"'{key}'" in note for note in load(tmp_path, metadata={key: "1"}).notes)
    assert not any("producer" in note for note in load(tmp_path, metadata={"producer": "someone"}).notes)


def test_names_of_keys_cannot_break_a_line(tmp_path: Path) -> None:
    model = load(tmp_path, preprocessor_config_json=GOOD | {"do_\n\x1b[31m" + "x" * 1000: True})
    (note,) = model.notes
    assert "\n" not in note
    assert "\x1b" not in note
    assert len(note) < 300


VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        3,
        1e308,
        -1e308,
        1e-320,
        float("nan"),
        float("inf"),
        10**30,
        10**400,
        "",
        "x",
        "224",
    ),
    *(
        [],
        {},
        [1],
        [1, 2, 3],
        [0, 0, 0],
        ["a"],
        [None, None],
        {"height": 1},
        {"shortest_edge": -5},
        "[96, 96]",
        "a" * 5000,
    ),
]
CONFIGS: list[dict[str, Any]] = [
    *(config for config, _ in CASES.values()),
    {"pretrained_cfg": TIMM | {"test_input_size": [3, 40, 40], "crop_mode": "center"}},
    dict(CUSTOM_VISION),
    {"author": "Ultralytics", "task": "classify", "imgsz": "[96, 96]"},
    {"doc_id": "1", "inputs": {"Image": {"dtype": "float32", "shape": [None, 32, 32, 3]}}},
    {"tmVersion": "2.4", "labels": ["a"], "imageSize": 224, "grayscale": False},
    {"PreProcess": {"transform_ops": [{"ResizeImage": {"resize_short": 40}}, {"NormalizeImage": {"scale": "1/255"}}]}},
    {"Transforms": [{"CenterCrop": {"crop_size": 32}}, {"Normalize": {"min_val": [0], "max_val": [255]}}]},
    {
        "pipeline": {
            "tasks": [{"transforms": [{"type": "Resize", "size": [40, -1]}, {"type": "Normalize", "mean": [1]}]}]
        }
    },
    {"scale": 1, "mean": [0], "std": [1], "size": [32, 32], "resize": "cover", "pad": [0, 0, 0], "library": "opencv"},
]


def mutated(config: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """Return a configuration with one to three of its values replaced, at any depth."""
    changed: dict[str, Any] = json.loads(json.dumps(config))
    for _ in range(draw.randint(1, 3)):
        place: Any = changed
        while place:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or draw.random() < 0.3:
                place[key] = draw.choice(VALUES)
                break
            place = place[key]
    return changed


def test_any_value_gives_finite_pixels_or_one_line() -> None:
    draw, pixels = random.Random(0), np.asarray(photo())
    messages: list[str] = []
    for _ in range(3000):
        config = mutated(draw.choice(CONFIGS), draw)
        try:
            preprocessing = from_config(config, "here", draw.choice([(None, None), (40, 40)]))
        except PreprocessingError as error:
            messages.append(str(error))
            continue
        size = preprocessing.size or (32, 32)
        if size[0] * size[1] < 10**6:
            with contextlib.suppress(ImageError):  # resized to too many pixels
                assert np.isfinite(preprocessing.apply(pixels, size)[0]).all()
    assert 300 < len(messages) < 2700
    assert all("here" in message and "\n" not in message and len(message) < 400 for message in messages)


def test_every_format_has_a_configuration_here() -> None:
    recognised = {type(form) for form in FORMATS for config in CONFIGS if form.recognises(config)}
    assert recognised >= {type(form) for form in FORMATS if form.describes}
