"""Teachable Machine's ``metadata.json``."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.values import Config, not_applied, other_keys, pair, switch
from onnx_cam.image.preprocessing import PRESETS, Preprocessing

__all__ = ["TeachableMachine"]

_KNOWN = {
    "grayscale",
    "imageSize",
    "labels",
    "modelName",
    "modelSettings",
    "packageName",
    "packageVersion",
    "tfjsVersion",
    "timeStamp",
    "tmVersion",
    "userMetadata",
}


class TeachableMachine(ConfigurationFormat):
    """The metadata of an image model of Teachable Machine, preprocessed as by the code that it gives out.

    The centre of the image is cut out in the input's aspect ratio, resized by Pillow's Lanczos filter, and the pixels
    are scaled to −1 to 1.

    Examples
    --------
    >>> metadata = {"tmVersion": "2.4.5", "packageName": "@teachablemachine/image", "labels": ["a"], "imageSize": 224}
    >>> preprocessing = TeachableMachine().read(metadata, (None, None))
    >>> preprocessing.size, preprocessing.mean
    ((224, 224), (1.0, 1.0, 1.0))
    """

    files: ClassVar[tuple[str, ...]] = ("metadata.json",)

    def recognises(self, config: Config) -> bool:
        return "tmVersion" in config or config.get("packageName") == "@teachablemachine/image"

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        size = config.get("imageSize")
        unapplied = other_keys(config, _KNOWN) + ["grayscale"] * switch(config, "grayscale", False)
        return replace(
            PRESETS["tf"],
            resize="crop-first",
            crop_pct=1.0,
            interpolation="lanczos",
            library="pillow",
            size=None if size is None else pair(size),
            notes=not_applied(unapplied),
        )
