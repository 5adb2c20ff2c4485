"""timm's ``config.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.values import Config, constants, interpolation, not_applied, number, other_keys, pair
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.resizing import Resize, Size

__all__ = ["Timm"]

_APPLIED = {
    "crop_mode",
    "crop_pct",
    "input_size",
    "interpolation",
    "mean",
    "std",
    "test_crop_pct",
    "test_input_size",
}
_WITHOUT_EFFECT = {
    "architecture",
    "classifier",
    "custom_load",
    "features_only",
    "file",
    "first_conv",
    "fixed_input_size",
    "global_pool",
    "hf_hub_filename",
    "hf_hub_id",
    "hash_sha256",
    "label_descriptions",
    "label_names",
    "license",
    "min_input_size",
    "model_args",
    "notes",
    "num_classes",
    "num_features",
    "origin_url",
    "paper_ids",
    "paper_name",
    "pool_size",
    "source",
    "state_dict",
    "tag",
    "tags",
    "title",
    "url",
}
_KEYS_OF_OLD_FILES = {"mean", "input_size"}  # which have no pretrained_cfg
_CROP_PCT = 0.875
_RESIZES: dict[object, Resize] = {None: "cover", "center": "cover", "squash": "stretch-crop", "border": "fit"}


class Timm(ConfigurationFormat):
    """The ``pretrained_cfg`` of a model of timm, as its transform for evaluation applies it.

    Examples
    --------
    >>> cfg = {"input_size": [3, 224, 224], "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    >>> round(224 / Timm().read({"pretrained_cfg": cfg}, (None, None)).crop_pct)
    248
    """

    files: ClassVar[tuple[str, ...]] = ("config.json",)

    def recognises(self, config: Config) -> bool:
        return isinstance(config.get("pretrained_cfg"), Mapping) or config.keys() >= _KEYS_OF_OLD_FILES

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        nested = config.get("pretrained_cfg")
        cfg: Config = nested if isinstance(nested, Mapping) else config
        size, crop_pct = _size(cfg, "input_size"), number(cfg.get("crop_pct") or _CROP_PCT)
        # A model that is exported at the size for tests is tested with that size's own crop.
        test_size = _size(cfg, "test_input_size")
        if test_size is not None and test_size != size and fixed == test_size:
            size, crop_pct = test_size, number(cfg.get("test_crop_pct") or crop_pct)
        if cfg.get("crop_mode") not in _RESIZES:
            raise ValueError("an unknown crop_mode")
        resize = _RESIZES[cfg.get("crop_mode")]
        if resize == "cover" and (size is None or size[0] == size[1]):
            resize = "shorter-side"
        mean, std = constants(cfg["mean"]), constants(cfg["std"])
        return Preprocessing(
            "custom",
            resize=resize,
            crop_pct=_exact(crop_pct, size),
            interpolation=interpolation(cfg.get("interpolation") or "bicubic"),
            library="torchvision",
            scale=1 / 255,
            mean=mean,
            std=std,
            size=size,
            pad=_fill(mean) if resize == "fit" else (0, 0, 0),
            notes=not_applied(other_keys(cfg, _APPLIED | _WITHOUT_EFFECT)),
        )


def _size(cfg: Config, key: str) -> Size | None:
    size = cfg.get(key)
    if size is None:
        return None
    if not isinstance(size, list | tuple) or len(size) != 3:
        raise ValueError(f"{key} is not a list of channels, height and width")
    return pair(list(size[1:]))


def _exact(crop_pct: float, size: Size | None) -> float:
    """Return the crop that comes to the whole numbers of pixels that timm resizes to, which it rounds down."""
    if size is None:
        return crop_pct
    enlarged = [max(math.floor(side / crop_pct), 1) for side in size]
    candidates = (crop_pct, size[0] / enlarged[0], size[1] / enlarged[1])
    return next((pct for pct in candidates if [round(side / pct) for side in size] == enlarged), candidates[1])


def _fill(mean: tuple[float, ...]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in mean[:3])
    return red, green, blue
