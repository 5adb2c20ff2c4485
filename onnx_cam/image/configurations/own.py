"""onnx-cam's own format: the fields of a preprocessing by their own names."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from onnx_cam.image.configurations.base import ConfigurationFormat, FixedSize
from onnx_cam.image.configurations.values import Config, constants, interpolation, listed, number
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["Own"]

_FIELDS = {field.name for field in fields(Preprocessing)} - {"notes"}
_VALUES = {"scale", "mean", "std"}


class Own(ConfigurationFormat):
    """The fields of :class:`.preprocessing.Preprocessing`, as in its ``describe()`` and in records.

    Examples
    --------
    >>> Own().read({"mean": 0.5, "std": [0.5], "scale": 1 / 255}, (None, None)).mean
    (0.5, 0.5, 0.5)
    """

    files: ClassVar[tuple[str, ...]] = ("{stem}.json",)

    def recognises(self, config: Config) -> bool:
        return bool(_VALUES & config.keys())

    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        unknown_keys = sorted(str(key) for key in config.keys() - _FIELDS)
        if unknown_keys:
            raise ValueError(f"unknown fields {listed(unknown_keys)}")
        default = Preprocessing("custom").describe()
        values: dict[str, Any] = {**default, **config}  # `checked` judges those that are passed on as they are
        size, pad = (tuple(value) if isinstance(value, list) else value for value in (values["size"], values["pad"]))
        mean, std = constants(values["mean"]), constants(values["std"])
        return Preprocessing(
            values["name"],
            resize=values["resize"],
            crop_pct=number(values["crop_pct"]),
            interpolation=interpolation(values["interpolation"]),
            library=values["library"],
            channels=values["channels"],
            scale=number(values["scale"]),
            mean=_as_many(mean, std),
            std=_as_many(std, mean),
            size=size,
            pad=pad,
        )


def _as_many(values: tuple[float, ...], others: tuple[float, ...]) -> tuple[float, ...]:
    """Return constants that are equal for all channels for as many channels as the others are given for."""
    return values[:1] * len(others) if len(set(values)) == 1 else values
