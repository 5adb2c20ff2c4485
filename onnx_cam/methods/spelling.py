"""A method and its settings as one word: ``sscam2:paper:sigma=0.5:samples=3``."""

from __future__ import annotations

from collections.abc import Callable

from onnx_cam.errors import SettingError
from onnx_cam.methods import METHODS, Method, make_method, setting_names
from onnx_cam.methods.equal import EqualWeights

__all__ = ["ALL", "CONTROL", "read_method"]

ALL = "all"
"""Stands for every method that works on the model."""

CONTROL = EqualWeights.name
"""The name of the control, which is not a method and not in the list."""

_TYPES: dict[str, Callable[[str], int | float | str]] = {
    "samples": int,
    "sigma": float,
    "budget": str,
    "tolerance": float,
    "versus": str,
    "gamma": float,
    "references": int,
}
_FORM = "NAME[:VARIANT][:samples=N][:sigma=S][:budget=P%][:tolerance=T][:versus=CLASS|next]"


def read_method(text: str, samples: int | None = None) -> Method:
    """Return the method that a word stands for: a name, followed by a variant and settings after colons.

    Parameters
    ----------
    text : str
    samples : int, optional
        N, for a method that has samples and whose word does not say how many.

    Raises
    ------
    SettingError
        The name, the variant or a setting is unknown, or a number cannot be read.

    Examples
    --------
    >>> read_method("sscam2:paper:sigma=0.5")
    SSCAM2(variant='paper', versus=None, budget=None, tolerance=None, samples=10, sigma=0.5)
    """
    name, *parts = text.split(":")
    if name == CONTROL and not parts:
        return EqualWeights()
    settings: dict[str, str | int | float | None] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            key, value = "variant", part
        if key in settings:
            raise SettingError(f"{text!r} gives its {key} twice: give it once")
        settings[key] = _read(text, key, value) if equals else value
    if samples is not None and name in METHODS and "samples" in setting_names(METHODS[name]):
        settings.setdefault("samples", samples)
    return make_method(name, **settings)


def _read(text: str, key: str, value: str) -> int | float | str:
    if key not in _TYPES:
        raise SettingError(f"unknown setting {key!r} in {text!r}: expected {_FORM}")
    try:
        return _TYPES[key](value)
    except ValueError as error:
        raise SettingError(f"invalid {key} {value!r} in {text!r}: expected a number") from error
