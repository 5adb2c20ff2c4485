"""Find a model's preprocessing: in its metadata, in a JSON file beside it, in its graph, or ImageNet's as a guess."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from onnx_cam.errors import PreprocessingError, did_you_mean, one_line
from onnx_cam.files import read_small_file
from onnx_cam.graph.built_in import BuiltIn
from onnx_cam.graph.image_input import EIGHT_BITS
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.configurations.files_beside import json_beside
from onnx_cam.image.preprocessing import PRESETS, Preprocessing

__all__ = ["METADATA_KEY", "both_normalise", "choose_preprocessing", "from_config"]

METADATA_KEY = "onnx_cam.preprocessing"
"""The metadata property that holds :meth:`Preprocessing.describe` as JSON."""

JsonObject = dict[str, Any]
"""A parsed configuration: any key may be missing, and any value may be of any type."""

_METADATA_KEYS = (METADATA_KEY, "preprocessing", "preprocessor_config")
_CONFIG_KEYS = {
    "image_mean",
    "do_rescale",
    "do_normalize",
    "pretrained_cfg",
    "mean",
}  # a JSON file without any of them describes something else
_HUGGING_FACE_KEYS = {"image_mean", "do_rescale", "do_normalize", "crop_size"}
_TIMM_KEYS = {"mean", "input_size"}
_NO_MEAN = (0.0, 0.0, 0.0)
_NO_STD = (1.0, 1.0, 1.0)
_CAFFE_TOLERANCE = 2  # pixel levels between a graph's means and Caffe's
_CONVNEXT_WARPS_FROM = 384  # pixels: below, Hugging Face's ConvNeXt crops; from there on it stretches
_CONVNEXT_CROP = 224 / 256
_PIL_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "linear", 3: "cubic", 4: "area", 5: "linear"}
_NAMED_RESAMPLING = {
    "bilinear": "linear",
    "bicubic": "cubic",
    "lanczos": "lanczos",
    "nearest": "nearest",
    "box": "area",
    "linear": "linear",
    "cubic": "cubic",
    "area": "area",
}
_PIXEL_RANGES = {"NominalRange_0_255": "raw", "Normalized_0_1": "unit", "Normalized_1_1": "tf"}


def choose_preprocessing(
    name: str | os.PathLike[str], model: ModelFile, *, dtype: str = "float32", built_in: BuiltIn | None = None
) -> Preprocessing:
    """Return the preprocessing of that name.

    Parameters
    ----------
    name : str or path
        A preset, ``auto``, or the path of a JSON file (ours, Hugging Face's or timm's).
    model : ModelFile
        Where ``auto`` looks: in its metadata, then in the files beside it.
    dtype : str
        The type of the network's input; where it takes 8-bit integers, ``auto`` does not normalise.
    built_in : BuiltIn, optional
        The normalisation that the graph applies itself; ``auto`` does not repeat it. Where there is none either,
        ImageNet's preset is a guess.

    Raises
    ------
    PreprocessingError
        The name is unknown, or a file does not describe a usable preprocessing.

    Examples
    --------
    >>> from onnx_cam.graph.read import read_model
    >>> choose_preprocessing("caffe", read_model("model.onnx")).channels
    'BGR'
    >>> choose_preprocessing("auto", read_model("model.onnx")).source
    'a guess: nothing in the model or beside it says so'
    """
    name = os.fspath(name)
    if name in PRESETS:
        return PRESETS[name]
    if name != "auto":
        if not name.endswith(".json"):
            expected = ", ".join(("auto", *PRESETS, "none"))
            hint = did_you_mean(name, PRESETS)
            raise PreprocessingError(f"unknown preprocessing {name!r}{hint} Expected {expected} or a .json file")
        return from_config(_read_json(Path(name)), name)
    # First what the model's metadata states, then the files beside it. One that cannot be used is not an error, since
    # the user did not ask for it, but the reason is reported with the guess.
    problems: list[str] = []
    finders: list[Callable[[], Preprocessing | None]] = [
        partial(_from_metadata, model.metadata),
        *(partial(_from_file, path) for path in json_beside(model.path)),
    ]
    for find in finders:
        try:
            preprocessing = find()
        except PreprocessingError as error:
            problems.append(str(error))
            continue
        if preprocessing is not None:
            return _without_normalisation(preprocessing) if dtype in EIGHT_BITS else preprocessing
    # Then what the graph itself tells, and ImageNet's preset as a guess.
    return _from_graph(dtype, built_in) or _guess(problems)


def _without_normalisation(preprocessing: Preprocessing) -> Preprocessing:
    """Return a preprocessing that resizes and crops, and leaves the pixel values unchanged."""
    return replace(preprocessing, scale=1.0, mean=_NO_MEAN, std=_NO_STD)


def _from_graph(dtype: str, built_in: BuiltIn | None) -> Preprocessing | None:
    if dtype in EIGHT_BITS:
        return replace(PRESETS["raw"], source=f"the input takes {dtype} pixels")
    if built_in is None:
        return None
    preset = _preset_before(built_in)
    if len(built_in.mean) == 3 and np.allclose(built_in.mean, PRESETS["caffe"].mean, atol=_CAFFE_TOLERANCE):
        preset = replace(preset, channels="BGR")  # Caffe's means are in the order blue, green, red
    return replace(preset, source=f"the graph normalises its input itself: {built_in}")


def both_normalise(preprocessing: Preprocessing, built_in: BuiltIn | None) -> bool:
    """Whether a preprocessing repeats the normalisation that the graph applies itself.

    Examples
    --------
    >>> built_in = BuiltIn(mean=(127.5,), std=(127.5,))
    >>> both_normalise(PRESETS["tf"], built_in), both_normalise(PRESETS["raw"], built_in)
    (True, False)
    """
    if built_in is None:
        return False
    expected = _preset_before(built_in)
    return (preprocessing.scale, preprocessing.mean, preprocessing.std) != (expected.scale, expected.mean, expected.std)


def _preset_before(built_in: BuiltIn) -> Preprocessing:
    """Return the preset that gives a graph's own normalisation the values that it is meant for."""
    return PRESETS["raw" if built_in.takes_pixels else "unit"]


