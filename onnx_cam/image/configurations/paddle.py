"""PaddleClas' and PaddleX' ``inference.yml`` and ``model.yml``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.steps import AddStep, Steps, changes_no_pixels
from onnx_cam.image.configurations.values import (
    Config,
    constants,
    interpolation,
    number,
    whole_number,
    width_first,
)
from onnx_cam.image.preprocessing import PRESETS, Preprocessing

__all__ = ["Paddle"]

_IMAGENET = PRESETS["imagenet"]
_QUOTIENT = re.compile(r"\s*([0-9.eE+-]+)\s*/\s*([0-9.eE+-]+)\s*")


class Paddle(ConfigurationFormat):
    """The steps in ``PreProcess: transform_ops`` (PaddleClas, PaddleX 3) or ``Transforms`` (PaddleX 2).

    Images are RGB, and resized by OpenCV unless a step names another backend.

    Examples
    --------
    >>> steps = [{"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}, {"NormalizeImage": {}}]
    >>> preprocessing = Paddle().read({"PreProcess": {"transform_ops": steps}}, (None, None))
    >>> preprocessing.crop_pct, preprocessing.mean
    (0.875, (0.485, 0.456, 0.406))
    """

    files: ClassVar[tuple[str, ...]] = (
        "inference.yml",
        "inference.yaml",
        "inference.json",
        "infer_cfg.yml",
        "model.yml",
        "config.json",
    )

    def recognises(self, config: Config) -> bool:
        return _listed_steps(config) is not None

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        steps = Steps()
        for name, settings in _each(_listed_steps(config) or []):
            steps.add(name, settings, _STEPS)
        return steps.preprocessing()


def _listed_steps(config: Config) -> list[object] | None:
    nested = config.get("PreProcess")
    steps = nested.get("transform_ops") if isinstance(nested, Mapping) else config.get("Transforms")
    return steps if isinstance(steps, list) else None


def _each(steps: list[object]) -> Iterator[tuple[str, Config]]:
    """Yield the name and the settings of each step, which is an object of one key, or only a name."""
    for step in steps:
        if isinstance(step, str):
            yield step, {}
            continue
        if not isinstance(step, Mapping) or len(step) != 1:
            raise ValueError("a step is not an object of one key")
        (name, settings) = next(iter(step.items()))
        if settings is not None and not isinstance(settings, Mapping):
            raise ValueError("the settings of a step are not an object")
        yield str(name), settings or {}


def _decode(steps: Steps, settings: Config) -> set[str]:
    if settings.get("to_rgb") is False:
        steps.channels = "BGR"
    return {"to_rgb", "to_np", "channel_first"}


def _resize(steps: Steps, settings: Config) -> set[str]:
    side = next(
        (settings[key] for key in ("resize_short", "short_size", "target_short_edge") if settings.get(key)), None
    )
    size = next((settings[key] for key in ("size", "target_size") if settings.get(key)), None)
    if side is None and size is None:
        raise LookupError("a resize step has no size")
    steps.set_resized(width_first(size) if side is None else whole_number(side))
    if str(settings.get("backend", "cv2")).lower() in ("pil", "pillow"):
        steps.library = "pillow"
    steps.interpolation = interpolation(settings.get("interpolation") or settings.get("interp") or "linear")
    known = {
        "resize_short",
        "short_size",
        "target_short_edge",
        "size",
        "target_size",
        "backend",
        "interpolation",
        "interp",
    }
    limit = settings.get("max_size")
    return known | {"return_numpy"} | ({"max_size"} if limit is None or number(limit) <= 0 else set())


def _crop(steps: Steps, settings: Config) -> set[str]:
    steps.set_crop(width_first(settings.get("size") or settings.get("crop_size") or 224))
    return {"size", "crop_size"}


def _normalise(steps: Steps, settings: Config) -> set[str]:
    """Add ``(pixel · scale − mean) / std``."""
    scale = settings.get("scale")
    steps.scale = 1 / 255 if scale is None else _quotient(scale)
    steps.mean, steps.std = _constants(settings)
    return {"scale", "mean", "std", "order", "channel_num", "output_fp16"}


def _normalise_range(steps: Steps, settings: Config) -> set[str]:
    """Add PaddleX 2's ``((pixel − min) / (max − min) − mean) / std``."""
    low, high = (constants(settings.get(key) or default)[0] for key, default in (("min_val", 0), ("max_val", 255)))
    steps.scale = 1 / (high - low) if settings.get("is_scale", True) else 1.0
    mean, steps.std = _constants(settings)
    steps.mean = tuple(value + low * steps.scale for value in mean)
    return {"mean", "std", "min_val", "max_val", "is_scale"}


def _constants(settings: Config) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return constants(settings.get("mean") or _IMAGENET.mean), constants(settings.get("std") or _IMAGENET.std)


def _quotient(value: object) -> float:
    """Return a number that may be written as a quotient: ``1.0/255.0``."""
    if not isinstance(value, str):
        return number(value)
    quotient = _QUOTIENT.fullmatch(value)
    return float(quotient[1]) / float(quotient[2]) if quotient else float(value)


_STEPS: dict[str, AddStep] = {
    "DecodeImage": _decode,
    "ReadImage": changes_no_pixels,
    "ResizeImage": _resize,
    "ResizeByShort": _resize,
    "Resize": _resize,
    "CropImage": _crop,
    "CenterCrop": _crop,
    "Crop": _crop,
    "NormalizeImage": _normalise,
    "Normalize": _normalise_range,
    "ToCHWImage": changes_no_pixels,
    "Permute": changes_no_pixels,
    "KeepKeys": changes_no_pixels,
    "ArrangeClassifier": changes_no_pixels,
}
"""Step to a function that adds it, and returns the settings that it knows."""
