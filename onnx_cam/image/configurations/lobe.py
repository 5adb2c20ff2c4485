"""Lobe's ``signature.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.values import Config, not_applied, pair
from onnx_cam.image.preprocessing import PRESETS, Preprocessing
from onnx_cam.image.resizing import Size

__all__ = ["Lobe"]


class Lobe(ConfigurationFormat):
    """The signature of a model of Lobe, preprocessed as by ``lobe-python``.

    The image is resized by Pillow's bicubic filter until it covers the input, the centre cropped, and the pixels are
    divided by 255.

    Examples
    --------
    >>> signature = {"doc_id": "1", "inputs": {"Image": {"dtype": "float32", "shape": [None, 224, 224, 3]}}}
    >>> Lobe().read(signature, (None, None)).size
    (224, 224)
    """

    files: ClassVar[tuple[str, ...]] = ("signature.json",)

    def recognises(self, config: Config) -> bool:
        return _image(config) is not None and bool(
            {"doc_id", "doc_name", "classes", "format", "filename"} & config.keys()
        )

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        image = _image(config) or {}
        is_float = image.get("dtype") in (None, "float32", "float")
        return replace(
            PRESETS["unit"],
            crop_pct=1.0,
            interpolation="cubic",
            library="pillow",
            size=_size(image.get("shape")),
            notes=() if is_float else not_applied(["inputs.Image.dtype"]),
        )


def _image(config: Config) -> Config | None:
    inputs = config.get("inputs")
    image = inputs.get("Image") if isinstance(inputs, Mapping) else None
    return image if isinstance(image, Mapping) else None


def _size(shape: object) -> Size | None:
    """Return (H, W) of the shape [N, H, W, C]."""
    if not isinstance(shape, list) or len(shape) != 4 or None in shape[1:3]:
        return None
    return pair(shape[1:3])
