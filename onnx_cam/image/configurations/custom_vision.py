"""The image metadata of Windows ML, and what Custom Vision adds to it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar, Literal

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.steps import place
from onnx_cam.image.configurations.values import Config, constants, listed, not_applied
from onnx_cam.image.preprocessing import PRESETS, Preprocessing
from onnx_cam.image.resizing import Size

__all__ = ["CustomVision"]

_RANGES = {"NominalRange_0_255": "raw", "Normalized_0_1": "unit", "Normalized_1_1": "tf"}
_CHANNELS: dict[object, Literal["RGB", "BGR"]] = {
    None: "RGB",
    "gray8": "RGB",
    "rgb8": "RGB",
    "rgba8": "RGB",
    "bgr8": "BGR",
    "bgra8": "BGR",
}
_PREFIX = "CustomVision.Preprocess."
_LIMITS = ("MaxDimension", "MinDimension", "MaxScale", "MinScale")
_WITHOUT_CROP = {"", "FullImageShorterSide", "NoCrop"}


class CustomVision(ConfigurationFormat):
    """``Image.*`` and ``CustomVision.*`` in an ONNX file's metadata, or in ``metadata_properties.json``.

    The pixels have the range and the order of ``Image.NominalPixelRange`` and ``Image.BitmapPixelFormat``. Without
    ``CustomVision.Preprocess.*`` the image is placed as for the presets. With them it is resized and cropped as they
    say; "ByShorterSideAlign32" is for networks of any size, whose exports stretch the image.

    Examples
    --------
    >>> metadata = {"Image.NominalPixelRange": "NominalRange_0_255", "Image.BitmapPixelFormat": "Bgr8"}
    >>> preprocessing = CustomVision().read(metadata, (None, None))
    >>> preprocessing.name, preprocessing.channels
    ('raw', 'BGR')
    """

    metadata_key: ClassVar[str] = "Image.NominalPixelRange"
    files: ClassVar[tuple[str, ...]] = ("metadata_properties.json",)

    def recognises(self, config: Config) -> bool:
        return "Image.NominalPixelRange" in config or any(str(key).startswith(_PREFIX) for key in config)

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        nominal = config.get("Image.NominalPixelRange", "NominalRange_0_255")
        if nominal not in _RANGES:
            raise ValueError(f"the pixel range {listed([str(nominal)])} is not supported")
        pixel_format = config.get("Image.BitmapPixelFormat")
        order = None if pixel_format is None else str(pixel_format).lower()
        if order not in _CHANNELS:
            raise ValueError(f"the pixel format {listed([str(pixel_format)])} is not supported")
        preprocessing = replace(
            PRESETS[_RANGES[str(nominal)]], channels=_CHANNELS[order], notes=not_applied(_unapplied(config))
        )
        if not any(str(key).startswith(_PREFIX) for key in config):
            return preprocessing
        return _normalised(_placed(preprocessing, config), config)


def _setting(config: Config, key: str) -> str:
    value = config.get(_PREFIX + key)
    return "" if value is None else str(value).strip()


def _unapplied(config: Config) -> list[str]:
    """Return what is not applied; a limit of 0 is none."""
    unapplied = [_PREFIX + key for key in _LIMITS if _length(config, key)]
    return unapplied + ["Image.ColorSpaceGamma"] * (config.get("Image.ColorSpaceGamma") not in (None, "SRGB"))


def _length(config: Config, key: str) -> float:
    text = _setting(config, key)
    return 0.0 if text in ("", "null") else float(text)


def _side_lengths(config: Config, prefix: str) -> Size | None:
    height, width = (int(_length(config, f"{prefix}{side}")) for side in ("Height", "Width"))
    return (height, width) if height > 0 and width > 0 else None


def _placed(preprocessing: Preprocessing, config: Config) -> Preprocessing:
    target, method, crop_method = (
        _side_lengths(config, "Target"),
        _setting(config, "ResizeMethod"),
        _setting(config, "CropMethod"),
    )
    crop = None if crop_method in _WITHOUT_CROP else _side_lengths(config, "Crop")
    resized = min(target) if target is not None and method == "ByShorterSide" else target
    unapplied = [] if method in ("", "Stretch", "ByShorterSide") else [f"{_PREFIX}ResizeMethod"]
    if crop_method not in _WITHOUT_CROP and crop_method != "OneCropCenter":
        unapplied.append(f"{_PREFIX}CropMethod")
    if resized is None and crop is None:
        return replace(preprocessing, resize="stretch", notes=(*preprocessing.notes, *not_applied(unapplied)))
    placement = place(resized, crop)
    return replace(
        preprocessing,
        resize=placement.resize,
        crop_pct=placement.crop_pct,
        size=placement.size,
        interpolation="cubic",  # Pillow's own default, which Custom Vision's samples leave it at
        library="pillow",
        notes=(*preprocessing.notes, *not_applied(unapplied)),
    )


def _normalised(preprocessing: Preprocessing, config: Config) -> Preprocessing:
    """Return the preprocessing with the mean and deviation, in the unit of the pixels, or of 0 to 255 where above 1."""
    mean, std = (
        constants(json.loads(_setting(config, key) or default))
        for key, default in (("NormalizeMean", "0"), ("NormalizeStd", "1"))
    )
    if not any(mean) and all(value == 1 for value in std):
        return preprocessing
    is_in_pixels = preprocessing.name == "unit" and max(*mean, *std) > 1
    scale = 1.0 if is_in_pixels else preprocessing.scale
    shifted = tuple(value + ours for value, ours in zip(mean, preprocessing.mean, strict=True))
    return replace(preprocessing, name="custom", scale=scale, mean=shifted, std=std)
