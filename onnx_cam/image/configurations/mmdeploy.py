"""MMDeploy's ``pipeline.json``, for models of MMPretrain and MMClassification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.steps import AddStep, Steps, changes_no_pixels
from onnx_cam.image.configurations.values import Config, constants, interpolation, whole_number, width_first
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.resizing import Size

__all__ = ["MMDeploy", "MMDeployDetails"]

_CROP_PADDING = 32  # pixels, of a crop in EfficientNet's style


class MMDeploy(ConfigurationFormat):
    """The transforms of the pipeline of an SDK model, resized by OpenCV unless one names another backend.

    Images are BGR until a normalisation makes them RGB.

    Examples
    --------
    >>> steps = [{"type": "Resize", "size": [256, -1]}, {"type": "CenterCrop", "crop_size": 224}]
    >>> pipeline = {"pipeline": {"tasks": [{"module": "Transform", "transforms": steps}]}}
    >>> MMDeploy().read(pipeline, (None, None)).channels
    'BGR'
    """

    files: ClassVar[tuple[str, ...]] = ("pipeline.json",)

    def recognises(self, config: Config) -> bool:
        return _transforms(config) is not None

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        steps = Steps(channels="BGR")
        for settings in _transforms(config) or []:
            if not isinstance(settings, Mapping):
                raise ValueError("a transform is not an object")
            steps.add(str(settings.get("type", "?")), settings, _TRANSFORMS, ignored={"type"})
        return steps.preprocessing()


class MMDeployDetails(ConfigurationFormat):
    """MMDeploy's ``detail.json`` and ``deploy.json``: they describe no preprocessing, but may state a size.

    Examples
    --------
    >>> MMDeployDetails().size({"codebase": {}, "onnx_config": {"input_shape": [128, 96]}})
    (96, 128)
    """

    files: ClassVar[tuple[str, ...]] = ("detail.json", "deploy.json")
    describes: ClassVar[bool] = False

    def recognises(self, config: Config) -> bool:
        return "onnx_config" in config or {"task", "models", "customs"} <= config.keys()

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        raise LookupError("it describes no preprocessing")

    def size(self, config: Config) -> Size | None:
        onnx_config = config.get("onnx_config")
        shape = onnx_config.get("input_shape") if isinstance(onnx_config, Mapping) else None
        return None if shape is None else width_first(shape)


def _transforms(config: Config) -> list[object] | None:
    pipeline = config.get("pipeline")
    tasks = pipeline.get("tasks") if isinstance(pipeline, Mapping) else None
    for task in tasks if isinstance(tasks, list) else []:
        transforms = task.get("transforms") if isinstance(task, Mapping) else None
        if isinstance(transforms, list):
            return transforms
    return None


def _load(steps: Steps, settings: Config) -> set[str]:
    return set(map(str, settings)) - ({"color_type"} if settings.get("color_type") not in (None, "color") else set())


def _resize(steps: Steps, settings: Config) -> set[str]:
    size = settings.get("size") or settings.get("scale")
    sides = list(size) if isinstance(size, list | tuple) else [size]
    keeps_ratio = settings.get("keep_ratio") is True
    if len(sides) == 2 and sides[1] == -1:
        steps.set_resized(whole_number(sides[0]))
    elif keeps_ratio and len(sides) == 2 and sides[0] != sides[1]:
        raise ValueError("a resizing into a rectangle that keeps the aspect ratio is not supported")
    else:
        # Where the ratio is kept, a square holds the image: its longer side is the square's.
        steps.set_resized(width_first(sides))
        steps.skip(*(["Resize.keep_ratio"] if keeps_ratio else []))
    _set_filter(steps, settings)
    return {"size", "scale", "keep_ratio", "interpolation", "backend"}


def _resize_edge(steps: Steps, settings: Config) -> set[str]:
    steps.set_resized(whole_number(settings["scale"]))
    _set_filter(steps, settings)
    return {"scale", "interpolation", "backend"} | ({"edge"} if settings.get("edge", "short") == "short" else set())


def _set_filter(steps: Steps, settings: Config) -> None:
    steps.interpolation = interpolation(settings.get("interpolation") or "bilinear")
    steps.library = "pillow" if settings.get("backend") == "pillow" else "opencv"


def _crop(steps: Steps, settings: Config) -> set[str]:
    size = width_first(settings["crop_size"])
    if settings.get("efficientnet_style") is True or settings.get("type") == "EfficientNetCenterCrop":
        padding = settings.get("crop_padding", _CROP_PADDING)
        steps.crop_first = min(size) / (min(size) + (0 if padding == 0 else whole_number(padding)))
        _set_filter(steps, {"interpolation": "bicubic", **settings})
    steps.set_crop(size)
    return {"crop_size", "efficientnet_style", "crop_padding", "interpolation", "backend"}


def _normalise(steps: Steps, settings: Config) -> set[str]:
    steps.mean, steps.std = constants(settings.get("mean", 0)), constants(settings.get("std", 1))
    steps.channels = "RGB" if settings.get("to_rgb") is True else "BGR"
    return {"mean", "std", "to_rgb", "to_float"}


def _pad(steps: Steps, settings: Config) -> set[str]:
    steps.skip("Pad")
    return changes_no_pixels(steps, settings)


_TRANSFORMS: dict[str, AddStep] = {
    "LoadImageFromFile": _load,
    "Resize": _resize,
    "ResizeEdge": _resize_edge,
    "CenterCrop": _crop,
    "EfficientNetCenterCrop": _crop,
    "Normalize": _normalise,
    "Pad": _pad,
    "Collect": changes_no_pixels,
    "DefaultFormatBundle": changes_no_pixels,
    "ImageToTensor": changes_no_pixels,
    "PackInputs": changes_no_pixels,
    "ToTensor": changes_no_pixels,
}
"""Transform to a function that adds it, and returns the settings that it knows."""
