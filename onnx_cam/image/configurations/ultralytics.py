"""The metadata of classifiers that Ultralytics exports."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import ClassVar

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.values import Config, not_applied, pair, pixel_keys
from onnx_cam.image.preprocessing import PRESETS, Preprocessing
from onnx_cam.image.resizing import Size

__all__ = ["Ultralytics", "parse_size"]

_KNOWN = {"imgsz"}
_LONGEST_SIZE = 40  # characters


class Ultralytics(ConfigurationFormat):
    """What ``yolo export`` writes into an ONNX file's metadata, or into ``metadata.yaml``.

    The image's shorter side is resized to ``imgsz`` by Pillow's bilinear filter, the centre cropped, and the pixels are
    divided by 255. An ``imgsz`` that is not square stretches the image.

    Examples
    --------
    >>> metadata = {"author": "Ultralytics", "task": "classify", "imgsz": "[96, 96]"}
    >>> preprocessing = Ultralytics().read(metadata, (None, None))
    >>> preprocessing.resize, preprocessing.crop_pct, preprocessing.size
    ('shorter-side', 1.0, (96, 96))
    """

    metadata_key: ClassVar[str] = "Ultralytics classify"
    files: ClassVar[tuple[str, ...]] = ("metadata.yaml",)

    def recognises(self, config: Config) -> bool:
        return config.get("author") == "Ultralytics" and config.get("task") == "classify"

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        size = self.size(config)
        is_square = size is None or size[0] == size[1]
        return replace(
            PRESETS["unit"],
            resize="shorter-side" if is_square else "stretch",
            crop_pct=1.0,
            library="torchvision",
            size=size,
            notes=not_applied(pixel_keys(config, _KNOWN)),
        )

    def size(self, config: Config) -> Size | None:
        return parse_size(config.get("imgsz"))


def parse_size(value: object) -> Size | None:
    """Return ``(H, W)`` given as a number, a list, or a text of either; None for None.

    Raises
    ------
    ValueError
        It is none of them.

    Examples
    --------
    >>> parse_size("[96, 128]"), parse_size("224"), parse_size([64])
    ((96, 128), (224, 224), (64, 64))
    """
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > _LONGEST_SIZE:
            raise ValueError("the text of a size is too long")
        try:
            value = ast.literal_eval(value.strip().replace("x", ","))
        except (SyntaxError, MemoryError, RecursionError):
            raise ValueError(f"{value!r} where a size is expected") from None
    return pair(value)
