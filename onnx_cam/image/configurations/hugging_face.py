"""Hugging Face's ``preprocessor_config.json`` and ``processor_config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.hugging_face_types import UNNAMED, Processor, find_processor, type_name
from onnx_cam.image.configurations.steps import Placement, place
from onnx_cam.image.configurations.values import (
    NO_MEAN,
    NO_STD,
    Config,
    constants,
    interpolation,
    listed,
    not_applied,
    number,
    other_keys,
    pair,
    switch,
    whole_number,
)
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.resizing import Interpolation, Size

__all__ = ["HuggingFace", "HuggingFaceModel"]

_IMAGE_KEYS = {
    "crop_size",
    "do_center_crop",
    "do_flip_channel_order",
    "do_normalize",
    "do_rescale",
    "do_resize",
    "image_mean",
    "image_std",
    "resample",
}  # one of them is enough; a tokenizer's or an audio model's configuration has none
_APPLIED = _IMAGE_KEYS | {
    "crop_pct",
    "default_to_square",
    "feature_extractor_type",
    "image_processor_type",
    "include_top",
    "interpolation",
    "offset",
    "rescale_factor",
    "rescale_offset",
    "resize_short",
    "size",
}
_WITHOUT_EFFECT = {
    "_name_or_path",
    "_processor_class",
    "_valid_processor_keys",
    "apply_ocr",
    "auto_map",
    "data_format",
    "device",
    "disable_grouping",
    "do_convert_rgb",  # images are always read as RGB
    "do_reduce_labels",
    "image_seq_length",
    "input_data_format",
    "model_input_names",
    "name_or_path",
    "num_channels",
    "ocr_lang",
    "processor_class",
    "reduce_labels",
    "return_tensors",
    "tesseract_config",
    "transformers_version",
}
_FLAVA_MASKS = ("codebook_", "mask_", "return_", "total_mask_", "input_size_patches")  # for its training only
_NESTED = ("image_processor", "feature_extractor")
_CONVNEXT_WARPS_FROM = 384  # pixels: below, ConvNeXt's processor crops; from there on it stretches
_LEVIT_ENLARGES = 256 / 224


class HuggingFace(ConfigurationFormat):
    """The settings of an image processor of ``transformers``, as the processors of version 5 and older ones apply them.

    Its image processors resize with Pillow, or with torchvision to nearly the same pixels.

    Examples
    --------
    >>> config = {"image_processor_type": "ViTImageProcessor", "size": 224, "image_mean": [0.5], "image_std": [0.5]}
    >>> preprocessing = HuggingFace().read(config, (None, None))
    >>> preprocessing.resize, preprocessing.size, preprocessing.interpolation
    ('stretch', (224, 224), 'linear')
    """

    files: ClassVar[tuple[str, ...]] = (
        "preprocessor_config.json",
        "processor_config.json",
        "image_processor_config.json",
    )

    def recognises(self, config: Config) -> bool:
        return bool((_IMAGE_KEYS | {"image_processor_type"}) & _unnested(config).keys())

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        config = _unnested(config)
        name = type_name(config)
        known_processor = find_processor(name)
        processor = known_processor or UNNAMED
        placement, placement_notes = _placement(config, processor)
        values = _values(config, processor)
        notes = not_applied(_unapplied(config))
        if name is not None and known_processor is None:
            notes = (
                f"the type {listed([name])} is not known; its settings are taken as those of the other types",
                *notes,
            )
        return Preprocessing(
            "custom",
            resize=placement.resize,
            crop_pct=placement.crop_pct,
            size=placement.size,
            interpolation=_interpolation(config, processor),
            library="pillow",
            channels=values.channels,
            scale=values.scale,
            mean=values.mean,
            std=values.std,
            notes=(*placement_notes, *notes),
        )


class HuggingFaceModel(ConfigurationFormat):
    """The configuration of a model of ``transformers``: it describes no preprocessing, but may state the input's size.

    Examples
    --------
    >>> HuggingFaceModel().size({"model_type": "vit", "image_size": 384})
    (384, 384)
    """

    files: ClassVar[tuple[str, ...]] = ("config.json",)
    describes: ClassVar[bool] = False

    def recognises(self, config: Config) -> bool:
        return bool({"model_type", "architectures", "id2label", "label2id"} & config.keys())

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        raise LookupError("it describes a model, not its preprocessing")

    def size(self, config: Config) -> Size | None:
        vision = config.get("vision_config")
        for part in (config, vision if isinstance(vision, Mapping) else {}):
            if part.get("image_size") is not None:
                return pair(part["image_size"])
        return None


def _unapplied(config: Config) -> list[str]:
    without_effect = {str(key) for key in config if str(key).startswith(_FLAVA_MASKS)}
    if config.get("antialias") is True:
        without_effect.add("antialias")  # Pillow always does
    if config.get("size_divisor") == 1:
        without_effect.add("size_divisor")
    unapplied = other_keys(config, _APPLIED | _WITHOUT_EFFECT | without_effect)
    return unapplied + ["antialias"] * (config.get("antialias") is False)


def _unnested(config: Config) -> Config:
    """Return the settings of the image processor, where those of several processors are in one file."""
    for key in _NESTED:
        nested = config.get(key)
        if isinstance(nested, Mapping) and not _IMAGE_KEYS & config.keys():
            return nested
    return config


@dataclass(frozen=True)
class _Values:
    channels: Literal["RGB", "BGR"]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def _values(config: Config, processor: Processor) -> _Values:
    """Return what becomes of the pixels: rescaled, shifted, normalised, divided once more, and flipped."""
    rescales = switch(config, "do_rescale", True)
    factor = config.get("rescale_factor")
    scale = 1.0 if not rescales else 1 / 255 if factor is None else number(factor)
    shift = 1.0 if rescales and (switch(config, "rescale_offset", False) or switch(config, "offset", False)) else 0.0
    normalises = switch(config, "do_normalize", processor.mean is not None or "image_mean" in config)
    mean: tuple[float, ...] = NO_MEAN
    std: tuple[float, ...] = NO_STD
    if normalises and processor.normalises != "never":
        mean, std = _constants(config, "image_mean", processor.mean), _constants(config, "image_std", processor.std)
    if switch(config, "include_top", processor.deviates_twice):
        std = tuple(a * b for a, b in zip(std, _constants(config, "image_std", processor.std), strict=True))
    mean = tuple(value + shift for value in mean)
    if switch(config, "do_flip_channel_order", processor.flips):
        return _Values("BGR", scale, _flipped(mean), _flipped(std))
    return _Values("RGB", scale, mean, std)


def _flipped(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return the constants of three colours in reverse; a fourth, for alpha, stays the last."""
    return (*values[2::-1], *values[3:])