def _guess(problems: Sequence[str]) -> Preprocessing:
    reason = "; ".join(("a guess: nothing in the model or beside it says so", *problems))
    return replace(PRESETS["imagenet"], source=reason)


def _from_metadata(metadata: Mapping[str, str]) -> Preprocessing | None:
    """Return what a model's metadata state: as JSON, as Windows ML's image properties, or by their author."""
    for key in _METADATA_KEYS:
        if key in metadata:
            source = f"the model's metadata, {key}"
            return from_config(_parse_json(metadata[key], source), source)
    name = _PIXEL_RANGES.get(metadata.get("Image.NominalPixelRange", ""))
    if name:
        preset = replace(PRESETS[name], source="the model's metadata, Image.NominalPixelRange")
        is_bgr = metadata.get("Image.BitmapPixelFormat", "").upper().startswith("BGR")
        return replace(preset, channels="BGR") if is_bgr else preset
    if metadata.get("author") == "Ultralytics" and metadata.get("task") == "classify":
        return replace(PRESETS["unit"], crop_pct=1.0, source="the model's metadata, Ultralytics classify")
    return None


def _from_file(path: Path) -> Preprocessing | None:
    config = _read_json(path)
    is_config = isinstance(config, dict) and bool(_CONFIG_KEYS & config.keys())
    return from_config(config, str(path)) if is_config else None


def _read_json(path: Path) -> Any:
    try:
        content = read_small_file(path)
    except OSError as error:
        raise PreprocessingError(
            f"cannot read the preprocessing '{path}': {error.strerror or error}; "
            "give a JSON file that describes one, or name a preset: --preprocess imagenet"
        ) from error
    return _parse_json(content, f"'{path}'")


