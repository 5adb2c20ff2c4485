"""Find a model's preprocessing: in its metadata, in a JSON file beside it, or ImageNet's."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from onnx_cam.errors import PreprocessingError, did_you_mean, one_line
from onnx_cam.files import read_small_file
from onnx_cam.graph.built_in import BuiltIn
from onnx_cam.graph.image_input import EIGHT_BITS
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.preprocessing import PRESETS, Preprocessing

__all__ = ["METADATA_KEY", "both_normalise", "choose_preprocessing", "from_config", "json_beside"]

METADATA_KEY = "onnx_cam.preprocessing"
"""The metadata property that holds :meth:`Preprocessing.describe` as JSON."""

_CONFIG_KEYS = (METADATA_KEY, "preprocessing", "preprocessor_config")
_PIXELS: dict[str, Any] = {
    "scale": 1.0,
    "mean": (0.0,) * 3,
    "std": (1.0,) * 3,
}  # as they are: only the geometry is kept
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
    name : str
        A preset, ``auto``, or the path of a JSON file (ours, Hugging Face's or timm's).
    model : ModelFile
        What ``auto`` looks at: its metadata, then the files beside it.
    dtype : str
        What the input takes: to 8-bit integers ``auto`` gives the pixels as they are.
    built_in : BuiltIn, optional
        What the graph does to its input itself: ``auto`` does not do it again. ImageNet's preset is what remains.

    Raises
    ------
    PreprocessingError
        The name is unknown, or a file says nothing usable.
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
    passed_over: list[str] = []
    for find in (lambda: _from_metadata(model.metadata), *_files(model.path)):
        try:
            if found := find():
                return replace(found, **_PIXELS) if dtype in EIGHT_BITS else found
        except PreprocessingError as error:  # nobody asked for this one
            passed_over.append(str(error))
    return _from_graph(dtype, built_in) or _fallback(passed_over)


def _from_graph(dtype: str, built_in: BuiltIn | None) -> Preprocessing | None:
    if dtype in EIGHT_BITS:
        return replace(PRESETS["raw"], source=f"the input takes {dtype} pixels")
    if built_in is None:
        return None
    preset = PRESETS["raw" if built_in.takes_pixels else "unit"]
    if len(built_in.mean) == 3 and np.allclose(built_in.mean, PRESETS["caffe"].mean, atol=2):
        preset = replace(preset, channels="BGR")  # Caffe's means, blue first
    return replace(preset, source=f"the graph normalises its input itself: {built_in}")


def both_normalise(chosen: Preprocessing, built_in: BuiltIn | None) -> bool:
    """Whether a preprocessing does once more what the graph does itself."""
    if built_in is None:
        return False
    expected = PRESETS["raw" if built_in.takes_pixels else "unit"]
    return (chosen.scale, chosen.mean, chosen.std) != (expected.scale, expected.mean, expected.std)


def _fallback(passed_over: Sequence[str]) -> Preprocessing:
    reason = "; ".join(("a guess: nothing in the model or beside it says so", *passed_over))
    return replace(PRESETS["imagenet"], source=reason)


def _from_metadata(metadata: Mapping[str, str]) -> Preprocessing | None:
    for key in _CONFIG_KEYS:
        if key in metadata:
            source = f"the model's metadata, {key}"
            return from_config(_parse_json(metadata[key], source), source)
    preset = _PIXEL_RANGES.get(metadata.get("Image.NominalPixelRange", ""))
    if preset:
        found = replace(PRESETS[preset], source="the model's metadata, Image.NominalPixelRange")
        bgr = metadata.get("Image.BitmapPixelFormat", "").upper().startswith("BGR")
        return replace(found, channels="BGR") if bgr else found
    if metadata.get("author") == "Ultralytics" and metadata.get("task") == "classify":
        return replace(PRESETS["unit"], crop_pct=1.0, source="the model's metadata, Ultralytics classify")
    return None


def _files(model: Path) -> list[Callable[[], Preprocessing | None]]:
    return [partial(_from_file, path) for path in json_beside(model)]


def _from_file(path: Path) -> Preprocessing | None:
    config = _read_json(path)
    return from_config(config, str(path)) if isinstance(config, dict) and _is_config(config) else None


def json_beside(model: Path) -> list[Path]:
    """Return the JSON files that may describe a model, the likeliest first."""
    folder = model.resolve().parent
    folders = [folder, folder.parent] if folder.name == "onnx" else [folder]  # Hugging Face keeps models in onnx/
    names = (f"{model.stem}.json", "preprocessor_config.json", "config.json")
    return [f / name for f in folders for name in names if (f / name).is_file()]


def _is_config(config: dict[str, Any]) -> bool:
    return bool({"image_mean", "do_rescale", "do_normalize", "pretrained_cfg", "mean"} & config.keys())


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
            f"{source} is not JSON ({one_line(error, 80)}); mend it, or name a preset: --preprocess imagenet"
        ) from None


def from_config(config: Any, source: str) -> Preprocessing:
    """Return the preprocessing that a configuration describes.

    Parameters
    ----------
    config : dict
        Our own fields, Hugging Face's ``preprocessor_config.json``, or timm's ``config.json``.
    source : str
        Where it was found.

    Raises
    ------
    PreprocessingError
        It describes none, or one that cannot be done here.
    """
    if not isinstance(config, dict):
        raise PreprocessingError(f"{source} holds no JSON object; expected the fields of a preprocessing")
    timm = config if {"mean", "input_size"} <= config.keys() else config.get("pretrained_cfg")
    try:
        if isinstance(timm, dict):
            found = _from_timm(timm)
        elif {"image_mean", "do_rescale", "do_normalize", "crop_size"} & config.keys():
            found = _from_hugging_face(config)
        else:
            found = _from_own(config)
        return _checked(replace(found, source=source))
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise PreprocessingError(
            f"{source} describes no preprocessing that can be used ({one_line(error, 120)}); "
            "name a preset: --preprocess imagenet"
        ) from error


def _from_timm(config: dict[str, Any]) -> Preprocessing:
    size = config.get("input_size")
    stretch = config.get("crop_mode", "center") == "squash"
    return Preprocessing(
        "custom",
        resize="stretch" if stretch else "cover",
        crop_pct=float(config.get("crop_pct", 0.875)),
        interpolation=_interpolation(config.get("interpolation", "bicubic")),
        scale=1 / 255,
        mean=_constants(config["mean"]),
        std=_constants(config["std"]),
        size=(int(size[1]), int(size[2])) if size else None,
    )


def _from_hugging_face(config: dict[str, Any]) -> Preprocessing:
    resize, size, crop_pct = _hugging_face_geometry(config)
    normalises = config.get("do_normalize", "image_mean" in config)
    return Preprocessing(
        "custom",
        resize=resize,
        crop_pct=crop_pct,
        interpolation=_interpolation(config.get("resample", 2)),
        scale=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        mean=_constants(config["image_mean"]) if normalises else (0.0,) * 3,
        std=_constants(config["image_std"]) if normalises else (1.0,) * 3,
        size=size,
    )


def _hugging_face_geometry(config: dict[str, Any]) -> tuple[Any, tuple[int, int] | None, float]:
    """Return resize, size and crop_pct."""
    resized = _side_lengths(config.get("size")) if config.get("do_resize", True) else None
    crop = _side_lengths(config.get("crop_size")) if config.get("do_center_crop", False) else None
    if crop is not None:
        size = crop[0], crop[1] or crop[0]
        return "cover", size, size[0] / resized[0] if resized else 1.0
    if resized is None:
        return "cover", None, 1.0
    size = resized[0], resized[1] or resized[0]
    by_shortest_edge = resized[1] is None and ("crop_pct" in config or isinstance(config["size"], Mapping))
    if not by_shortest_edge or ("crop_pct" in config and size[0] >= _CONVNEXT_WARPS_FROM):
        return "stretch", size, 1.0
    return "cover", size, float(config.get("crop_pct", 1.0) or _CONVNEXT_CROP)


def _from_own(config: dict[str, Any]) -> Preprocessing:
    known = {field.name for field in fields(Preprocessing)}
    unknown = sorted(config.keys() - known)
    if unknown or not {"scale", "mean", "std"} & config.keys():
        raise ValueError(f"unknown fields {', '.join(unknown)}" if unknown else "no scale, mean or std")
    given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in config.items()}
    if "interpolation" in given:
        given["interpolation"] = _interpolation(given["interpolation"])
    for key in ("mean", "std"):
        if key in given:
            given[key] = _constants(given[key])
    given.setdefault("name", "custom")
    return Preprocessing(**given)


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
    found = _PIL_RESAMPLING.get(value) if isinstance(value, int) else _NAMED_RESAMPLING.get(str(value).lower())
    if found is None:
        raise ValueError(f"interpolation {value!r}")
    return found


def _constants(values: Any) -> tuple[float, ...]:
    values = [float(value) for value in (values if isinstance(values, list | tuple) else [values])]
    return tuple(values * 3 if len(values) == 1 else values)


def _checked(found: Preprocessing) -> Preprocessing:
    numbers = (found.scale, found.crop_pct, *found.mean, *found.std)
    problems = {
        "a name that is text": isinstance(found.name, str),
        "mean and std of three numbers": len(found.mean) == len(found.std) == 3,
        "finite numbers": all(isinstance(n, int | float) and math.isfinite(n) for n in numbers),
        "a std other than 0": all(found.std),
        "crop_pct from 0.05 to 1": 0.05 <= found.crop_pct <= 1,
        "channels RGB or BGR": found.channels in ("RGB", "BGR"),
        "resize cover or stretch": found.resize in ("cover", "stretch"),
        "a size of two positive whole numbers": found.size is None
        or (len(found.size) == 2 and all(type(n) is int and n > 0 for n in found.size)),
    }
    wrong = [expected for expected, right in problems.items() if not right]
    if wrong:
        raise ValueError(f"expected {', '.join(wrong)}")
    return found