def _constants(config: Config, key: str, default: tuple[float, ...] | None) -> tuple[float, ...]:
    value = config.get(key)
    if value is None and default is None:
        raise LookupError(f"{key} is missing")
    return constants(default if value is None else value)


def _interpolation(config: Config, processor: Processor) -> Interpolation:
    given = config.get("resample", config.get("interpolation", processor.resample))
    return interpolation(UNNAMED.resample if given is None else given)


def _placement(config: Config, processor: Processor) -> tuple[Placement, tuple[str, ...]]:
    """Return how the image becomes as large as the network's input, and notes."""
    resized = _resized(config, processor) if switch(config, "do_resize", True) else None
    crop = _crop(config, processor)
    enlargement = processor.enlargement
    if processor is UNNAMED and "crop_pct" in config:
        enlargement = "convnext" if crop is None else "crop_pct"
    if enlargement == "crop_first" and resized is not None and crop is not None:
        size = (resized, resized) if isinstance(resized, int) else resized
        if min(size) > min(crop):
            raise ValueError("a crop_size below the size is not supported")
        return Placement("crop-first", min(size) / min(crop), size), ()
    if resized is not None and enlargement in ("convnext", "crop_pct"):
        return _enlarged(resized, crop, _crop_pct(config, processor), is_convnext=enlargement == "convnext"), ()
    if enlargement == "levit" and isinstance(resized, int):
        resized = int(_LEVIT_ENLARGES * resized)
    notes: tuple[str, ...] = _size_notes(config)
    if resized is None and crop is None:
        notes = (
            *notes,
            "images are not resized by it: they are scaled to cover the model's input, and the centre is cropped",
        )
    if isinstance(resized, int) and crop is None:
        notes = (*notes, f"it keeps the aspect ratio: the image is cropped to its central {resized}×{resized} pixels")
    return place(resized, crop), notes


def _enlarged(resized: int | Size, crop: Size | None, crop_pct: float, *, is_convnext: bool) -> Placement:
    """Return the placement where the size is that after the crop, and `crop_pct` says how much larger it was before."""
    side = resized if isinstance(resized, int) else min(resized)
    if is_convnext and side >= _CONVNEXT_WARPS_FROM:
        return place((side, side), crop)
    if is_convnext and crop is not None and max(crop) > side:  # it crops twice, and pads in between
        raise ValueError(f"cropping {crop[0]}×{crop[1]} from a crop of {side}×{side} is not supported")
    return place(int(side / crop_pct), crop or (side, side))


def _crop_pct(config: Config, processor: Processor) -> float:
    given = config.get("crop_pct") or processor.crop_pct or 224 / 256
    crop_pct = number(given)
    if not 0 < crop_pct <= 1:
        raise ValueError(f"crop_pct is {crop_pct:g}; expected above 0, up to 1")
    return crop_pct


def _resized(config: Config, processor: Processor) -> int | Size | None:
    """Return the shorter side, or (H, W), that images are resized to."""
    if config.get("resize_short") is not None:
        return whole_number(config["resize_short"])
    size = config.get("size")
    if size is None:
        return processor.size
    if isinstance(size, Mapping):
        if size.get("shortest_edge") is not None:
            return whole_number(size["shortest_edge"])
        if size.get("height") is None or size.get("width") is None:
            raise LookupError(f"a size by {listed(map(str, size))} is not supported")
        return whole_number(size["height"]), whole_number(size["width"])
    if isinstance(size, list | tuple) and len(size) > 1:
        return pair(size)
    side = pair(size)[0]
    crops = switch(config, "do_center_crop", processor.crops) or "crop_pct" in config
    is_square = switch(config, "default_to_square", not crops if processor is UNNAMED else processor.square)
    return (side, side) if is_square else side


def _crop(config: Config, processor: Processor) -> Size | None:
    if not switch(config, "do_center_crop", processor.crops):
        return None
    size = config.get("crop_size")
    if size is None:
        return processor.crop_size
    if isinstance(size, Mapping):
        if size.get("shortest_edge") is not None:
            return pair(size["shortest_edge"])
        return whole_number(size["height"]), whole_number(size["width"])
    return pair(size)


def _size_notes(config: Config) -> tuple[str, ...]:
    size = config.get("size")
    return not_applied(["size.longest_edge"]) if isinstance(size, Mapping) and size.get("longest_edge") else ()