def _parse_json(text: str | bytes, source: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PreprocessingError(
            f"{source} is not JSON ({one_line(error, 80)}); fix it, or name a preset: --preprocess imagenet"
        ) from None


def from_config(config: Any, source: str) -> Preprocessing:
    """Return the preprocessing that a configuration describes.

    Parameters
    ----------
    config : dict
        The fields of :class:`Preprocessing`, Hugging Face's ``preprocessor_config.json``, or timm's ``config.json``.
    source : str
        Where it was found, for messages.

    Raises
    ------
    PreprocessingError
        It does not describe a preprocessing, or it describes one that is not supported.

    Examples
    --------
    >>> from_config({"mean": [0.5], "std": [0.5], "scale": 1 / 255}, "my.json").mean
    (0.5, 0.5, 0.5)
    """
    if not isinstance(config, dict):
        raise PreprocessingError(f"{source} is not a JSON object; expected the fields of a preprocessing")
    timm_config = config if config.keys() >= _TIMM_KEYS else config.get("pretrained_cfg")
    try:
        if isinstance(timm_config, dict):
            preprocessing = _from_timm(timm_config)
        elif _HUGGING_FACE_KEYS & config.keys():
            preprocessing = _from_hugging_face(config)
        else:
            preprocessing = _from_own(config)
        return _checked(replace(preprocessing, source=source))
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise PreprocessingError(
            f"{source} does not describe a usable preprocessing ({one_line(error, 120)}); "
            "fix it, or name a preset: --preprocess imagenet"
        ) from error


def _from_timm(config: JsonObject) -> Preprocessing:
    size = config.get("input_size")
    return Preprocessing(
        "custom",
        resize="stretch" if config.get("crop_mode", "center") == "squash" else "cover",
        crop_pct=float(config.get("crop_pct", 0.875)),
        interpolation=_interpolation(config.get("interpolation", "bicubic")),
        scale=1 / 255,
        mean=_constants(config["mean"]),
        std=_constants(config["std"]),
        size=(int(size[1]), int(size[2])) if size else None,
    )


def _from_hugging_face(config: JsonObject) -> Preprocessing:
    resize, size, crop_pct = _hugging_face_geometry(config)
    normalises = config.get("do_normalize", "image_mean" in config)
    return Preprocessing(
        "custom",
        resize=resize,
        crop_pct=crop_pct,
        interpolation=_interpolation(config.get("resample", 2)),
        scale=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        mean=_constants(config["image_mean"]) if normalises else _NO_MEAN,
        std=_constants(config["image_std"]) if normalises else _NO_STD,
        size=size,
    )


def _hugging_face_geometry(
    config: JsonObject,
) -> tuple[Literal["cover", "stretch"], tuple[int, int] | None, float]:
    """Return `resize`, `size` and `crop_pct`."""
    resize_sides = _side_lengths(config.get("size")) if config.get("do_resize", True) else None
    crop_sides = _side_lengths(config.get("crop_size")) if config.get("do_center_crop", False) else None
    # Resize, then crop the centre.
    if crop_sides is not None:
        size = crop_sides[0], crop_sides[1] or crop_sides[0]
        return "cover", size, size[0] / resize_sides[0] if resize_sides else 1.0
    # Neither: the network's own size is all that counts.
    if resize_sides is None:
        return "cover", None, 1.0
    # Only resize: a shortest edge keeps the aspect ratio, and what it leaves over is cropped (ConvNeXt by crop_pct).
    size = resize_sides[0], resize_sides[1] or resize_sides[0]
    keeps_ratio = resize_sides[1] is None and ("crop_pct" in config or isinstance(config["size"], Mapping))
    if not keeps_ratio or ("crop_pct" in config and size[0] >= _CONVNEXT_WARPS_FROM):
        return "stretch", size, 1.0
    return "cover", size, float(config.get("crop_pct", 1.0) or _CONVNEXT_CROP)


def _from_own(config: JsonObject) -> Preprocessing:
    """Return the preprocessing whose fields are given by their own names; `_checked` judges their values."""
    unknown_keys = sorted(config.keys() - {field.name for field in fields(Preprocessing)})
    if unknown_keys:
        raise ValueError(f"unknown fields {', '.join(unknown_keys)}")
    if not {"scale", "mean", "std"} & config.keys():
        raise ValueError("it has no scale, mean or std")
    default = Preprocessing("custom")
    size = config.get("size")
    return Preprocessing(
        config.get("name", default.name),
        resize=config.get("resize", default.resize),
        crop_pct=config.get("crop_pct", default.crop_pct),
        interpolation=_interpolation(config.get("interpolation", default.interpolation)),
        channels=config.get("channels", default.channels),
        scale=config.get("scale", default.scale),
        mean=_constants(config.get("mean", default.mean)),
        std=_constants(config.get("std", default.std)),
        size=tuple(size) if isinstance(size, list) else size,
    )


def _side_lengths(size: Any) -> tuple[int, int | None] | None:
    """Return (height, width), or (shortest side, None)."""
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            return int(size["shortest_edge"]), None
        return int(size["height"]), int(size["width"])
    if isinstance(size, Sequence) and not isinstance(size, str):
        return int(size[0]), int(size[1])
    return None if size is None else (int(size), None)


def _interpolation(value: Any) -> Any:
    """Return our name of an interpolation, given by Pillow's number or by a name."""
    name = _PIL_RESAMPLING.get(value) if isinstance(value, int) else _NAMED_RESAMPLING.get(str(value).lower())
    if name is None:
        raise ValueError(f"unknown interpolation {value!r}")
    return name


def _constants(values: Any) -> tuple[float, ...]:
    """Return one number per channel; a single number counts for all three."""
    numbers = [float(value) for value in (values if isinstance(values, list | tuple) else [values])]
    return tuple(numbers * 3 if len(numbers) == 1 else numbers)


def _checked(preprocessing: Preprocessing) -> Preprocessing:
    """Return a preprocessing whose fields came from a file, if all of them have values that can be used."""
    mean, std, size = preprocessing.mean, preprocessing.std, preprocessing.size
    numbers = (preprocessing.scale, preprocessing.crop_pct, *mean, *std)
    is_expected = {
        "a name that is text": isinstance(preprocessing.name, str),
        "mean and std of three numbers": len(mean) == len(std) == 3,
        "finite numbers": all(isinstance(n, int | float) and math.isfinite(n) for n in numbers),
        "a std other than 0": all(std),
        "crop_pct from 0.05 to 1": 0.05 <= preprocessing.crop_pct <= 1,
        "channels RGB or BGR": preprocessing.channels in ("RGB", "BGR"),
        "resize cover or stretch": preprocessing.resize in ("cover", "stretch"),
        "a size of two positive whole numbers": size is None
        or (len(size) == 2 and all(type(n) is int and n > 0 for n in size)),
    }
    unmet = [expectation for expectation, is_met in is_expected.items() if not is_met]
    if unmet:
        raise ValueError(f"expected {', '.join(unmet)}")
    return preprocessing
